#include "privsep/child_lock.h"

#include <unistd.h>

#include "privsep/frame.h"
#include "privsep/messages.h"
#include "sandbox/lock.h"
#include "sandbox/policies.h"

namespace postern::privsep {

Result<LockedLayers> lock_child(const ChildLock& lock) {
  TRY_ASSIGN(const sandbox::Policy policy, sandbox::policy_for(name_of(lock.role)));
  sandbox::LockOptions options;
  options.privilege = lock.privileged ? sandbox::Privilege::root : sandbox::Privilege::none;
  options.uid = lock.uid;
  options.gid = lock.gid;
  options.parent = ::getppid();
  options.report_fd = lock.parent_socket;
  options.report_prefix = to_bytes(make_frame(SyscallReport::row, 0, ""));
  options.folders = lock.folders;
  options.before_filter = lock.before_filter;
  TRY_ASSIGN(const sandbox::LockReport report, sandbox::lock(policy, options));
  return LockedLayers{report.in(sandbox::LayerState::in_force), report.in(sandbox::LayerState::missing)};
}

}  // namespace postern::privsep
