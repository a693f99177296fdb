/// Authenticated Received Chain, validation (RFC 8617).
///
/// Trust: the fields are strangers'. A pass says only that the named sealers, each in turn, vouch for what they saw; whom of them
/// one believes is policy.
/// Cost: at most limits::kArcInstances sets, two signatures each; at most limits::kArcQuestions questions a call, and none before
/// the newest body hash has been found right.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "mail/auth/signature_check.h"
#include "mail/auth/signed_message.h"
#include "mail/dns.h"
#include "mail/header.h"

namespace postern::mail::arc {

/// The chain validation status. Source: RFC 8617 §4.3.
enum class Status : std::uint8_t { none = 0, pass = 1, fail = 2 };

std::string_view name_of(Status status);

/// One ARC set.
struct Set {
  unsigned instance = 0;
  std::string sealer;    ///< d= of its ARC-Seal, A-labels, lower case
  std::string selector;  ///< s= of its ARC-Seal
  std::string cv;        ///< what its sealer says of the chain before it
  std::string results;   ///< the payload of its ARC-Authentication-Results (after "i=N;"), unfolded: authserv-id and results
};

struct Verdict {
  Status status = Status::none;
  std::string reason;          ///< in words why it fails; empty otherwise
  std::vector<Set> sets;       ///< instance 1 first; empty when the sets are not in order
  unsigned instances = 0;      ///< the highest instance seen
  unsigned oldest_pass = 0;    ///< the lowest instance whose message signature still holds; 0: all do (§5.2 step 5)
  bool body_covered = false;   ///< the newest message signature is over the whole body; without it the chain must not be trusted
  bool temporary = false;      ///< the failure is one of the DNS: another day it may pass
};

/// Validates the chain of one message. Keeps what it has computed between calls.
class Validator {
 public:
  /// The bytes behind `header` and `body` must outlive the validator.
  Validator(const HeaderBlockView& header, ByteView body);
  /// Shares the message with a dkim::Verifier.
  explicit Validator(std::shared_ptr<dkim::SignedMessage> message);

  /// The verdict, or the questions whose answers are missing from `facts` (never empty, none twice).
  /// Errors: none; what is wrong with a chain is a failure of the chain.
  std::variant<Verdict, dns::Questions> evaluate(const dns::Facts& facts, WallTime now);

 private:
  struct Link;

  void collect();
  void fail(std::string reason);

  std::shared_ptr<dkim::SignedMessage> message_;
  Verdict verdict_;
  std::vector<std::shared_ptr<Link>> links_;  // instance 1 first; empty once the verdict is known
};

}  // namespace postern::mail::arc
