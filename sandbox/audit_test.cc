#include "sandbox/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "sandbox/policies.h"

namespace postern::sandbox {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kStatus =
    "Name:\tpostern-queue\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t971\t971\t971\t971\nGid:\t961\t961\t961\t961\nGroups:\t \n"
    "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
    "CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t2\nSpeculation_Store_Bypass:\tvulnerable\n";
constexpr std::string_view kLimits =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max cpu time              unlimited            unlimited            seconds   \n"
    "Max core file size        0                    0                    bytes     \n"
    "Max processes             0                    0                    processes \n"
    "Max open files            4096                 4096                 files     \n"
    "Max locked memory         0                    0                    bytes     \n"
    "Max msgqueue size         0                    0                    bytes     \n";

Policy queue() { return *policy_for("queue", Edition::released); }

Expectation expected() {
  return {.uid = 971, .gid = 961, .filters = 2, .host_namespaces = {{"net", "net:[1]"}, {"ipc", "ipc:[2]"}, {"uts", "uts:[3]"}, {"mnt", "mnt:[4]"}}};
}

/// A queue as it should be.
Observed sound() {
  Observed o;
  o.threads = {parse_status(kStatus)};
  o.dumpable = false;
  o.namespaces = {{"net", "net:[11]"}, {"ipc", "ipc:[12]"}, {"uts", "uts:[13]"}, {"mnt", "mnt:[14]"}};
  o.mounts = {"613 612 0:55 / / ro,nosuid,nodev,noexec,relatime - tmpfs none ro,size=4k"};
  o.limits = parse_limits(kLimits);
  o.descriptors = {{0, "/dev/null", Held::null}, {3, "socket:[99]", Held::socket}, {7, "/var/lib/postern/queue/spool", Held::file}};
  return o;
}

TEST(Audit, FindsNothingInASoundProcess) {
  const auto report = compare(queue(), expected(), sound());
  EXPECT_THAT(report.differences, IsEmpty());
  EXPECT_GT(report.checks, 20U);
}

struct Fault {
  const char* name;
  std::function<void(Observed&)> make;
  const char* found;  ///< what the difference must say
};
class OneFault : public testing::TestWithParam<Fault> {};

TEST_P(OneFault, IsNamedAlone) {
  Observed observed = sound();
  GetParam().make(observed);
  const auto report = compare(queue(), expected(), observed);
  ASSERT_EQ(report.differences.size(), 1U) << testing::PrintToString(report.differences);
  EXPECT_THAT(report.differences[0], HasSubstr(GetParam().found));
}

INSTANTIATE_TEST_SUITE_P(
    Audit, OneFault,
    testing::Values(
        Fault{"Uid", [](Observed& o) { o.threads[0].uids[2] = 0; }, "Uid: expected 971, found 971 971 0 971"},
        Fault{"Gid", [](Observed& o) { o.threads[0].gids.fill(0); }, "Gid: expected 961, found 0 0 0 0"},
        Fault{"Groups", [](Observed& o) { o.threads[0].groups = {27}; }, "Groups: expected none, found 27"},
        Fault{"Bounding", [](Observed& o) { o.threads[0].capabilities["CapBnd"] = 1; }, "CapBnd: expected 0, found 1"},
        Fault{"NoCapabilityLine", [](Observed& o) { o.threads[0].capabilities.erase("CapEff"); }, "CapEff: expected 0, found no such line"},
        Fault{"NewPrivileges", [](Observed& o) { o.threads[0].no_new_privileges = 0; }, "NoNewPrivs: expected 1, found 0"},
        Fault{"NoFilter", [](Observed& o) { o.threads[0].seccomp = 0; }, "Seccomp: expected 2 (a filter), found 0"},
        Fault{"OneFilterOnly", [](Observed& o) { o.threads[0].filters = 1; }, "Seccomp_filters: expected 2 or more, found 1"},
        Fault{"AThreadWithoutFilter", [](Observed& o) { o.threads.push_back(o.threads[0]); o.threads[1].seccomp = 0; }, "Seccomp: expected 2"},
        Fault{"NoThread", [](Observed& o) { o.threads.clear(); }, "threads: expected at least one"},
        Fault{"Dumpable", [](Observed& o) { o.dumpable = true; }, "dumpable: expected no"},
        Fault{"HostNetwork", [](Observed& o) { o.namespaces["net"] = "net:[1]"; }, "namespace net: expected one of its own, found the host's, net:[1]"},
        Fault{"HostMounts", [](Observed& o) { o.namespaces["mnt"] = "mnt:[4]"; }, "namespace mnt: expected one of its own"},
        Fault{"UnknownNamespace", [](Observed& o) { o.namespaces.erase("ipc"); }, "namespace ipc: expected one of its own, found nothing"},
        Fault{"SecondMount", [](Observed& o) { o.mounts.push_back(o.mounts[0]); }, "mounts: expected one, the empty root, found 2"},
        Fault{"WritableRoot", [](Observed& o) { o.mounts[0].replace(o.mounts[0].find(" ro,"), 4, " rw,"); }, "root: expected a read-only tmpfs"},
        Fault{"RootOfTheHost", [](Observed& o) { o.mounts[0] = "21 1 8:1 / / ro - ext4 /dev/sda1 ro"; }, "root: expected a read-only tmpfs"},
        Fault{"HighLimit", [](Observed& o) { o.limits["NOFILE"].hard = 4097; }, "limit NOFILE: expected at most 4096, found 4096 4097"},
        Fault{"NoLimit", [](Observed& o) { o.limits["CORE"].soft = ~std::uint64_t{0}; }, "limit CORE: expected at most 0, found unlimited 0"},
        Fault{"Tty", [](Observed& o) { o.descriptors.push_back({2, "/dev/pts/0", Held::other}); }, "descriptor 2: expected a kind the policy names"},
        Fault{"Terminal", [](Observed& o) { o.descriptors.push_back({9, "\x1b[2J", Held::other}); }, "\\x1b[2J"}),
    [](const auto& param) { return std::string(param.param.name); });

TEST(Audit, AcceptsLowerLimits) {
  Observed observed = sound();
  observed.limits["NOFILE"] = {.soft = 1024, .hard = 1024};
  EXPECT_THAT(compare(queue(), expected(), observed).differences, IsEmpty());
}

TEST(Audit, ReadsKindsOfDescriptors) {
  EXPECT_EQ(kind_of("socket:[1]", false), Held::socket);
  EXPECT_EQ(kind_of("/memfd:body (deleted)", false), Held::memfd);
  EXPECT_EQ(kind_of("anon_inode:[eventpoll]", false), Held::epoll);
  EXPECT_EQ(kind_of("anon_inode:[perf_event]", false), Held::other);
  EXPECT_EQ(kind_of("/dev/null", false), Held::null);
  EXPECT_EQ(kind_of("/dev/mem", false), Held::other);
  EXPECT_EQ(kind_of("/var/lib/postern", true), Held::directory);
  EXPECT_EQ(kind_of("/var/lib/postern/x", false), Held::file);
}

TEST(Audit, DamagedStatusIsNeverSound) {
  for (std::size_t length = 0; length + 1 < kStatus.find("Speculation"); length += 7) {
    Observed observed = sound();
    observed.threads = {parse_status(kStatus.substr(0, length))};
    EXPECT_FALSE(compare(queue(), expected(), observed).differences.empty()) << length;
  }
}

// The test itself is no child of Postern: the reader must see that of a live process.
TEST(Audit, SeesThatThisProcessHasNoSandbox) {
  const auto host = own_namespaces();
  ASSERT_TRUE(host) << host.error().message;
  const auto report = audit(getpid(), queue(), {.uid = 971, .gid = 961, .filters = 1, .host_namespaces = *host});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_THAT(report->differences, Contains(HasSubstr("Seccomp: ")));
  EXPECT_THAT(report->differences, Contains(HasSubstr("Uid: ")));
  EXPECT_THAT(report->differences, Contains(HasSubstr("namespace net: ")));
  EXPECT_THAT(report->differences, Contains(HasSubstr("mounts: ")));
}

TEST(Audit, SaysWhenTheProcessIsGone) {
  const auto report = audit(0x7FFFFFFF, queue(), {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, "audit.read");
}

}  // namespace
}  // namespace postern::sandbox
