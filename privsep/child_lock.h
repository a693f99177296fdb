/// Puts a child into its sandbox: the policy of its role, with the last words of its trap handler addressed to the parent.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "privsep/role.h"

namespace postern::privsep {

struct LockedLayers {
  std::vector<std::string> in_force;
  std::vector<std::string> missing;
};

/// After this call the process is locked; there is no way back. Errors: those of sandbox::lock().
Result<LockedLayers> lock_child(Role role, unsigned uid, unsigned gid, bool privileged, int parent_socket);

}  // namespace postern::privsep
