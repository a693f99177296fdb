/// The event loop of a process: one thread, no locks. Everything that waits is a Timer, a Watch, a TcpStream or an
/// Acceptor on it. Owns libuv's loop; no libuv type leaves io/.
///
/// One turn of the loop: ready descriptors and due timers are handled → posted functions → before_block hooks → Deferred
/// tasks → sleep. Posted functions and tasks that arise on the way run in the same turn or in the next one, never after a sleep.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/result.h"

struct uv_loop_s;

namespace postern::io {

struct LoopState;
class Deferred;

/// Also the process's Clock: real time, and a steady time read afresh at each call.
class Loop final : public Clock {
 public:
  Loop();
  /// Every Timer, Watch, TcpStream and Acceptor of this loop must have ended before. Functions posted and not yet run are let go of
  /// unrun: what they would touch may be gone.
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Handles events until stop() is called or nothing is left to wait for.
  void run();
  /// Lets run() return after this turn.
  void stop();
  /// Handles what is ready, without sleeping. For tests.
  void turn();

  WallTime now() const override;
  SteadyTime steady() const override;

  /// Runs `fn` once, from the loop, after the callback that is running now and before the loop sleeps. Only from this thread.
  void post(std::function<void()> fn);

  /// Calls `fn` from the loop for each delivery of `signal`; it is an ordinary callback, not a signal handler.
  void on_signal(int signal, std::function<void()> fn);

  /// `fn` is called in every turn after all that was ready has been handled and before the loop sleeps: the place for
  /// work on a batch, such as one commit for many requests. It may write, post and start timers.
  void before_block(std::function<void()> fn);

  /// Makes the `count` threads of offload(). Threads cannot be made after the sandbox is closed: call it before.
  /// One pool for the process, whatever loop asks. Errors: "loop.threads".
  Result<void> start_threads(unsigned count);
  /// Runs `work` on a pool thread, then `done` on this thread. `work` must touch nothing this thread uses meanwhile.
  void offload(std::function<void()> work, std::function<void()> done);

  uv_loop_s* uv();           ///< for io/ only
  LoopState& state() { return *state_; }  ///< for io/ only

 private:
  std::unique_ptr<LoopState> state_;
};

/// A task to run at the end of this turn, once however often it is armed: coalesces what many events cause (one send for many
/// writes). Costs no allocation to arm. Ending it disarms it; it must not end inside its own task.
class Deferred {
 public:
  Deferred(Loop& loop, std::function<void()> task) : loop_(loop), task_(std::move(task)) {}
  ~Deferred() { disarm(); }
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;

  void arm();
  void disarm();

 private:
  friend struct LoopState;
  Loop& loop_;
  std::function<void()> task_;
  Deferred* next_ = nullptr;
  Deferred** link_ = nullptr;  // what points at this, null while disarmed
};

}  // namespace postern::io
