/// A timer on a Loop. Ending the Timer stops it, also from inside its own callback.
#pragma once

#include <chrono>
#include <functional>

#include "io/loop.h"

namespace postern::io {

struct TimerState;

class Timer {
 public:
  explicit Timer(Loop& loop) : loop_(loop) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  /// Calls `fn` once after `delay` (less than a millisecond: in the next turn). Replaces what was started before.
  void start(std::chrono::milliseconds delay, std::function<void()> fn);
  /// Calls `fn` every `period`, first after one.
  void repeat(std::chrono::milliseconds period, std::function<void()> fn);
  /// Starts the last `fn` anew: the cheap way to push a deadline out. POSTERN_CHECK: started once before.
  void restart(std::chrono::milliseconds delay);
  void stop();
  bool active() const;

 private:
  TimerState& state();
  Loop& loop_;
  TimerState* state_ = nullptr;  // made at the first start; the loop frees it in its second phase
};

}  // namespace postern::io
