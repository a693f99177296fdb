/// Time comes in through a Clock, so that a test can be anywhere in it.
#pragma once

#include <chrono>

namespace postern {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;    ///< what people and other machines call the time
using SteadyTime = std::chrono::steady_clock::time_point;             ///< for durations; never jumps

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime now() const = 0;
  virtual SteadyTime steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime now() const override {
    return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  }
  SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

/// A clock that stands still until it is moved. For tests and for `--at`.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime start = WallTime{std::chrono::seconds{1'700'000'000}}) : wall_(start) {}
  WallTime now() const override { return wall_; }
  SteadyTime steady() const override { return steady_; }
  void advance(std::chrono::milliseconds by) {
    wall_ += by;
    steady_ += by;
  }

 private:
  WallTime wall_;
  SteadyTime steady_{};
};

}  // namespace postern
