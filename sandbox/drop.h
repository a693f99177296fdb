/// Giving up rights, one kind at a time. lock.h puts the steps in order.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>

#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

/// Namespaces of its own but the mount namespace, as the policy says. Needs CAP_SYS_ADMIN. Errors: "sandbox.namespace".
Result<void> enter_namespaces(const Policy& policy);

/// Sets each limit, soft and hard. Where the present hard limit is lower, that one stays and is named in the answer.
/// Errors: "sandbox.limit".
Result<std::string> set_limits(std::span<const Limit> limits);

/// No groups but `gid`, no uid but `uid`, and no way back: a uid of 0 that can be taken again is an error.
/// Errors: "sandbox.ids" (also for uid or gid 0).
Result<void> become(uid_t uid, gid_t gid);

/// Empties the bounding, ambient and inheritable sets; permitted and effective follow in clear_capabilities(), after become().
/// Needs CAP_SETPCAP. Errors: "sandbox.capabilities".
Result<void> clear_bounding_set();
/// Empties the permitted, effective and inheritable sets, and sees that they are empty. Errors: "sandbox.capabilities".
Result<void> clear_capabilities();

/// Dies with its parent `parent` (PDEATHSIG is cleared by a change of uid, so this comes after become()). Errors:
/// "sandbox.parent" (the parent is gone already).
Result<void> die_with_parent(pid_t parent);

/// No new privileges by execve, and nobody may look into this process's memory. Errors: "sandbox.privileges".
Result<void> no_new_privileges();
Result<void> not_dumpable();

}  // namespace postern::sandbox
