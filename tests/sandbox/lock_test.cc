// What a locked process looks like from outside, and what lock() refuses.
#include "sandbox/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
              ElementsAre(HasSubstr("namespace net: expected one of its own"), HasSubstr("limit NOFILE: expected at most 512, found 4096"),
                          HasSubstr("limit FSIZE: expected at most 0, found unlimited")));
}

TEST(Lock, RefusesAProcessWithThreads) {
  const Scratch scratch;
  EXPECT_THAT(run_probe("verifier", "early-thread", scratch).answer, HasSubstr("error sandbox.threads"));
}

TEST(Lock, RefusesToStayRoot) {
  const Scratch scratch;
  EXPECT_THAT(run_probe("verifier", "work", scratch, 0).answer, HasSubstr("error sandbox.ids"));
}

}  // namespace
}  // namespace postern::probe
