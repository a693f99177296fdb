/// The state of the house as the pages show it: read from the parent's snapshots, with the little history that rates need.
///
/// Trust: the parent made the JSON, but names, ends and labels in it come from other processes. Wrong types and surplus are left
/// out; nothing here is escaped yet, the template does that.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "privsep/messages.h"

namespace postern::web {

struct ProcessState {
  std::string name;
  std::string state;                     ///< "running", "starting" …
  std::uint64_t pid = 0;
  std::uint64_t uid = 0;
  std::chrono::seconds up{0};
  std::uint64_t restarts = 0;
  std::uint64_t seccomp_deaths = 0;
  std::string last_end;                  ///< how the one before ended; empty: there was none
  std::vector<std::string> in_force;     ///< layers of its sandbox
  std::vector<std::string> missing;
  bool runs() const { return state == "running"; }
};

/// One number a process counts: `name`, or `name{labels}`.
struct Sample {
  std::string name;
  std::string labels;
  std::uint64_t value = 0;
};

/// One picture of the house.
struct Snapshot {
  bool running = false;                  ///< every process does what it is for
  std::string smtp;                      ///< where SMTP is spoken
  std::vector<ProcessState> processes;
  std::vector<Sample> samples;
  std::string metrics_text;              ///< Prometheus text format

  /// The sum over all processes and labels; nothing when nobody counts it.
  std::optional<std::uint64_t> total(std::string_view name) const;
  std::optional<std::uint64_t> value(std::string_view name, std::string_view labels) const;
};

/// Nothing for what is not the JSON of a status.
std::optional<Snapshot> read_snapshot(const privsep::StatusSnapshot& message);

/// How many more of something there were in each second of a window, the last second last.
struct Trend {
  std::vector<std::uint64_t> per_second;
  std::chrono::seconds window{0};        ///< how much of the past is known, at most limits::kRateWindow
  std::uint64_t sum() const;
  double per_minute() const;
};

/// Counters as they went. A counter that fell began anew at zero, with a process that was restarted.
class History {
 public:
  void add(SteadyTime at, std::uint64_t counter);
  Trend trend(SteadyTime now) const;

 private:
  struct Step {
    SteadyTime at;
    std::uint64_t more;
  };
  std::optional<SteadyTime> since_;
  std::uint64_t last_ = 0;
  std::deque<Step> steps_;
};

/// The last picture and what went before it.
class House {
 public:
  /// False: not a status, the old picture stays.
  bool take(const privsep::StatusSnapshot& message, SteadyTime now);

  const std::optional<Snapshot>& snapshot() const { return snapshot_; }
  std::uint64_t number() const { return number_; }   ///< of the picture; grows
  bool is_fresh(SteadyTime now) const;
  bool is_healthy(SteadyTime now) const { return is_fresh(now) && snapshot_->running; }
  Trend accepted(SteadyTime now) const { return accepted_.trend(now); }
  Trend delivered(SteadyTime now) const { return delivered_.trend(now); }

 private:
  std::optional<Snapshot> snapshot_;
  std::uint64_t number_ = 0;
  SteadyTime taken_{};
  History accepted_;
  History delivered_;
};

}  // namespace postern::web
