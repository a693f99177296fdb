#include "verifier/stall_guard.h"

#include <sys/time.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace postern::verifier {

namespace {

// A signal handler has no other way to know. Set once, before the first signal.
const Marker* watched = nullptr;
std::uint64_t step_at_last_tick = 0;

void on_tick(int /*signal*/) noexcept {
  const std::uint64_t step = watched->step_in_hand();
  if (step != 0 && step == step_at_last_tick) __builtin_trap();
  step_at_last_tick = step;
}

}  // namespace

std::chrono::seconds patience_for(std::uint64_t max_size) {
  constexpr std::uint64_t kBytesPerSecond = 8UL * 1024 * 1024;
  return std::chrono::seconds(10 + max_size / kBytesPerSecond);
}

Result<void> guard_against_stalls(const Marker& marker, std::chrono::seconds most) {
  watched = &marker;
  struct sigaction action {};
  action.sa_handler = on_tick;
  action.sa_flags = SA_RESTART;
  const itimerval each{.it_interval = {.tv_sec = most.count(), .tv_usec = 0}, .it_value = {.tv_sec = most.count(), .tv_usec = 0}};
  if (::sigaction(SIGVTALRM, &action, nullptr) != 0 || ::setitimer(ITIMER_VIRTUAL, &each, nullptr) != 0)
    return failure("stall.timer", std::strerror(errno));
  return {};
}

}  // namespace postern::verifier
