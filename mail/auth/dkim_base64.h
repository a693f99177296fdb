/// base64 as DKIM writes it: folding white space anywhere, padding that may be left out (RFC 6376 §2.10 base64string).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "mail/auth/tag_list.h"

namespace postern::mail::dkim {

/// The octets of a tag's value; nullopt when it is empty or no base64.
inline std::optional<Bytes> decode_base64(std::string_view value) {
  std::string plain = without_fws(value);
  if (plain.empty()) return std::nullopt;
  while (plain.size() % 4 != 0) plain.push_back('=');
  return crypto::from_base64(plain);
}

}  // namespace postern::mail::dkim
