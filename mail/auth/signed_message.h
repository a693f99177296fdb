/// A message as its signatures see it: fields found by name from the bottom up, the hash input of a header, digests of the body.
/// Shared by the DKIM verifier and the ARC validator, so that a body is hashed once for both.
///
/// Source: RFC 6376 §3.7, §5.4.2.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/crypto.h"
#include "mail/auth/canonical.h"
#include "mail/auth/dkim_signature.h"
#include "mail/header.h"

namespace postern::mail::dkim {

class SignedMessage {
 public:
  /// The bytes behind both must outlive this.
  SignedMessage(const HeaderBlockView& header, ByteView body);
  SignedMessage(const SignedMessage&) = delete;
  SignedMessage& operator=(const SignedMessage&) = delete;

  const HeaderBlockView& header() const { return header_; }
  BodyDigests& body() { return body_; }

  /// The fields `names` (lower case) select, canonical, each name taking the lowest field not yet taken; a name without a field
  /// left selects nothing. `own` (its raw data's address) is never selected: a signature does not sign itself by name.
  std::string select(const std::vector<std::string>& names, Canon canon, const FieldView* own = nullptr) const;

  /// What a DKIM-Signature or ARC-Message-Signature signs: SHA-256 over the selected fields and the field itself.
  crypto::Sha256 header_hash(const SignatureView& signature) const;

 private:
  HeaderBlockView header_;
  BodyDigests body_;
  std::unordered_map<std::string, std::vector<std::uint32_t>> index_;  // name in lower case → places in header_.fields
};

}  // namespace postern::mail::dkim
