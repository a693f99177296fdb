// Every role is locked with its real policy and then tries everything on the list of attacks.
#include "tests/sandbox/attacks.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sandbox/landlock.h"
#include "sandbox/policies.h"
#include "tests/sandbox/runner.h"

namespace postern::probe {
namespace {

/// Where a policy grants, or answers otherwise than the rest, and why that is right.
struct Exception {
  std::string_view role;
  std::string_view attack;
  Expected expected;
  const char* reason;
};

constexpr Expected kAllowed{Fate::allowed, 0};

const Exception kExceptions[] = {
    {"remote", "a TCP socket", kAllowed, "it sends mail to other servers"},
    {"remote", "a UDP socket", kAllowed, "socket(INET|INET6) is granted; without a route of its own it reaches what remote may reach"},
    {"remote", "connect to another's socket", refused(ENOENT), "connect is granted, but the empty root has no such name"},
    {"remote", "connect to an abstract socket", refused(EPERM), "connect is granted, but Landlock keeps it in its own domain"},
    {"resolver", "a TCP socket", kAllowed, "DNS over TCP"},
    {"resolver", "a UDP socket", kAllowed, "DNS"},
    {"resolver", "connect to another's socket", refused(ENOENT), "connect is granted, but the empty root has no such name"},
    {"resolver", "connect to an abstract socket", refused(EPERM), "connect is granted, but Landlock keeps it in its own domain"},
    {"listener", "accept", kAllowed, "clients arrive on a socket the parent bound"},
    {"control", "accept", kAllowed, "posternctl arrives on a socket the parent bound"},
    {"web", "accept", kAllowed, "browsers arrive on a socket the parent bound"},
    {"queue", "clone3", refused(ENOSYS), "libc falls back to clone, whose flags the filter sees"},
    {"mailbox", "clone3", refused(ENOSYS), "libc falls back to clone, whose flags the filter sees"},
};
/// Sockets of any kind, where libraries probe: refused, and the process lives.
constexpr std::string_view kProbesSockets[] = {"listener", "web"};

Expected expectation(std::string_view role, const Attack& attack) {
  for (const Exception& e : kExceptions)
    if (e.role == role && e.attack == attack.name) return e.expected;
  if (attack.call == SYS_socket && std::ranges::find(kProbesSockets, role) != std::end(kProbesSockets)) return refused(EACCES);
  if (sandbox::kThisEdition == sandbox::Edition::sanitized) {  // sandbox/sanitizer.policy
    if (attack.call == SYS_personality || attack.call == SYS_prctl || attack.call == SYS_process_vm_readv) return refused(EPERM);
  }
  return attack.expected;
}

class EveryRole : public testing::TestWithParam<std::string_view> {
 protected:
  static const Scratch& scratch() {
    static const Scratch one;
    return one;
  }
};

void expect_fate(const std::string& role, const Attack& attack, const Expected& expected, const Ended& ended) {
  const std::string what = role + " tries \"" + std::string(attack.name) + "\": answer \"" + ended.answer + "\", exit " +
                           std::to_string(ended.exit_status) + ", signal " + std::to_string(ended.signal);
  switch (expected.fate) {
    case Fate::blocked:
      EXPECT_EQ(ended.exit_status, sandbox::kBlockedExit) << what;
      ASSERT_TRUE(ended.last) << what << ": no last words";
      EXPECT_EQ(ended.last->number, static_cast<std::uint32_t>(attack.call)) << what << ", " << sandbox::describe(role, *ended.last);
      EXPECT_EQ(ended.answer, "") << what;
      return;
    case Fate::refused:
      EXPECT_EQ(ended.answer, "refused " + std::to_string(expected.error)) << what;
      EXPECT_FALSE(ended.last) << what << ", " << (ended.last ? sandbox::describe(role, *ended.last) : "");
      return;
    case Fate::killed:
      // A kernel built without i386's table answers with SIGSEGV before any filter is asked.
      EXPECT_TRUE(ended.signal == SIGSYS || (ended.signal == SIGSEGV && attack.name == "another call table")) << what;
      EXPECT_EQ(ended.answer, "") << what;
      return;
    case Fate::allowed:
      EXPECT_EQ(ended.answer, "allowed") << what << (ended.last ? sandbox::describe(role, *ended.last) : "");
      return;
  }
}

TEST_P(EveryRole, MeetsEveryAttack) {
  const std::string role(GetParam());
  for (const Attack& attack : attacks()) expect_fate(role, attack, expectation(role, attack), run_probe(role, std::string(attack.name), scratch()));
}

TEST_P(EveryRole, StillDoesItsWork) {
  const Ended ended = run_probe(std::string(GetParam()), "work", scratch());
  EXPECT_EQ(ended.answer, "done") << (ended.last ? sandbox::describe(GetParam(), *ended.last) + "; needs " + sandbox::needed_row(*ended.last) : "");
}

// In earnest a child's filter stands on its parent's, which execve does not take off.
TEST_P(EveryRole, StillDoesItsWorkUnderTheParentsFilter) {
  const Ended ended = run_probe(std::string(GetParam()), "under-parent", scratch());
  EXPECT_EQ(ended.answer, "done") << (ended.last ? sandbox::describe(GetParam(), *ended.last) : "");
}

TEST_P(EveryRole, DiesOfABrokenInvariantAndNotOfItsFilter) {
  const Ended ended = run_probe(std::string(GetParam()), "abort", scratch());
  EXPECT_EQ(ended.signal, SIGABRT) << (ended.last ? sandbox::describe(GetParam(), *ended.last) : "");
}

INSTANTIATE_TEST_SUITE_P(Sandbox, EveryRole,
                         testing::Values("control", "signer", "resolver", "listener", "verifier", "queue", "remote", "mailbox", "web"),
                         [](const auto& param) { return std::string(param.param); });

// The parent is root, with the host's files and network; what is left to refuse are the doors to the kernel.
TEST(Parent, IsRefusedTheDoorsToTheKernel) {
  const Scratch scratch;
  for (const std::string_view name :
       {"bpf", "userfaultfd", "io_uring_setup", "io_uring_enter", "perf_event_open", "keyctl", "add_key", "load a module", "load a module file",
        "another kernel", "reboot", "swapon", "quotas", "the clock", "a call of tomorrow", "trace the parent", "read the parent's memory",
        "write the parent's memory", "take the parent's descriptor", "open by handle", "shared memory", "watch all files", "enter a namespace"}) {
    const Attack* attack = attack_named(name);
    ASSERT_NE(attack, nullptr) << name;
    const Ended ended = run_probe("parent", std::string(name), scratch);
    EXPECT_EQ(ended.answer, "refused " + std::to_string(EPERM)) << name;
  }
}

TEST(LastWords, NameProcessCallArgumentsAndTheRowItWouldNeed) {
  const Scratch scratch;
  const Ended ended = run_probe("verifier", "accept", scratch);
  ASSERT_TRUE(ended.last);
  const std::string words = sandbox::describe("verifier", *ended.last);
  EXPECT_TRUE(words.starts_with("verifier blocked on syscall " + std::to_string(SYS_accept4) + " (accept4), arguments 0x")) << words;
  EXPECT_EQ(ended.last->arguments[3], 0x80000U);  // SOCK_CLOEXEC
  EXPECT_NE(ended.last->instruction, 0U);
  EXPECT_EQ(sandbox::needed_row(*ended.last), "accept4  -  allow  (the reason)");
}

TEST(Attacks, ExceptionsNameWhatIsThere) {
  for (const Exception& exception : kExceptions) {
    EXPECT_NE(attack_named(exception.attack), nullptr) << exception.attack;
    EXPECT_TRUE(sandbox::policy_for(exception.role)) << exception.role;
    EXPECT_NE(std::string_view(exception.reason), "");
  }
}

}  // namespace
}  // namespace postern::probe
