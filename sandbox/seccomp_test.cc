#include "sandbox/seccomp.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <random>

#include "sandbox/policies.h"

namespace postern::sandbox {
namespace {

constexpr std::uint32_t kOwnId = 4321;
#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

/// Runs a filter as the kernel would (classic BPF, the instructions a filter may use).
std::uint32_t run(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::uint32_t a = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& i = program[pc];
    switch (i.code) {
      case BPF_LD | BPF_W | BPF_ABS: std::memcpy(&a, reinterpret_cast<const char*>(&data) + i.k, sizeof(a)); break;
      case BPF_ALU | BPF_AND | BPF_K: a &= i.k; break;
      case BPF_JMP | BPF_JA: pc += i.k; break;
      case BPF_JMP | BPF_JEQ | BPF_K: pc += a == i.k ? i.jt : i.jf; break;
      case BPF_JMP | BPF_JGT | BPF_K: pc += a > i.k ? i.jt : i.jf; break;
      case BPF_JMP | BPF_JGE | BPF_K: pc += a >= i.k ? i.jt : i.jf; break;
      case BPF_RET | BPF_K: return i.k;
      default: ADD_FAILURE() << "instruction " << i.code; return 0;
    }
  }
  ADD_FAILURE() << "ran off the end";
  return 0;
}

std::uint32_t code_of(const Action& action) {
  switch (action.verdict) {
    case Verdict::allow: return SECCOMP_RET_ALLOW;
    case Verdict::refuse: return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(action.error);
    case Verdict::kill: return SECCOMP_RET_TRAP;
  }
  return 0;
}

seccomp_data call_of(int number, const std::array<std::uint64_t, kArguments>& arguments) {
  seccomp_data data{};
  data.nr = number;
  data.arch = kArchitecture;
  for (std::size_t i = 0; i < kArguments; ++i) data.args[i] = arguments[i];
  return data;
}

class EveryPolicy : public testing::TestWithParam<std::string_view> {};

// The text says what the filter does: all calls, with arguments drawn from what the policy compares and its neighbours.
TEST_P(EveryPolicy, IsCompiledExactly) {
  const auto policy = policy_for(GetParam());
  ASSERT_TRUE(policy) << policy.error().message;
  const auto filter = Filter::compile(*policy, kOwnId, Filter::OnViolation::report);
  ASSERT_TRUE(filter) << filter.error().message;
  const auto program = filter->program();
  ASSERT_TRUE(program) << program.error().message;
  std::vector<std::uint64_t> values{0, 1, 2, 3, 4, 5, 7, kOwnId, kOwnId + 1, 0x7FFF'FFFF, 0x8000'0000, 0xFFFF'FF9C, 0xFFFF'FFFF'FFFF'FF9C,
                                    0x1'0000'0000, 0x1'0000'0004, ~std::uint64_t{0}};
  for (const Rule& rule : policy->rules)
    for (const Clause& clause : rule.when)
      for (const std::uint64_t value : clause.values) values.insert(values.end(), {value, value + 1, value | 0x5'0000'0000, ~value});
  std::mt19937_64 random(1);  // a fixed seed: the same cases each time
  constexpr int kCalls = 470;
  constexpr int kTries = 300;
  for (int number = 0; number < kCalls; ++number) {
    const std::string name = system_call_name(static_cast<std::uint32_t>(number));
    for (int i = 0; i < kTries; ++i) {
      std::array<std::uint64_t, kArguments> arguments{};
      for (auto& argument : arguments) argument = values[random() % values.size()];
      ASSERT_EQ(run(*program, call_of(number, arguments)), code_of(decide(*policy, name, arguments, kOwnId)))
          << name << std::hex << " " << arguments[0] << " " << arguments[1] << " " << arguments[2] << " " << arguments[3];
    }
  }
}

TEST_P(EveryPolicy, KillsForeignArchitectures) {
  const auto filter = Filter::compile(*policy_for(GetParam()), kOwnId, Filter::OnViolation::report);
  ASSERT_TRUE(filter);
  const auto program = filter->program();
  ASSERT_TRUE(program);
  seccomp_data data = call_of(0, {});
  data.arch = AUDIT_ARCH_I386;
  EXPECT_EQ(run(*program, data), SECCOMP_RET_KILL_PROCESS);
#if defined(__x86_64__)
  EXPECT_EQ(run(*program, call_of(0x4000'0000 + 1, {})), SECCOMP_RET_KILL_PROCESS);  // x32's write
#endif
}

INSTANTIATE_TEST_SUITE_P(Seccomp, EveryPolicy,
                         testing::Values("parent", "control", "signer", "resolver", "listener", "verifier", "queue", "remote", "mailbox", "web"),
                         [](const auto& param) { return std::string(param.param); });

TEST(Seccomp, KillsWithoutATrapWhereThatIsAskedFor) {
  const auto filter = Filter::compile(*policy_for("verifier"), kOwnId, Filter::OnViolation::kill);
  ASSERT_TRUE(filter);
  EXPECT_EQ(run(*filter->program(), call_of(SYS_execve, {})), SECCOMP_RET_KILL_PROCESS);
}

TEST(BlockedCall, SurvivesTheWire) {
  const BlockedCall call{.number = SYS_openat, .arguments = {0xFFFF'FF9C, 1, 2, 3, 4, ~std::uint64_t{0}}, .instruction = 0x7F00'1234'5678};
  Bytes bytes(kBlockedCallBytes);
  write_blocked_call(call, std::span<std::byte, kBlockedCallBytes>(bytes));
  const auto read = parse_blocked_call(bytes);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->number, call.number);
  EXPECT_EQ(read->arguments, call.arguments);
  EXPECT_EQ(read->instruction, call.instruction);
  bytes.pop_back();
  EXPECT_FALSE(parse_blocked_call(bytes));
  bytes.resize(kBlockedCallBytes + 1);
  EXPECT_FALSE(parse_blocked_call(bytes));
}

TEST(BlockedCall, IsDescribedByName) {
  const BlockedCall call{.number = SYS_openat, .arguments = {0xFFFF'FF9C, 0, 0, 0, 0, 0}, .instruction = 0};
  EXPECT_EQ(describe("queue", call), "queue blocked on syscall " + std::to_string(SYS_openat) + " (openat), arguments 0xffffff9c 0x0 0x0 0x0 0x0 0x0");
  EXPECT_EQ(needed_row(call), "openat  -  allow  (the reason)");
  EXPECT_EQ(system_call_name(9999), "call 9999");
}

}  // namespace
}  // namespace postern::sandbox
