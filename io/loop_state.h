/// Inside io/ only: what a Loop holds.
#pragma once

#include <uv.h>

#include <list>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "io/loop.h"

namespace postern::io {

/// One signal's handler; its address is what libuv gets.
struct SignalState {
  uv_signal_t handle;
  std::function<void()> fn;
};

struct LoopState {
  static constexpr std::size_t kReadBytes = 64 * 1024;   ///< one receive
  static constexpr std::size_t kPlainBytes = 16 * 1024;  ///< a whole TLS record (RFC 8446 §5.1)
  static constexpr int kRounds = 8;  ///< how often one turn runs what arises at its end, before events get their chance

  uv_loop_t loop;
  uv_prepare_t prepare;
  uv_idle_t spin;  ///< runs while work is left: the loop does not sleep
  std::vector<std::function<void()>> posted;
  std::vector<std::function<void()>> running;
  std::vector<std::function<void()>> hooks;
  std::list<SignalState> signals;
  Deferred* deferred = nullptr;       ///< first of the armed tasks
  Deferred** deferred_end = &deferred;  ///< where the next one is linked
  unsigned threads = 0;
  std::vector<std::byte> read_buffer;   ///< shared by all streams: nothing is kept in it between events
  std::vector<std::byte> plain_buffer;

  bool ended = false;                   ///< the loop is being taken down: nothing new is run
  void wake() {
    if (!ended) uv_idle_start(&spin, [](uv_idle_t*) {});
  }
  void end_of_turn();
  void run_deferred();
  bool work_left() const { return !posted.empty() || deferred != nullptr; }
  void need_buffers() {
    if (read_buffer.empty()) {
      read_buffer.resize(kReadBytes);
      plain_buffer.resize(kPlainBytes);
    }
  }
};

/// Closes a handle and deletes its owner when libuv lets go of it.
template <class State, class Handle>
void close_and_delete(State* state, Handle* handle) {
  handle->data = state;
  uv_close(reinterpret_cast<uv_handle_t*>(handle),
           [](uv_handle_t* closed) noexcept { std::unique_ptr<State>(static_cast<State*>(closed->data)); });
}

}  // namespace postern::io
