// What a locked process looks like from outside, and what lock() refuses.
#include "sandbox/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "sandbox/audit.h"
#include "sandbox/landlock.h"
#include "sandbox/policies.h"
#include "tests/sandbox/runner.h"

namespace postern::probe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LockedRole : public testing::TestWithParam<std::string_view> {};

sandbox::Expectation expected() {
  return {.uid = kProbeUid, .gid = kProbeUid, .filters = 1, .host_namespaces = *sandbox::own_namespaces()};
}

TEST_P(LockedRole, PassesTheAudit) {
  const Scratch scratch;
  const Waiting probe{std::string(GetParam()), scratch};
  ASSERT_EQ(probe.answer(), "done");
  const auto report = sandbox::audit(probe.pid(), *sandbox::policy_for(GetParam()), expected());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->differences, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Sandbox, LockedRole,
                         testing::Values("control", "signer", "resolver", "listener", "verifier", "queue", "remote", "mailbox", "web"),
                         [](const auto& param) { return std::string(param.param); });

TEST(Lock, ADifferentPolicyShowsInTheAudit) {
  const Scratch scratch;
  const Waiting probe("remote", scratch);  // the host's network, 4096 descriptors
  ASSERT_EQ(probe.answer(), "done");
  const auto report = sandbox::audit(probe.pid(), *sandbox::policy_for("control"), expected());
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->differences,
              ElementsAre(HasSubstr("namespace net: expected one of its own"), HasSubstr("limit NOFILE: expected at most 512, found 4096")));
}

TEST(Lock, RefusesAProcessWithThreads) {
  const Scratch scratch;
  EXPECT_THAT(run_probe("verifier", "early-thread", scratch).answer, HasSubstr("error sandbox.threads"));
}

TEST(Lock, RefusesToStayRoot) {
  const Scratch scratch;
  EXPECT_THAT(run_probe("verifier", "work", scratch, 0).answer, HasSubstr("error sandbox.ids"));
}

// --unprivileged keeps what anybody may put on, and says what is missing.
TEST(Lock, WithoutRootSaysWhatIsMissing) {
  const Scratch scratch;
  const Ended ended = run_probe("queue", "unprivileged", scratch);
  EXPECT_THAT(ended.answer, HasSubstr("in force: limits; no new privileges; not dumpable; landlock"));
  EXPECT_THAT(ended.answer, HasSubstr("seccomp ("));
  EXPECT_THAT(ended.answer, HasSubstr("missing: namespaces (needs root); empty root (needs root); own uid (needs root); no capabilities"));
  EXPECT_EQ(ended.exit_status, sandbox::kBlockedExit);
  ASSERT_TRUE(ended.last);
  EXPECT_EQ(sandbox::system_call_name(ended.last->number), "execve");
}

// The empty root hides everything already; here Landlock stands alone. The probe is root: file modes stop nothing.
TEST(Lock, LandlockAloneKeepsAProcessBeneathItsFolder) {
  if (sandbox::landlock_version() == 0) GTEST_FAIL() << "this kernel has no Landlock: the layer cannot be tested here";
  const Scratch scratch;
  const std::string denied = std::to_string(EACCES) + " ";
  const std::string not_openable = std::to_string(ENXIO) + " ";  // a socket: reached, but not a file
  EXPECT_EQ(run_probe("mailbox", "landlock-alone", scratch).answer, "before 0 " + not_openable + "0 after " + denied + denied + "0 ");
}

}  // namespace
}  // namespace postern::probe
