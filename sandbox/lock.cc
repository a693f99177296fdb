#include "sandbox/lock.h"

#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/drop.h"
#include "sandbox/landlock.h"
#include "sandbox/root.h"
#include "sandbox/seccomp.h"

namespace postern::sandbox {
namespace {

/// The steps in their order; each adds what it did to the report.
class Locker {
 public:
  Locker(const Policy& policy, const LockOptions& options) : policy_(policy), options_(options) {}

  Result<LockReport> run() {
    TRY(single_threaded());
    TRY(namespaces());
    TRY(root());
    TRY(limits());
    TRY(identity());
    TRY(privileges());
    TRY(landlock());
    if (options_.before_filter) TRY(options_.before_filter());
    TRY(filter());
    return std::move(report_);
  }

 private:
  using State = LayerState;
  static constexpr std::string_view kNeedsRoot = "needs root";

  bool root_given() const { return options_.privilege == Privilege::root; }
  Result<void> note(std::string_view name, State state, std::string_view detail = {}) {
    report_.layers.push_back({std::string(name), state, std::string(detail)});
    return {};
  }

  Result<void> single_threaded() const {
    struct stat tasks {};
    // Two links of its own and one for each thread. Without /proc there is nothing to count, and nothing to lose: go on.
    if (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 3)
      return failure("sandbox.threads", std::to_string(tasks.st_nlink - 2) + " threads before the lock; start them in before_filter");
    return {};
  }

  Result<void> namespaces() {
    if (!policy_.own_net && !policy_.own_ipc && !policy_.own_uts) return note("namespaces", State::not_wanted);
    if (!root_given()) return note("namespaces", State::missing, kNeedsRoot);
    TRY(enter_namespaces(policy_));
    return note("namespaces", State::in_force, policy_.namespace_statement.value);
  }

  Result<void> root() {
    if (!policy_.empty_root) return note("empty root", State::not_wanted);
    if (!root_given()) return note("empty root", State::missing, kNeedsRoot);
    TRY_ASSIGN(const std::string way, enter_empty_root());
    return note("empty root", State::in_force, way);
  }

  Result<void> limits() {
    TRY_ASSIGN(const std::string lower, set_limits(policy_.limits));
    return note("limits", State::in_force, lower);
  }

  Result<void> identity() {
    if (!policy_.empty_root) {
      TRY(note("own uid", State::not_wanted));
      return note("no capabilities", State::not_wanted);
    }
    if (!root_given()) {
      TRY(note("own uid", State::missing, kNeedsRoot));
      TRY(clear_capabilities());
      return note("no capabilities", State::missing, "the bounding set needs root");
    }
    TRY(clear_bounding_set());
    TRY(become(options_.uid, options_.gid));
    TRY(clear_capabilities());
    TRY(note("own uid", State::in_force, std::to_string(options_.uid)));
    return note("no capabilities", State::in_force);
  }

  Result<void> privileges() {
    if (options_.parent != 0) TRY(die_with_parent(options_.parent));
    TRY(no_new_privileges());
    TRY(note("no new privileges", State::in_force));
    if (policy_.empty_root) TRY(not_dumpable());
    return note("not dumpable", policy_.empty_root ? State::in_force : State::not_wanted);
  }

  Result<void> landlock() {
    if (policy_.files == Files::all) return note("landlock", State::not_wanted);
    auto version = restrict_with_landlock(policy_, options_.folders);
    if (version) return note("landlock", State::in_force, "version " + std::to_string(*version));
    if (landlock_version() == 0) return note("landlock", State::missing, version.error().message);
    return tl::unexpected<Error>(std::move(version).error());
  }

  Result<void> filter() {
    const bool report = options_.report_fd >= 0;
    if (report) TRY(install_report_handler(options_.report_fd, options_.report_prefix));
    TRY_ASSIGN(const Filter compiled, Filter::compile(policy_, static_cast<std::uint32_t>(getpid()),
                                                      report ? Filter::OnViolation::report : Filter::OnViolation::kill));
    TRY(compiled.load());
    return note("seccomp", State::in_force, std::to_string(policy_.rules.size()) + " rows");
  }

  const Policy& policy_;
  const LockOptions& options_;
  LockReport report_;
};

}  // namespace

std::vector<std::string> LockReport::in(LayerState state) const {
  std::vector<std::string> names;
  for (const Layer& layer : layers)
    if (layer.state == state) names.push_back(layer.detail.empty() ? layer.name : layer.name + " (" + layer.detail + ")");
  return names;
}

Result<LockReport> lock(const Policy& policy, const LockOptions& options) { return Locker(policy, options).run(); }

}  // namespace postern::sandbox
