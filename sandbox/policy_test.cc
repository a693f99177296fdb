#include "sandbox/policy.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "sandbox/limits.h"
#include "sandbox/policies.h"
#include "sandbox/seccomp.h"

namespace postern::sandbox {
namespace {

constexpr std::string_view kHead = R"(# demo: a title
network    none       it talks to nobody
namespace  net mount  kept apart
root       empty      nothing to read
landlock   none       nothing to read
otherwise  kill       what is not listed is not allowed
)";

Result<Policy> parse(const std::string& rest) { return parse_policy("demo", std::string(kHead) + rest, {}); }

TEST(Policy, ReadsStatementsAndRows) {
  const auto policy = parse(
      "rlimit  NOFILE 64K  many clients\n"
      "holds   socket memfd  channels\n"
      "call  when  action  why\n"
      "mmap   !(prot & EXEC)   allow   heap and bodies\n"
      "openat  -  ENOENT  nothing to open\n");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->title, "demo: a title");
  EXPECT_TRUE(policy->own_net && policy->own_mount && policy->empty_root);
  EXPECT_FALSE(policy->own_ipc);
  ASSERT_EQ(policy->limits.size(), 1U);
  EXPECT_EQ(policy->limits[0].value, 65536U);
  EXPECT_TRUE(policy->may_hold(Held::memfd));
  EXPECT_FALSE(policy->may_hold(Held::file));
  ASSERT_EQ(policy->rules.size(), 2U);
  EXPECT_EQ(policy->rules[0].why, "heap and bodies");
  EXPECT_EQ(policy->rules[1].action.error, ENOENT);
}

struct Wrong {
  const char* line;
  const char* words;  ///< what the error must say
};
class WrongLine : public testing::TestWithParam<Wrong> {};

TEST_P(WrongLine, IsRefusedWithItsNumber) {
  const auto policy = parse(std::string(GetParam().line) + "\n");
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().code, "policy.syntax");
  EXPECT_NE(policy.error().message.find("demo, line 7: "), std::string::npos) << policy.error().message;
  EXPECT_NE(policy.error().message.find(GetParam().words), std::string::npos) << policy.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    Policy, WrongLine,
    testing::Values(Wrong{"read  -  allow", "reason may not be missing"}, Wrong{"read  -  allow  ", "reason may not be missing"},
                    Wrong{"read - allow one blank is no column", "reason may not be missing"},
                    Wrong{"rlimit  NOFILE 5", "needs a value and a reason"}, Wrong{"raed  -  allow  why", "no system call and no statement"},
                    Wrong{"read  -  alow  why", "no action"}, Wrong{"read  -  EBUSY  why", "no action"},
                    Wrong{"read  fd = 1  allow  why", "argument \"fd\" of read is not known"},
                    Wrong{"mmap  prot & EXECUTE  allow  why", "\"EXECUTE\" is no value"},
                    Wrong{"mmap  prot & 0  allow  why", "mask without a bit"}, Wrong{"mmap  !(prot | EXEC)  allow  why", "expected"},
                    Wrong{"mmap  prot & EXEC and prot & WRITE  allow  why", "compared twice"},
                    Wrong{"openat  dirfd >= 3  allow  why", "with 0 only"}, Wrong{"socket  domain = INET|  allow  why", "\"\" is no value"},
                    Wrong{"network  none  twice", "stands here twice"}, Wrong{"rlimit  BEER 6  why", "no limit"},
                    Wrong{"rlimit  NOFILE many  why", "no number"}, Wrong{"holds  cats  why", "no kind of descriptor"},
                    Wrong{"include  nothing  why", "to include"}, Wrong{"call  when  why  action", "head of the table"}));

TEST(Policy, RefusesARowThatCanNeverDecide) {
  const auto policy = parse("read  -  allow  all\nread  -  kill  never reached\n");
  ASSERT_FALSE(policy);
  EXPECT_NE(policy.error().message.find("line 8"), std::string::npos);
}

TEST(Policy, RefusesASilentDefault) {
  for (const std::string_view left_out : {"network", "namespace", "root", "landlock", "otherwise"}) {
    std::string text(kHead);
    const auto at = text.find("\n" + std::string(left_out)) + 1;
    text.erase(at, text.find('\n', at) + 1 - at);
    const auto policy = parse_policy("demo", text, {});
    ASSERT_FALSE(policy) << left_out;
    EXPECT_NE(policy.error().message.find("\"" + std::string(left_out) + "\""), std::string::npos) << policy.error().message;
  }
}

struct Contradiction {
  const char* rows;
  const char* words;
};
TEST(Policy, RefusesRowsThatBelieTheStatements) {
  for (const Contradiction& c : {Contradiction{"connect  -  allow  why\n", "network none, but connect"},
                                 Contradiction{"accept4  -  allow  why\n", "network none, but accept4"},
                                 Contradiction{"openat  dirfd >= 0  allow  why\n", "landlock none, but openat"},
                                 Contradiction{"fcntl  op = GETFL|SETFL  allow  why\nfcntl  -  EPERM  else\n", "row for all other"},
                                 Contradiction{"fcntl  op = GETFL  allow  why\nfcntl  op = SETFL  allow  why\nfcntl  -  EPERM  else\n",
                                               "row for all other"},
                                 Contradiction{"tgkill  process = SELF  allow  why\ntgkill  process = SELF  ENOENT  why\n", "can both hold"},
                                 Contradiction{"tgkill  process = SELF  allow  why\ntgkill  process = 1  ENOENT  why\n", "can both hold"},
                                 Contradiction{"mmap  prot & EXEC  EPERM  why\nmmap  flags & ANONYMOUS  allow  why\n", "can both hold"},
                                 Contradiction{"mmap  prot & EXEC  kill  why\nmmap  prot & WRITE  allow  why\n", "can both hold"}}) {
    const auto policy = parse(c.rows);
    ASSERT_FALSE(policy) << c.rows;
    EXPECT_EQ(policy.error().code, "policy.contradiction");
    EXPECT_NE(policy.error().message.find(c.words), std::string::npos) << policy.error().message;
  }
}

TEST(Policy, RowsThatExcludeEachOtherMaySayDifferentThings) {
  for (const char* rows : {"fcntl  op = GETFL  allow  why\nfcntl  op = SETFL  EPERM  why\n", "mmap  prot & EXEC  EPERM  why\nmmap  !(prot & EXEC) and flags & ANONYMOUS  allow  why\n",
                           "mmap  prot & EXEC  EPERM  why\nmmap  prot = WRITE  allow  why\n", "mmap  prot & EXEC  allow  why\nmmap  flags & ANONYMOUS  allow  why\n"}) {
    const auto policy = parse(rows);
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_TRUE(Filter::compile(*policy, 1, Filter::OnViolation::report)) << rows;
  }
}

TEST(Policy, OwnRowsStandInThePlaceOfIncludedOnes) {
  const PolicyText base{"base", "openat  -  ENOENT  none\nread  -  allow  all\n"};
  const auto policy = parse_policy("demo", std::string(kHead) + "include  base  all need it\nread  -  EPERM  not here\n", {&base, 1});
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(decide(*policy, "read", {}, 1), (Action{Verdict::refuse, EPERM}));
  EXPECT_EQ(decide(*policy, "openat", {}, 1), (Action{Verdict::refuse, ENOENT}));
  EXPECT_EQ(policy->rules.back().origin, "base");
}

TEST(Policy, IncludedTextsHoldRowsOnly) {
  const PolicyText base{"base", "network  all  sneaked in\n"};
  const auto policy = parse_policy("demo", std::string(kHead) + "include  base  all need it\n", {&base, 1});
  ASSERT_FALSE(policy);
  EXPECT_NE(policy.error().message.find("base, line 1"), std::string::npos);
}

TEST(Policy, LimitsOfTheTextHold) {
  const std::string at_limit(limits::kPolicyLines - 7, '\n');  // kHead ends in an empty seventh line
  EXPECT_TRUE(parse(at_limit));
  EXPECT_FALSE(parse(at_limit + "\n"));
  EXPECT_TRUE(parse("read  -  allow  " + std::string(limits::kWhyBytes, 'x') + "\n"));
  EXPECT_FALSE(parse("read  -  allow  " + std::string(limits::kWhyBytes + 1, 'x') + "\n"));
}

TEST(Policy, ConditionsLookAtWhatTheKernelLooksAt) {
  const auto policy = parse_policy("demo",
                                   "# t\nnetwork  connect  a\nnamespace  host  a\nroot  host  a\nlandlock  all  a\notherwise  kill  a\n"
                                   "socket  domain = INET|INET6  allow  why\nopenat  dirfd >= 0  allow  why\ntgkill  process = SELF  allow  why\n"
                                   "newfstatat  dirfd >= 0 and flags & EMPTY_PATH  allow  why\n",
                                   {});
  ASSERT_TRUE(policy) << policy.error().message;
  const auto verdict = [&](std::string_view call, std::uint64_t a, std::uint64_t d = 0) {
    return decide(*policy, call, {a, 0, 0, d, 0, 0}, 77).verdict;
  };
  EXPECT_EQ(verdict("socket", 2), Verdict::allow);
  EXPECT_EQ(verdict("socket", 1), Verdict::kill);
  EXPECT_EQ(verdict("openat", 5), Verdict::allow);
  EXPECT_EQ(verdict("openat", 0xFFFF'FF9CU), Verdict::kill);                  // AT_FDCWD
  EXPECT_EQ(verdict("openat", 0xABCD'0000'FFFF'FF9CU), Verdict::kill);        // the kernel drops the upper half
  EXPECT_EQ(verdict("tgkill", 77), Verdict::allow);
  EXPECT_EQ(verdict("tgkill", 78), Verdict::kill);
  EXPECT_EQ(verdict("newfstatat", 3, 0x1000), Verdict::allow);
  EXPECT_EQ(verdict("newfstatat", 3, 0), Verdict::kill);
}

TEST(Policies, EveryBuiltInPolicyIsSound) {
  EXPECT_EQ(policy_texts().size(), 10U);
  for (const PolicyText& text : policy_texts()) {
    const auto looser = policy_for(text.name, Edition::sanitized);
    ASSERT_TRUE(looser) << looser.error().message;
    const auto policy = policy_for(text.name, Edition::released);
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_LT(policy->rules.size(), looser->rules.size());
    EXPECT_TRUE(policy->title.starts_with("postern")) << text.name;
    for (const Rule& rule : policy->rules) EXPECT_FALSE(rule.why.empty()) << text.name << " " << rule.call;
  }
  EXPECT_TRUE(policy_for("verifier-in"));
  EXPECT_EQ(policy_for("kitchen").error().code, "policy.unknown");
}

// The parent's filter is inherited: what it forbids, no child can allow.
TEST(Policies, TheParentAllowsWhatItsChildrenNeed) {
  const auto parent = policy_for("parent");
  ASSERT_TRUE(parent);
  for (const PolicyText& text : policy_texts()) {
    const auto child = policy_for(text.name);
    ASSERT_TRUE(child);
    for (const Rule& rule : child->rules) {
      if (rule.action.verdict != Verdict::allow) continue;
      bool allowed = false;
      for (const Rule& own : parent->rules)
        allowed = allowed || (own.call == rule.call && own.action.verdict == Verdict::allow && (own.when.empty() || own.when_text == rule.when_text));
      EXPECT_TRUE(allowed) << text.name << " allows " << rule.call << " " << rule.when_text << ", the parent does not";
    }
  }
}

TEST(Policies, OnlyTheParentMayDoWhatBreaksAHouse) {
  for (const PolicyText& text : policy_texts()) {
    const auto policy = policy_for(text.name);
    for (const Rule& rule : policy->rules) {
      if (rule.action.verdict != Verdict::allow) continue;
      for (const char* call : {"ptrace", "bpf", "userfaultfd", "io_uring_setup", "init_module", "finit_module", "kexec_load", "process_vm_writev",
                               "perf_event_open", "keyctl", "add_key", "name_to_handle_at", "open_by_handle_at"})
        EXPECT_NE(rule.call, call) << text.name;
      if (text.name == "parent") continue;
      for (const char* call : {"execve", "execveat", "fork", "vfork", "kill", "mount", "unshare", "setns", "setresuid", "seccomp", "chroot"})
        EXPECT_NE(rule.call, call) << text.name;
    }
  }
}

}  // namespace
}  // namespace postern::sandbox
