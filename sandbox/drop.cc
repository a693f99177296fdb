#include "sandbox/drop.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace postern::sandbox {
namespace {

tl::unexpected<Error> failed(std::string_view code, std::string_view what) {
  return failure(code, std::string(what) + ": " + std::strerror(errno));
}

/// The highest capability the kernel may know; it refuses those beyond its own last one with EINVAL.
constexpr unsigned long kCapabilities = 64;

}  // namespace

Result<void> enter_namespaces(const Policy& policy) {
  struct Wanted {
    bool wanted;
    int flag;
    std::string_view name;
  };
  for (const Wanted& space : {Wanted{policy.own_net, CLONE_NEWNET, "network"}, Wanted{policy.own_ipc, CLONE_NEWIPC, "ipc"},
                              Wanted{policy.own_uts, CLONE_NEWUTS, "uts"}})
    if (space.wanted && unshare(space.flag) != 0) return failed("sandbox.namespace", space.name);
  return {};
}

Result<std::string> set_limits(std::span<const Limit> limits) {
  std::string lower;
  for (const Limit& limit : limits) {
    rlimit present{};
    if (getrlimit(static_cast<__rlimit_resource_t>(limit.resource), &present) != 0) return failed("sandbox.limit", limit.name);
    const rlim_t value = std::min<rlim_t>(limit.value, present.rlim_max);
    if (value < limit.value) lower += (lower.empty() ? "" : ", ") + limit.name + " stays at " + std::to_string(value);
    const rlimit wanted{.rlim_cur = value, .rlim_max = value};
    if (setrlimit(static_cast<__rlimit_resource_t>(limit.resource), &wanted) != 0) return failed("sandbox.limit", limit.name);
  }
  return lower;
}

Result<void> become(uid_t uid, gid_t gid) {
  if (uid == 0 || gid == 0) return failure("sandbox.ids", "uid and gid must not be root's");
  if (setgroups(0, nullptr) != 0) return failed("sandbox.ids", "setgroups");
  if (setresgid(gid, gid, gid) != 0) return failed("sandbox.ids", "setresgid");
  if (setresuid(uid, uid, uid) != 0) return failed("sandbox.ids", "setresuid");
  if (setuid(0) == 0 || geteuid() == 0) return failure("sandbox.ids", "root could be taken again");
  return {};
}

Result<void> clear_bounding_set() {
  for (unsigned long capability = 0; capability < kCapabilities; ++capability)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) return failed("sandbox.capabilities", "the bounding set");
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return failed("sandbox.capabilities", "the ambient set");
  return {};
}

Result<void> clear_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (syscall(SYS_capset, &header, sets.data()) != 0) return failed("sandbox.capabilities", "capset");
  if (syscall(SYS_capget, &header, sets.data()) != 0) return failed("sandbox.capabilities", "capget");
  for (const auto& set : sets)
    if ((set.effective | set.permitted | set.inheritable) != 0) return failure("sandbox.capabilities", "some are left");
  return {};
}

Result<void> die_with_parent(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed("sandbox.parent", "PDEATHSIG");
  if (getppid() != parent) return failure("sandbox.parent", "the parent is gone");
  return {};
}

Result<void> no_new_privileges() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("sandbox.privileges", "no new privileges");
  return {};
}

Result<void> not_dumpable() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return failed("sandbox.privileges", "not dumpable");
  return {};
}

}  // namespace postern::sandbox
