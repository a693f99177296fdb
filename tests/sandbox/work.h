/// What a process of each role must still be able to do inside its sandbox.
#pragma once

#include "base/result.h"
#include "tests/sandbox/handed.h"

namespace postern::probe {

/// Starts what a role starts in LockOptions::before_filter (the mailbox its threads).
Result<void> start_threads(const Handed& handed);

/// Does the role's work once. Errors: "probe.work", naming the step that failed.
Result<void> work(const Handed& handed);

}  // namespace postern::probe
