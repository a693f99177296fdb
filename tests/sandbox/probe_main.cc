// sandbox_probe ROLE ACTION SCRATCH UID: locks itself as ROLE would, does ACTION, and says on descriptor 3 what came of it.
//   ACTION: an attack's name | work | abort | wait | early-thread | under-parent (locks as the parent, then starts itself to work)
//     | unprivileged (locks without root) | landlock-alone (puts on no other layer, then climbs out of a plain folder)
//   Descriptor 4 takes the last words of a blocked call. Answers: "allowed", "refused ERRNO", "done", "error CODE WORDS".
// It is started anew for each attempt, as the parent starts its children.
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "sandbox/landlock.h"
#include "sandbox/lock.h"
#include "sandbox/policies.h"
#include "tests/sandbox/attacks.h"
#include "tests/sandbox/work.h"

namespace postern::probe {
namespace {

constexpr int kAnswerFd = 3;
constexpr int kReportFd = 4;

void answer(const std::string& words) { (void)!write(kAnswerFd, words.data(), words.size()); }
[[noreturn]] void give_up(const Error& error) {
  answer("error " + std::string(error.code) + " " + error.message);
  _exit(3);
}

struct Order {
  std::string role, action, scratch;
  uid_t uid = 0;
};

sandbox::LockOptions options_for(const Order& order, const Handed& handed) {
  sandbox::LockOptions options;
  options.uid = order.uid;
  options.gid = order.uid;
  options.parent = getppid();
  options.report_fd = kReportFd;
  options.report_prefix = to_bytes("words:");
  if (handed.folder) options.folders.push_back(handed.folder.get());
  options.before_filter = [&handed] { return start_threads(handed); };
  if (order.role == "parent") options.parent = 0;
  return options;
}

void act(const Order& order, const sandbox::Policy& policy, Handed& handed) {
  if (order.action == "work") {
    if (auto worked = work(handed); !worked) give_up(worked.error());
    answer("done");
  } else if (order.action == "wait") {
    if (!policy.may_hold(sandbox::Held::memfd)) handed.memfd.reset();  // handed over for the attacks only
    answer("done");
    for (;;) poll(nullptr, 0, -1);
  } else if (order.action == "abort") {
    POSTERN_CHECK(order.action.empty());
  } else if (const Attack* attack = attack_named(order.action)) {
    const long result = attack->run(handed, order.scratch);
    answer(result == -1 ? "refused " + std::to_string(errno) : "allowed");
  } else {
    answer("error probe.action no such action");
  }
}

/// As a child is started in earnest: its parent has a filter already, and execve keeps it.
void start_under_parent(const Order& order) {
  const auto policy = sandbox::policy_for("parent");
  if (!policy) give_up(policy.error());
  sandbox::LockOptions options;
  if (const auto locked = sandbox::lock(*policy, options); !locked) give_up(locked.error());
  const std::string uid = std::to_string(order.uid);
  execl("/proc/self/exe", "sandbox_probe", order.role.c_str(), "work", order.scratch.c_str(), uid.c_str(), nullptr);
  give_up({"probe.exec", std::strerror(errno)});
}

std::string joined(const std::vector<std::string>& names) {
  std::string words;
  for (const std::string& name : names) words += name + "; ";
  return words;
}

/// --unprivileged: a user without rights locks itself and says which layers it has.
void lock_without_root(const Order& order) {
  if (setgroups(0, nullptr) != 0 || setresgid(order.uid, order.uid, order.uid) != 0 || setresuid(order.uid, order.uid, order.uid) != 0)
    give_up({"probe.setup", std::strerror(errno)});
  const auto policy = sandbox::policy_for(order.role);
  if (!policy) give_up(policy.error());
  sandbox::LockOptions options;
  options.privilege = sandbox::Privilege::none;
  options.parent = getppid();
  options.report_fd = kReportFd;
  options.report_prefix = to_bytes("words:");
  const auto locked = sandbox::lock(*policy, options);
  if (!locked) give_up(locked.error());
  answer("in force: " + joined(locked->in(sandbox::LayerState::in_force)) + "missing: " + joined(locked->in(sandbox::LayerState::missing)));
  syscall(SYS_execve, "/bin/sh", nullptr, nullptr);
  answer(" and execve came back");
  _exit(0);
}

/// Landlock without the other layers: a plain folder that the host's files can be reached from.
void climb_against_landlock(const Order& order) {
  const auto policy = sandbox::policy_for(order.role);
  if (!policy) give_up(policy.error());
  const Fd folder(open((order.scratch + "/folder").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const int folders[] = {folder.get()};
  const auto try_all = [&folder] {
    std::string words;
    for (const char* name : {"../../../../../../etc/passwd", "../victim", "inside"}) {
      const Fd opened(openat(folder.get(), name, O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
      words += std::to_string(opened ? 0 : errno) + " ";
    }
    return words;
  };
  const std::string before = try_all();
  if (const auto restricted = sandbox::restrict_with_landlock(*policy, folders); !restricted) give_up(restricted.error());
  answer("before " + before + "after " + try_all());
  _exit(0);
}

int run(const Order& order) {
  if (order.action == "under-parent") start_under_parent(order);
  if (order.action == "unprivileged") lock_without_root(order);
  if (order.action == "landlock-alone") climb_against_landlock(order);
  std::thread early;
  if (order.action == "early-thread") early = std::thread([] { pause(); });
  const auto policy = sandbox::policy_for(order.role);
  if (!policy) give_up(policy.error());
  auto handed = hand_over(order.role, order.scratch);
  if (!handed) give_up(handed.error());
  const auto locked = sandbox::lock(*policy, options_for(order, *handed));
  if (!locked) give_up(locked.error());
  act(order, *policy, *handed);
  _exit(0);  // without the destructors and leak checks of an orderly end: the sandbox is all that is looked at
}

}  // namespace
}  // namespace postern::probe

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  signal(SIGPIPE, SIG_IGN);
  signal(SIGSEGV, SIG_DFL);  // a sanitizer's own handler would turn a death into an exit
  tzset();
  return postern::probe::run({argv[1], argv[2], argv[3], static_cast<uid_t>(std::strtoul(argv[4], nullptr, 10))});
}
