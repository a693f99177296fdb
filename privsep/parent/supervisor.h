/// Starts the processes, connects them, watches them, starts them again, and stops them in order.
///
/// A process that dies costs only itself: its peers get a new channel to its successor. The pause before a restart grows while it
/// keeps dying. One that hangs, before it is ready or later, is ended and started again. Only at the first start does a process that cannot
/// start end the daemon, with the reason.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/secret.h"
#include "io/loop.h"
#include "io/timer.h"
#include "io/watch.h"
#include "privsep/parent/complaints.h"
#include "privsep/parent/config_file.h"
#include "privsep/parent/handed.h"
#include "privsep/parent/log_allowance.h"
#include "privsep/parent/process_table.h"
#include "privsep/peers.h"

namespace postern::privsep {

enum class ProcessState : std::uint8_t { starting, running, waiting, stopped };
std::string_view name_of(ProcessState state);

struct Process {
  const ProcessRow* row = nullptr;
  std::uint8_t instance = 0;
  ProcessState state = ProcessState::waiting;
  int pid = 0;
  UserIds ids;
  WallTime started{};
  std::uint64_t restarts = 0;
  std::uint64_t seccomp_deaths = 0;
  std::string last_end;                 ///< how it ended last, in words; empty: it never did
  std::string blocked_call;             ///< from its last words, until its end is noticed
  std::string ended_for;                ///< why the parent ended it; empty: it did not
  bool stop_sent = false;               ///< in this life
  std::vector<std::string> in_force, missing;
  std::vector<MetricsReport::Sample> samples;
  std::uint64_t silent_seconds = 0;     ///< since its loop was last seen to turn
  LogAllowance log_allowance;           ///< kept over its lives
  std::chrono::milliseconds pause{0};   ///< before the next restart
  std::unique_ptr<io::Timer> timer;     ///< for what it is waited for: to be ready, to end, to be started again
  std::unique_ptr<io::Watch> stderr_watch;
  Fd stderr_pipe;
  std::string stderr_rest;

  std::string name() const;             ///< "listener", or "verifier-in/1" for a further instance
};

struct SupervisorOptions {
  std::string executables;              ///< folder of the processes' executables
  bool privileged = true;
  /// From the start to "ready": the lock, and the recovery of a large spool. Who takes longer hangs.
  std::chrono::milliseconds start_patience = std::chrono::minutes(2);
};

class Supervisor {
 public:
  /// `finished` is called once all processes have stopped, with what made the daemon stop ("" for an ordered stop).
  Supervisor(io::Loop& loop, const Log& log, Peers& peers, Settings& settings, SupervisorOptions options,
             std::function<void(std::string)> finished);

  Result<void> start();                 ///< Errors: those of handed.h, "start.users"
  void stop(std::string why);           ///< in reverse order; who takes longer than server.stop_grace is ended
  void child_signal();                  ///< after SIGCHLD: collects who has ended
  void reload();                        ///< sends each process its slice of the (new) settings
  void ready(From from, const Ready& ready);
  void report(From from, std::vector<MetricsReport::Sample> samples);
  void broken(From from, const PeerBroken& what, std::string_view reporter);
  /// Whether a log line of that process may be written; lines that may not are counted, and said from every_second().
  bool may_log(From from, std::size_t bytes);
  void every_second();                  ///< says what was dropped of the log, ends who hangs
  void blocked(From from, const SyscallReport& report);
  void breach(From from, std::string_view what);  ///< a child broke the table towards the parent itself

  const std::vector<std::unique_ptr<Process>>& processes() const { return processes_; }
  bool all_running() const;
  std::string address_of(std::string_view file_name) const;  ///< bound addresses of "smtp", "web", comma-separated

 private:
  Process* find(From from);
  Result<void> launch(Process& process);
  Result<int> spawn(Process& process, Fd channel);
  void hand_over(Process& process);
  void connect_peers(Process& process);
  void connect(Process& one, Process& other);
  void part(Process& one, Process& other);
  void ended(Process& process, int status);
  void end_process(Process& process, std::string why);
  void say_dropped_lines();
  void end_the_silent();
  void take_stderr(Process& process);
  void log_stderr(Process& process, std::string_view line);
  void stop_next();

  io::Loop& loop_;
  const Log& log_;
  Peers& peers_;
  Settings& settings_;
  SupervisorOptions options_;
  std::function<void(std::string)> finished_;
  std::vector<OpenedFile> files_;
  std::vector<std::unique_ptr<Process>> processes_;  // in the order of the start
  Fd state_lock_;          // this daemon alone uses the state folder
  Complaints complaints_;
  std::map<std::pair<Process*, Process*>, std::unique_ptr<io::Timer>> partings_;  // until the two are connected again
  Secret ticket_key_;
  bool started_ = false;   // every process has been running once
  bool stopping_ = false;
  std::string stop_reason_;
  io::Timer stop_timer_;
};

}  // namespace postern::privsep
