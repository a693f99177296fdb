/// DKIM key records: the TXT record at <selector>._domainkey.<domain>.
///
/// Trust: a stranger's. Bounded by the tag-list limits and the key sizes of dkim_crypto.h.
/// Source: RFC 6376 §3.6.1, RFC 8301, RFC 8463 §4.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "mail/auth/dkim_crypto.h"

namespace postern::mail::dkim {

struct KeyRecord {
  std::optional<PublicKey> key;    ///< absent: revoked (empty p=)
  bool testing = false;            ///< t=y
  bool strict_identity = false;    ///< t=s: the domain of i= must be d= itself
};

/// Parses a key record and judges whether it may serve e-mail signed with SHA-256.
/// Errors: dkim_key.not_dkim (v= says another thing, or stands elsewhere than first: skip the record),
/// dkim_key.syntax, dkim_key.hash (h= without sha256), dkim_key.type (an unknown k=), dkim_key.service (s= without email),
/// dkim_key.bad_data (p= is no key).
Result<KeyRecord> parse_key_record(std::string_view record);

}  // namespace postern::mail::dkim
