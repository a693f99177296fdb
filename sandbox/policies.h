/// The policies that are built in: printed, compiled and audited from the same bytes.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

/// Every process's policy text, by the name of its folder or role: "parent", "control", "signer", "resolver", "listener",
/// "verifier", "queue", "remote", "mailbox", "web".
std::span<const PolicyText> policy_texts();

/// A build with sanitizers needs a few calls more (sanitizer.policy); it is never shipped.
enum class Edition : std::uint8_t { released, sanitized };
#ifdef POSTERN_SANITIZED
inline constexpr Edition kThisEdition = Edition::sanitized;
#else
inline constexpr Edition kThisEdition = Edition::released;
#endif

/// The policy of a process. "verifier-in" and "verifier-out" share "verifier"'s.
/// Errors: "policy.unknown", and those of parse_policy().
Result<Policy> policy_for(std::string_view process, Edition edition = kThisEdition);

}  // namespace postern::sandbox
