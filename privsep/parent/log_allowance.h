/// How much one process may write into the log. A broken one may say lines without end: what is past the allowance is dropped, counted,
/// and the count is said, so that the log stays readable and the disk whole.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "base/clock.h"

namespace postern::privsep {

/// A bucket of bytes that fills with time. What full load writes stays far below it.
class LogAllowance {
 public:
  static constexpr std::uint64_t kBytesPerSecond = 4UL * 1024 * 1024;
  static constexpr std::uint64_t kBurstBytes = 8UL * 1024 * 1024;
  static constexpr std::uint64_t kLineBytes = 64;  ///< what a line costs besides its text: time, level, names

  /// Whether a line of `bytes` may be written now.
  bool admits(std::size_t bytes, SteadyTime now) {
    // A second fills more than half of it, so no longer time need be looked at, and nothing can overflow.
    const auto passed = std::clamp<std::chrono::milliseconds>(std::chrono::duration_cast<std::chrono::milliseconds>(now - filled_),
                                                              std::chrono::milliseconds(0), std::chrono::seconds(10));
    if (passed.count() > 0) {
      left_ = std::min(kBurstBytes, left_ + static_cast<std::uint64_t>(passed.count()) * kBytesPerSecond / 1000);
      filled_ = now;
    }
    const std::uint64_t cost = bytes + kLineBytes;
    if (cost > left_) {
      ++dropped_;
      ++dropped_ever_;
      return false;
    }
    left_ -= cost;
    return true;
  }
  /// Lines dropped since the last call.
  std::uint64_t take_dropped() { return std::exchange(dropped_, 0); }
  std::uint64_t dropped_ever() const { return dropped_ever_; }

 private:
  std::uint64_t left_ = kBurstBytes;
  std::uint64_t dropped_ = 0, dropped_ever_ = 0;
  SteadyTime filled_{};
};

}  // namespace postern::privsep
