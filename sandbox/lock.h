/// The last thing a process does before the first byte from outside: it gives up everything its policy does not grant.
///
/// The order is that of DESIGN §2: namespaces, empty root, limits, uid and capabilities, no new privileges, Landlock, seccomp.
/// Any layer that should be there and cannot be put on is an error; the process must then end. Without root
/// (`--unprivileged`, development) the layers that need it are reported as missing, and so they appear in every audit.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

enum class Privilege : std::uint8_t {
  root,  ///< started by root: every layer, or an error
  none,  ///< --unprivileged: the layers that anybody may put on
};

struct LockOptions {
  Privilege privilege = Privilege::root;
  uid_t uid = 0;  ///< to become; used with Privilege::root, and never 0 (but for the parent, which stays)
  gid_t gid = 0;
  pid_t parent = 0;          ///< die with this process; 0: do not (the parent itself)
  int report_fd = -1;        ///< where a blocked call is written before the process ends; -1: the kernel ends it silently
  Bytes report_prefix;       ///< what stands before it: the header of a frame, at most kReportPrefixBytes
  std::vector<int> folders;  ///< descriptors of folders in which a policy with `landlock beneath` may work
  /// Runs when all but the filter is on: the place to start threads, which then inherit everything (a thread that is there
  /// earlier would keep its rights, so lock() refuses to run in a process with more than one). Its errors end the lock.
  std::function<Result<void>()> before_filter;
};

enum class LayerState : std::uint8_t { in_force, missing, not_wanted };

/// One layer of the sandbox and what became of it.
struct Layer {
  std::string name;    ///< "namespaces", "empty root", "limits", "uid", "capabilities", "no new privileges", "landlock", "seccomp" …
  LayerState state = LayerState::missing;
  std::string detail;  ///< how, or why not; may be empty
};

struct LockReport {
  std::vector<Layer> layers;
  /// "name (detail)" of the layers in `state`, for the parent and the log.
  std::vector<std::string> in(LayerState state) const;
};

/// Puts `policy` in force for this process; there is no way back. A process whose policy's root is the host's (the parent)
/// keeps its uid and capabilities.
/// Errors: "sandbox.threads", and those of the steps (drop.h, root.h, seccomp.h): the process has then lost some of its rights
/// and must end.
Result<LockReport> lock(const Policy& policy, const LockOptions& options);

}  // namespace postern::sandbox
