// The last words of a process that its filter stops.
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "sandbox/seccomp.h"

namespace postern::sandbox {
namespace {

// What the handler needs. A signal handler has no other way to be told; written once, before the filter is loaded.
struct Reporter {
  int fd = -1;
  std::size_t prefix = 0;
  std::array<std::byte, kReportPrefixBytes + kBlockedCallBytes> record{};
};
Reporter reporter;

std::array<std::uint64_t, kArguments> arguments_of(const void* context) {
  const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  constexpr int kRegisters[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
  std::array<std::uint64_t, kArguments> arguments{};
  for (std::size_t i = 0; i < kArguments; ++i) arguments[i] = static_cast<std::uint64_t>(registers.gregs[kRegisters[i]]);
  return arguments;
#elif defined(__aarch64__)
  std::array<std::uint64_t, kArguments> arguments{};
  for (std::size_t i = 0; i < kArguments; ++i) arguments[i] = registers.regs[i];
  return arguments;
#else
#error "the registers of this architecture are not known; see seccomp(2)"
#endif
}

// Only calls that every policy allows, and no memory of the heap: the process may be anywhere.
void on_blocked(int, siginfo_t* info, void* context) noexcept {
  BlockedCall call{.number = static_cast<std::uint32_t>(info->si_syscall), .arguments = arguments_of(context),
                   .instruction = reinterpret_cast<std::uintptr_t>(info->si_call_addr)};
  write_blocked_call(call, std::span<std::byte, kBlockedCallBytes>(reporter.record.data() + reporter.prefix, kBlockedCallBytes));
  // A full channel loses the words, not the death.
  (void)!write(reporter.fd, reporter.record.data(), reporter.prefix + kBlockedCallBytes);
  syscall(SYS_exit_group, kBlockedExit);
}

template <class N>
std::byte* put(std::byte* out, N value) {
  for (std::size_t i = 0; i < sizeof(N); ++i) *out++ = static_cast<std::byte>(value >> (8 * i) & 0xFF);
  return out;
}
template <class N>
N take(ByteView& bytes) {
  N value = 0;
  for (std::size_t i = 0; i < sizeof(N); ++i) value |= static_cast<N>(static_cast<N>(bytes[i]) << (8 * i));
  bytes = bytes.subspan(sizeof(N));
  return value;
}

}  // namespace

void write_blocked_call(const BlockedCall& call, std::span<std::byte, kBlockedCallBytes> out) {
  std::byte* at = put(out.data(), call.number);
  for (const std::uint64_t argument : call.arguments) at = put(at, argument);
  put(at, call.instruction);
}

Result<BlockedCall> parse_blocked_call(ByteView bytes) {
  if (bytes.size() != kBlockedCallBytes) return failure("sandbox.report", "a report of " + std::to_string(bytes.size()) + " bytes");
  BlockedCall call;
  call.number = take<std::uint32_t>(bytes);
  for (std::uint64_t& argument : call.arguments) argument = take<std::uint64_t>(bytes);
  call.instruction = take<std::uint64_t>(bytes);
  return call;
}

Result<void> install_report_handler(int fd, ByteView prefix) {
  if (prefix.size() > kReportPrefixBytes) return failure("sandbox.handler", "the prefix of a report is too long");
  reporter.fd = fd;
  reporter.prefix = prefix.size();
  std::ranges::copy(prefix, reporter.record.begin());
  struct sigaction action {};
  action.sa_sigaction = on_blocked;
  action.sa_flags = SA_SIGINFO;
  sigset_t signal;
  sigemptyset(&signal);
  sigaddset(&signal, SIGSYS);
  if (sigaction(SIGSYS, &action, nullptr) != 0 || sigprocmask(SIG_UNBLOCK, &signal, nullptr) != 0)
    return failure("sandbox.handler", std::strerror(errno));
  return {};
}

std::string describe(std::string_view process, const BlockedCall& call) {
  std::string words = std::string(process) + " blocked on syscall " + std::to_string(call.number) + " (" +
                      system_call_name(call.number) + "), arguments";
  for (const std::uint64_t argument : call.arguments) {
    std::array<char, 24> hex{};
    std::snprintf(hex.data(), hex.size(), " 0x%llx", static_cast<unsigned long long>(argument));
    words += hex.data();
  }
  return words;
}

std::string needed_row(const BlockedCall& call) {
  return system_call_name(call.number) + "  -  allow  (the reason)";
}

}  // namespace postern::sandbox
