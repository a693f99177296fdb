/// The signature fields of DKIM and ARC as values: DKIM-Signature, ARC-Message-Signature, ARC-Seal.
///
/// Trust: a stranger's. What the RFCs demand of the syntax is judged here; keys, hashes and time are not.
/// Source: RFC 6376 §3.5, §6.1.1; RFC 8617 §4.1; RFC 8616 §5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "mail/auth/canonical.h"
#include "mail/header.h"

namespace postern::mail::dkim {

enum class Kind : std::uint8_t { dkim = 1, arc_message = 2, arc_seal = 3 };

/// rsa_sha1 is read so that it can be named; it never verifies (RFC 8301 §3.1).
enum class Algorithm : std::uint8_t { rsa_sha256 = 1, rsa_sha1 = 2, ed25519_sha256 = 3 };

std::string_view name_of(Algorithm algorithm);

/// A parsed signature. Its views live as long as the message's bytes.
struct SignatureView {
  FieldView field;                      ///< the field itself
  std::string_view b_raw;               ///< all between "b=" and its ";": what is left out when the field itself is hashed
  Algorithm algorithm = Algorithm::rsa_sha256;
  Bytes signature;                      ///< b=
  Bytes body_hash;                      ///< bh=; none in a seal
  Canon header_canon = Canon::simple;
  Canon body_canon = Canon::simple;
  std::string domain;                   ///< d=, A-labels, lower case
  std::string selector;                 ///< s=, A-labels, lower case
  std::string identity;                 ///< i= as written, without white space; "@" and d= where there is none
  std::string identity_domain;          ///< the part after "@", A-labels, lower case
  std::vector<std::string> names;       ///< h=, lower case
  std::optional<std::uint64_t> length;  ///< l=, octets of the canonical body
  std::optional<std::uint64_t> time;    ///< t=, seconds since 1970
  std::optional<std::uint64_t> expires; ///< x=, likewise
  unsigned arc_instance = 0;            ///< i= of an ARC field
  std::string_view arc_cv;              ///< cv= of a seal
};

/// Parses the field. Errors: dkim.syntax (a broken list, a missing or malformed tag), dkim.version, dkim.algorithm,
/// dkim.identity (i= is not within d=), dkim.query (q= offers nothing we know), dkim.from (h= lacks From),
/// arc.instance, arc.cv, arc.seal_h (a seal with h=).
Result<SignatureView> parse_signature(const FieldView& field, Kind kind);

/// What a report says of a signature, as far as its tags can be read at all: of a broken field all is empty.
struct SignatureLabels {
  std::string domain, selector, identity, algorithm;
  std::string b;  ///< without white space
};
SignatureLabels labels_of(const FieldView& field);

/// Appends the canonical form of the signature's own field with an empty b= and without a line end.
/// Source: RFC 6376 §3.5, §3.7.
void append_own_field(const SignatureView& signature, Canon canon, std::string& out);

}  // namespace postern::mail::dkim
