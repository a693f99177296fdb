#include "io/watch.h"

#include <utility>

#include "base/check.h"
#include "io/loop_state.h"

namespace postern::io {

struct WatchState {
  uv_poll_t handle;
  Watch::Ready fn;
  Interest interest = Interest::none;
  bool ended = false;

  void apply();
};

namespace {

void ready(uv_poll_t* handle, int status, int events) noexcept {
  auto* state = static_cast<WatchState*>(handle->data);
  Interest now = Interest::none;
  if (status < 0) now = Interest::both;  // libuv has stopped watching; the caller's next read or write tells why
  if ((events & UV_READABLE) != 0) now = now | Interest::readable;
  if ((events & UV_WRITABLE) != 0) now = now | Interest::writable;
  state->fn(now);
  if (status < 0 && !state->ended) state->apply();
}

}  // namespace

void WatchState::apply() {
  int events = 0;
  if (has(interest, Interest::readable)) events |= UV_READABLE;
  if (has(interest, Interest::writable)) events |= UV_WRITABLE;
  POSTERN_CHECK(events == 0 ? uv_poll_stop(&handle) == 0 : uv_poll_start(&handle, events, ready) == 0);
}

Watch::Watch(Loop& loop, int fd, Ready on_ready) {
  auto made = std::make_unique<WatchState>();
  made->fn = std::move(on_ready);
  POSTERN_CHECK(uv_poll_init(loop.uv(), &made->handle, fd) == 0);
  made->handle.data = made.get();
  state_ = made.release();
}

Watch::Watch(Watch&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

Watch::~Watch() {
  if (state_ == nullptr) return;
  state_->ended = true;
  close_and_delete(state_, &state_->handle);
}

void Watch::set(Interest interest) {
  if (state_->interest == interest) return;
  state_->interest = interest;
  state_->apply();
}

Interest Watch::interest() const { return state_->interest; }

}  // namespace postern::io
