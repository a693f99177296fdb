/// DomainKeys Identified Mail, verification (RFC 6376, RFC 8301, RFC 8463, RFC 8616).
///
/// Trust: message and records are strangers'. A pass says that the domain signed these fields and, where `body_covered`, this whole
/// body; a signature with l= short of the body must not count for alignment.
/// Cost: at most limits::kDkimSignatures signatures are hashed and verified, each with at most limits::kDkimKeys keys; the body
/// is read once for each canonicalization.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "mail/auth/signature_check.h"
#include "mail/auth/signed_message.h"
#include "mail/dns.h"
#include "mail/header.h"

namespace postern::mail::dkim {

/// What became of one DKIM-Signature field.
struct SignatureResult {
  Outcome result = Outcome::none;
  std::string reason;                        ///< in words for a person; may be empty for a pass
  std::string domain;                        ///< d=, A-labels, lower case; empty when it cannot be read
  std::string selector;                      ///< s=, likewise
  std::string identity;                      ///< i=, or "@" and d=
  std::string algorithm;                     ///< a= as written
  std::string header_b;                      ///< the first characters of b=, as many as tell it from the others (RFC 6008 §3)
  bool body_covered = false;                 ///< the signature is over the whole body
  std::optional<std::uint64_t> body_length;  ///< l=
  bool testing = false;                      ///< the key says t=y: a failure says nothing (RFC 6376 §3.6.1)
  unsigned key_bits = 0;                     ///< size of the key; 0 when none was used
};

/// Judges every DKIM-Signature of one message. Keeps what it has computed between calls.
/// A message whose header readers take in different ways (not exactly one From, a line that is no field) gets no pass but
/// `policy`: what was signed need not be what is seen (RFC 6376 §3.8, §8.15).
class Verifier {
 public:
  /// The bytes behind `header` and `body` must outlive the verifier.
  Verifier(const HeaderBlockView& header, ByteView body);
  /// Shares the message (its index and its body digests) with others, such as arc::Validator.
  explicit Verifier(std::shared_ptr<SignedMessage> message);

  /// One result for each DKIM-Signature field, in the message's order (none: no field), or the questions whose answers are
  /// missing from `facts` (never empty, none twice). Signatures that cannot pass whatever their key is are not looked up.
  /// Errors: none; whatever goes wrong is a result of RFC 8601 §2.7.1.
  std::variant<std::vector<SignatureResult>, dns::Questions> evaluate(const dns::Facts& facts, WallTime now);

 private:
  struct Item {
    SignatureResult report;
    std::optional<SignatureView> signature;  // absent: decided by the syntax alone
    std::optional<Check> check;              // decided, time aside
  };

  void read_fields();
  void choose();
  void check_bodies();
  std::optional<dns::Question> judge(Item& item, const dns::Facts& facts);

  std::shared_ptr<SignedMessage> message_;
  std::vector<Item> items_;
  bool bodies_checked_ = false;
  std::string_view fault_;  // why no signature of this message may pass; empty: none
};

}  // namespace postern::mail::dkim
