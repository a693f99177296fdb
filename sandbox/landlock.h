/// Landlock: what a process may still reach in the file system and on the network, whatever its descriptors and filter say.
///
/// Best effort: the kernel's version is asked, and what it does not know is left out. Already open descriptors go on working.
#pragma once

#include <span>

#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

/// The kernel's Landlock version, 0 where there is none.
int landlock_version();

/// Restricts the calling thread, and those it starts later, to what `policy` says of files and network. Beneath each of
/// `folders` (descriptors of directories) files may be read, written, made, renamed and removed; used for Files::beneath only.
/// Returns the version used. Errors: "sandbox.landlock" (also where the kernel has none: the caller decides).
Result<int> restrict_with_landlock(const Policy& policy, std::span<const int> folders);

}  // namespace postern::sandbox
