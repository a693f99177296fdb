/// Passwords of accounts: argon2id (RFC 9106) in the encoded form "$argon2id$v=19$m=…,t=…,p=1$salt$hash".
///
/// Trust: a stored hash may come from elsewhere. Its cost is read and bounded before a byte of memory is taken for it, and one that
/// asks for several lanes is refused: libargon2 would start threads, and none can be started after the lock.
/// Both calls take tens of milliseconds: offload them.
#pragma once

#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::mailbox {

struct PasswordCost {
  std::uint32_t memory_kib = 19 * 1024;  ///< with two passes: the least OWASP names for argon2id
  std::uint32_t passes = 2;
};

/// Whether `password` may be set. Errors: "password.short", "password.long", "password.character" (NUL, CR or LF).
Result<void> check_password(const Secret& password);

/// Errors: those of check_password(), "password.hash" (no memory).
Result<std::string> hash_password(const Secret& password, crypto::Entropy& entropy, const PasswordCost& cost = {});

/// Whether `password` belongs to `encoded`. Errors: "password.format" (not argon2id, or a cost out of bounds), "password.hash".
Result<bool> verify_password(const Secret& password, std::string_view encoded);

}  // namespace postern::mailbox
