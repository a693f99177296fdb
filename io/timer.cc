#include "io/timer.h"

#include "base/check.h"
#include "io/loop_state.h"

namespace postern::io {

struct TimerState {
  uv_timer_t handle;
  std::function<void()> fn;
  bool ended = false;
};

namespace {

void fire(uv_timer_t* handle) noexcept {
  auto* state = static_cast<TimerState*>(handle->data);
  // The callback may start the timer anew or end it: it does not run from where it is kept.
  std::function<void()> fn = std::move(state->fn);
  state->fn = nullptr;
  fn();
  if (!state->ended && !state->fn) state->fn = std::move(fn);
}

std::uint64_t ticks(std::chrono::milliseconds delay) {
  return delay.count() > 0 ? static_cast<std::uint64_t>(delay.count()) : 0;
}

void start_at(TimerState& state, std::chrono::milliseconds delay, std::uint64_t period) {
  uv_update_time(state.handle.loop);  // a long callback must not shorten the delay
  uv_timer_start(&state.handle, fire, ticks(delay), period);
}

}  // namespace

TimerState& Timer::state() {
  if (state_ == nullptr) {
    auto made = std::make_unique<TimerState>();
    POSTERN_CHECK(uv_timer_init(loop_.uv(), &made->handle) == 0);
    made->handle.data = made.get();
    state_ = made.release();
  }
  return *state_;
}

Timer::~Timer() {
  if (state_ == nullptr) return;
  state_->ended = true;
  close_and_delete(state_, &state_->handle);
}

void Timer::start(std::chrono::milliseconds delay, std::function<void()> fn) {
  state().fn = std::move(fn);
  start_at(*state_, delay, 0);
}

void Timer::repeat(std::chrono::milliseconds period, std::function<void()> fn) {
  state().fn = std::move(fn);
  start_at(*state_, period, std::max<std::uint64_t>(ticks(period), 1));
}

void Timer::restart(std::chrono::milliseconds delay) {
  POSTERN_CHECK(state_ != nullptr);
  start_at(*state_, delay, 0);
}

void Timer::stop() {
  if (state_ != nullptr) uv_timer_stop(&state_->handle);
}

bool Timer::active() const {
  return state_ != nullptr && uv_is_active(reinterpret_cast<const uv_handle_t*>(&state_->handle)) != 0;
}

}  // namespace postern::io
