/// The policy's rows as a filter in the kernel, and what a process that meets it says last.
///
/// A filter is exact: for every call and all arguments it does what decide() of policy.h says, except that a 32-bit argument
/// with odd upper halves is refused where the text speaks of equality with a 64-bit one. Foreign architectures and x32 are
/// killed. A violation is a trap: the handler writes a BlockedCall to a descriptor and ends the process; where the handler
/// is gone or its signal is blocked, the kernel ends the process without last words.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

/// Exit status of a process that its filter ended by way of the handler: 128 + SIGSYS, as a shell would say.
inline constexpr int kBlockedExit = 159;

/// Whether a call of this name is known, here or on another architecture.
bool is_system_call(std::string_view name);
/// The name of call `number` on this architecture; "call 999" for one without a name.
std::string system_call_name(std::uint32_t number);

/// A filter made from a policy, not yet in force.
class Filter {
 public:
  enum class OnViolation : std::uint8_t { report, kill };

  /// Errors: "sandbox.filter".
  static Result<Filter> compile(const Policy& policy, std::uint32_t own_id, OnViolation on_violation);

  /// Puts it in force for every thread of this process; there is no way back. Errors: "sandbox.filter".
  Result<void> load() const;
  /// The program the kernel would run. Errors: "sandbox.filter".
  Result<std::vector<sock_filter>> program() const;

 private:
  struct Release {
    void operator()(void* context) const;
  };
  explicit Filter(void* context) : context_(context) {}
  std::unique_ptr<void, Release> context_;
};

/// What a blocked process did.
struct BlockedCall {
  std::uint32_t number = 0;
  std::array<std::uint64_t, kArguments> arguments{};
  std::uint64_t instruction = 0;
};
/// Its form on the wire: number (4 bytes), arguments (6 × 8), instruction (8), little-endian, as the codec of privsep writes it.
inline constexpr std::size_t kBlockedCallBytes = 4 + 8 * kArguments + 8;
inline constexpr std::size_t kReportPrefixBytes = 64;  ///< most that may stand before it (the header of a frame)

/// Writes the wire form. Safe in a signal handler.
void write_blocked_call(const BlockedCall& call, std::span<std::byte, kBlockedCallBytes> out);
/// Reads it; the sender is the process that was just blocked, so nothing in it is believed.
/// Errors: "sandbox.report" (wrong length).
Result<BlockedCall> parse_blocked_call(ByteView bytes);

/// Makes this process write `prefix` and the blocked call as one record to `fd` and exit with kBlockedExit when its filter
/// traps. Call it before load(). Errors: "sandbox.handler".
Result<void> install_report_handler(int fd, ByteView prefix);

/// "queue blocked on syscall 257 (openat), arguments 0xffffff9c 0x7f…": for the log.
std::string describe(std::string_view process, const BlockedCall& call);
/// The row the policy of `process` would need for it, with the reason left to write.
std::string needed_row(const BlockedCall& call);

}  // namespace postern::sandbox
