/// What a policy says in its statements must be what its rows do; a text that says two things is refused.
#pragma once

#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

/// Errors: "policy.contradiction".
Result<void> check_contradictions(const Policy& policy);

}  // namespace postern::sandbox
