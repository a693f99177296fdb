/// An empty root, and folders that one cannot climb out of.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique.h"

namespace postern::sandbox {

/// How a folder is to be used.
enum class FolderUse : std::uint8_t { read_only, read_write };

/// Opens the folder at `path` as the root of a mount of its own, without programs, devices and set-uid: from this descriptor
/// no ".." leads out, not even after a break-in. Needs CAP_SYS_ADMIN; call it before the lock.
/// Errors: "sandbox.folder".
Result<Fd> open_confined_folder(const std::string& path, FolderUse use);

/// Puts the calling process in a mount namespace whose only mount is an empty read-only tmpfs. Single-threaded callers only.
/// Returns the way it was done: "pivot_root", or "chroot" where the host's root cannot be pivoted away from.
/// Errors: "sandbox.root".
Result<std::string> enter_empty_root();

}  // namespace postern::sandbox
