/// Puts a child into its sandbox: the policy of its role, with the last words of its trap handler addressed to the parent.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "privsep/role.h"

namespace postern::privsep {

struct LockedLayers {
  std::vector<std::string> in_force;
  std::vector<std::string> missing;
};

struct ChildLock {
  Role role = Role::parent;
  unsigned uid = 0, gid = 0;
  bool privileged = false;
  int parent_socket = -1;
  std::vector<int> folders;                       ///< descriptors of folders a policy with `landlock beneath` may work in
  std::function<Result<void>()> before_filter;    ///< the place to start threads
};

/// After this call the process is locked; there is no way back. Errors: those of sandbox::lock() and sandbox::policy_for().
Result<LockedLayers> lock_child(const ChildLock& lock);

}  // namespace postern::privsep
