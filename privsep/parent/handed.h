/// What the parent opens for the others: folders, files and listening sockets, by the rows of process_table.h.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique.h"
#include "privsep/parent/config_file.h"
#include "privsep/parent/process_table.h"

namespace postern::privsep {

struct OpenedFile {
  Role role;
  std::string name;
  std::string detail;
  Fd fd;
};

struct UserIds {
  unsigned uid = 0, gid = 0;
};

/// The ids of the user `name`. Errors: "start.user" (with the command that makes one).
Result<UserIds> find_user(const std::string& name);

/// Locks server.state_dir (made if missing) against a second daemon, for as long as the descriptor lives; a file in it holds this
/// daemon's pid. Errors: "start.lock" (with the pid of the other), "start.folder".
Result<Fd> lock_state_folder(const Settings& settings);

/// Opens (and makes) everything the rows name. Folders become the property of the process's user where `privileged`.
/// Errors: "start.folder", "start.file", "start.listen", each naming path or address and the system's reason.
Result<std::vector<OpenedFile>> open_handed(const Settings& settings, bool privileged);

}  // namespace postern::privsep
