#include "io/loop.h"

#include <cstdlib>
#include <string>

#include "base/check.h"
#include "io/loop_state.h"

namespace postern::io {

void LoopState::run_deferred() {
  // Only what is armed now: a task that arms itself again waits for the next round.
  Deferred* list = deferred;
  if (list == nullptr) return;
  list->link_ = &list;
  deferred = nullptr;
  deferred_end = &deferred;
  while (list != nullptr) {
    Deferred* task = list;
    task->disarm();
    task->task_();
  }
}

void LoopState::end_of_turn() {
  for (int round = 0; round < kRounds; ++round) {
    running.swap(posted);
    for (const auto& fn : running) fn();
    running.clear();
    for (const auto& hook : hooks) hook();
    run_deferred();
    if (!work_left()) break;
  }
  if (work_left()) wake();
  else uv_idle_stop(&spin);
}

Loop::Loop() : state_(std::make_unique<LoopState>()) {
  LoopState& s = *state_;
  POSTERN_CHECK(uv_loop_init(&s.loop) == 0);
  uv_prepare_init(&s.loop, &s.prepare);
  uv_idle_init(&s.loop, &s.spin);
  s.prepare.data = &s;
  uv_prepare_start(&s.prepare, [](uv_prepare_t* handle) noexcept { static_cast<LoopState*>(handle->data)->end_of_turn(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(&s.prepare));
}

Loop::~Loop() {
  LoopState& s = *state_;
  s.ended = true;
  // What was posted is for services that have ended: it is let go of unrun. What it held closes in the turns that follow.
  std::exchange(s.posted, {}).clear();
  uv_close(reinterpret_cast<uv_handle_t*>(&s.prepare), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&s.spin), nullptr);
  for (SignalState& signal : s.signals) uv_close(reinterpret_cast<uv_handle_t*>(&signal.handle), nullptr);
  constexpr int kTurns = 4;  // closing handles are freed in one; what they let go of needs no more
  for (int i = 0; i < kTurns; ++i) uv_run(&s.loop, UV_RUN_NOWAIT);
  POSTERN_CHECK(uv_loop_close(&s.loop) == 0);
}

void Loop::run() {
  uv_run(&state_->loop, UV_RUN_DEFAULT);
  state_->end_of_turn();  // stop() ends a turn before its end: what was written must still leave
}

void Loop::stop() { uv_stop(&state_->loop); }

void Loop::turn() {
  uv_run(&state_->loop, UV_RUN_NOWAIT);
  state_->end_of_turn();
}

WallTime Loop::now() const {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}
SteadyTime Loop::steady() const { return std::chrono::steady_clock::now(); }

uv_loop_s* Loop::uv() { return &state_->loop; }

void Loop::post(std::function<void()> fn) {
  if (state_->ended) return;
  state_->posted.push_back(std::move(fn));
  state_->wake();
}

void Loop::on_signal(int signal, std::function<void()> fn) {
  SignalState& s = state_->signals.emplace_back();
  s.fn = std::move(fn);
  s.handle.data = &s;
  POSTERN_CHECK(uv_signal_init(&state_->loop, &s.handle) == 0);
  POSTERN_CHECK(uv_signal_start(
                    &s.handle, [](uv_signal_t* handle, int) noexcept { static_cast<SignalState*>(handle->data)->fn(); },
                    signal) == 0);
  uv_unref(reinterpret_cast<uv_handle_t*>(&s.handle));
}

void Loop::before_block(std::function<void()> fn) { state_->hooks.push_back(std::move(fn)); }

Result<void> Loop::start_threads(unsigned count) {
  // libuv makes its pool at the first job, with the size the environment then says.
  if (setenv("UV_THREADPOOL_SIZE", std::to_string(count).c_str(), 1) != 0) return failure("loop.threads", "no room in the environment");
  uv_loop_t starter;
  if (uv_loop_init(&starter) != 0) return failure("loop.threads", "no loop");
  uv_work_t job;
  const int queued = uv_queue_work(&starter, &job, [](uv_work_t*) {}, [](uv_work_t*, int) {});
  uv_run(&starter, UV_RUN_DEFAULT);
  POSTERN_CHECK(uv_loop_close(&starter) == 0);
  if (queued != 0) return failure("loop.threads", uv_strerror(queued));
  state_->threads = count;
  return {};
}

namespace {
struct Job {
  uv_work_t request;
  std::function<void()> work;
  std::function<void()> done;
};
}  // namespace

void Loop::offload(std::function<void()> work, std::function<void()> done) {
  POSTERN_CHECK(state_->threads > 0);
  auto job = std::make_unique<Job>();
  job->work = std::move(work);
  job->done = std::move(done);
  job->request.data = job.get();
  const int queued = uv_queue_work(
      &state_->loop, &job->request, [](uv_work_t* request) noexcept { static_cast<Job*>(request->data)->work(); },
      [](uv_work_t* request, int) noexcept {
        const std::unique_ptr<Job> finished(static_cast<Job*>(request->data));
        finished->done();
      });
  POSTERN_CHECK(queued == 0);
  static_cast<void>(job.release());
}

void Deferred::arm() {
  if (link_ != nullptr) return;
  LoopState& s = loop_.state();
  next_ = nullptr;
  link_ = s.deferred_end;
  *link_ = this;
  s.deferred_end = &next_;
  s.wake();
}

void Deferred::disarm() {
  if (link_ == nullptr) return;
  LoopState& s = loop_.state();
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  else if (s.deferred_end == &next_) s.deferred_end = link_;
  next_ = nullptr;
  link_ = nullptr;
}

}  // namespace postern::io
