#include "privsep/parent/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/crypto.h"
#include "base/text.h"
#include "sandbox/seccomp.h"

namespace postern::privsep {

namespace {

constexpr int kChannelFd = 3;                             // by agreement with child.cc
constexpr std::chrono::milliseconds kFirstPause{50};      // before the first restart
constexpr std::chrono::seconds kHealthy{20};              // a life this long forgets the pauses before it
constexpr std::chrono::seconds kSilent{2};                // a process that closed its channel ends by itself within this, or is ended
constexpr std::size_t kStderrLine = 2000;
constexpr std::size_t kEndBytes = 400;                    // how a process ended, in words; some of them its accuser's
constexpr int kStderrReads = 32;                          // an event; more than a pipe holds, and a flood does not keep the parent
constexpr std::size_t kSamples = 500;                     // of one process; its counters are few, and it may have been broken into
constexpr std::size_t kLayers = 16;                       // of one lock
constexpr std::size_t kLayerBytes = 64;

std::vector<std::string> printable_layers(const std::vector<std::string>& layers) {
  std::vector<std::string> out;
  for (const std::string& layer : layers)
    if (out.size() < kLayers) out.push_back(text::printable(layer, kLayerBytes));
  return out;
}

std::string describe_end(const Process& process, int status) {
  if (!process.ended_for.empty()) return "ended by the parent: " + process.ended_for;
  if (!process.blocked_call.empty()) return process.blocked_call;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return "killed by its system call filter";
  if (WIFSIGNALED(status)) return std::string("killed by signal ") + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ")";
  return "exit status " + std::to_string(WEXITSTATUS(status));
}

bool died_by_filter(const Process& process, int status) {
  return !process.blocked_call.empty() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) ||
         (WIFEXITED(status) && WEXITSTATUS(status) == sandbox::kBlockedExit);
}

}  // namespace

std::string_view name_of(ProcessState state) {
  switch (state) {
    case ProcessState::starting: return "starting";
    case ProcessState::running: return "running";
    case ProcessState::waiting: return "waiting";
    case ProcessState::stopped: return "stopped";
  }
  return "?";
}

std::string Process::name() const {
  const std::string role(name_of(row->role));
  return instance == 0 ? role : role + "/" + std::to_string(instance);
}

Supervisor::Supervisor(io::Loop& loop, const Log& log, Peers& peers, Settings& settings, SupervisorOptions options,
                       std::function<void(std::string)> finished)
    : loop_(loop), log_(log), peers_(peers), settings_(settings), options_(std::move(options)), finished_(std::move(finished)), stop_timer_(loop) {}

Result<void> Supervisor::start() {
  TRY_ASSIGN(state_lock_, lock_state_folder(settings_));
  TRY_ASSIGN(files_, open_handed(settings_, options_.privileged));
  std::array<std::byte, 32> key;
  crypto::SystemEntropy().fill(key);
  ticket_key_ = Secret(std::string(text_of(key)));
  for (const ProcessRow& row : process_rows()) {
    const std::uint64_t count = row.instances_key.empty() ? 1 : settings_.number(row.instances_key);
    for (std::uint64_t i = 0; i < count; ++i) {
      auto process = std::make_unique<Process>();
      process->row = &row;
      process->instance = static_cast<std::uint8_t>(i);
      process->timer = std::make_unique<io::Timer>(loop_);
      if (options_.privileged) {
        TRY_ASSIGN(process->ids, find_user(settings_.get("server.user_prefix") + std::string(row.user)));
      }
      processes_.push_back(std::move(process));
    }
  }
  for (auto& process : processes_) TRY(launch(*process));
  return {};
}

Process* Supervisor::find(From from) {
  for (auto& process : processes_)
    if (process->row->role == from.role && process->instance == from.instance) return process.get();
  return nullptr;
}

Result<int> Supervisor::spawn(Process& process, Fd channel) {
  const std::string path = options_.executables + "/" + std::string(process.row->executable);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failure("start.process", std::strerror(errno));
  Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const int pid = ::fork();
  if (pid < 0) return failure("start.process", std::string("fork: ") + std::strerror(errno));
  if (pid == 0) {
    // Between fork and exec only calls that are safe after a fork. The channel is moved away first: it may stand where the others go.
    const int high = ::fcntl(channel.get(), F_DUPFD, 10);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    if (::dup2(null.get(), 0) < 0 || ::dup2(null.get(), 1) < 0 || ::dup2(write_end.get(), 2) < 0 || ::dup2(high, kChannelFd) < 0) ::_exit(126);
    ::close_range(kChannelFd + 1, ~0U, 0);
    char* argv[] = {const_cast<char*>(process.row->executable.data()), nullptr};
    static char path_setting[] = "PATH=/usr/bin:/bin";
    static char asan_setting[] = "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1";
    char* environment[] = {path_setting, asan_setting, nullptr};
    ::execve(path.c_str(), argv, environment);
    ::_exit(127);
  }
  process.stderr_watch.reset();
  process.stderr_pipe = std::move(read_end);
  process.stderr_watch = std::make_unique<io::Watch>(loop_, process.stderr_pipe.get(), [this, &process](io::Interest) { take_stderr(process); });
  process.stderr_watch->set(io::Interest::readable);
  return pid;
}

Result<void> Supervisor::launch(Process& process) {
  TRY_ASSIGN(auto pair, make_channel_pair());
  TRY_ASSIGN(process.pid, spawn(process, std::move(pair.second)));
  process.state = ProcessState::starting;
  process.started = loop_.now();
  process.blocked_call.clear();
  process.ended_for.clear();
  process.stop_sent = false;
  peers_.add({process.row->role, process.instance}, std::move(pair.first));
  process.timer->start(options_.start_patience, [this, &process] {
    end_process(process, "not ready after " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.start_patience).count()) + " s");
  });
  hand_over(process);
  return {};
}

void Supervisor::hand_over(Process& process) {
  const From to{process.row->role, process.instance};
  ChildStart start;
  start.role = to.role;
  start.instance = to.instance;
  start.uid = process.ids.uid;
  start.gid = process.ids.gid;
  start.privileged = options_.privileged;
  start.config = settings_.slice(to.role);
  if (process.row->ticket_key) start.ticket_key = to_bytes(ticket_key_.view());
  peers_.tell_one(to, start);
  for (const OpenedFile& file : files_)
    if (file.role == to.role) {
      // The place in a file is shared by all who hold it; the one before may have read to the end. Sockets have none.
      static_cast<void>(::lseek(file.fd.get(), 0, SEEK_SET));
      peers_.tell_one(to, ChildFile{file.name, file.detail}, file.fd.get());
    }
  connect_peers(process);
  peers_.tell_one(to, StartComplete{});
}

void Supervisor::connect_peers(Process& process) {
  for (auto& other : processes_)
    if (other.get() != &process) connect(process, *other);
}

/// Gives both a new channel to each other, if they live, have something to say and are not parted.
void Supervisor::connect(Process& one, Process& other) {
  const auto there = [](const Process& p) { return p.state == ProcessState::starting || p.state == ProcessState::running; };
  const From first{one.row->role, one.instance}, second{other.row->role, other.instance};
  if (!there(one) || !there(other) || !have_channel(first.role, second.role) || complaints_.parted(first, second, loop_.steady())) return;
  auto pair = make_channel_pair();
  if (!pair) return log_.error("no channel between two processes", {{"one", one.name()}, {"other", other.name()}, {"why", pair.error().message}});
  peers_.tell_one(first, PeerChannel{second.role, second.instance}, pair->first.get());
  peers_.tell_one(second, PeerChannel{first.role, first.instance}, pair->second.get());
}

void Supervisor::ready(From from, const Ready& ready) {
  Process* process = find(from);
  if (process == nullptr || process->state != ProcessState::starting) return;
  process->timer->stop();
  process->state = ProcessState::running;
  process->silent_seconds = 0;
  process->in_force = printable_layers(ready.in_force);
  process->missing = printable_layers(ready.missing);
  log_.info("process ready", {{"name", process->name()}, {"pid", process->pid}, {"restarts", process->restarts}});
  for (const std::string& layer : process->missing) log_.warning("a layer of the sandbox is missing", {{"name", process->name()}, {"layer", layer}});
  if (!started_ && all_running()) {
    started_ = true;
    log_.notice("postern is up", {{"smtp", address_of("smtp")}, {"web", address_of("web")}});
  }
}

bool Supervisor::all_running() const {
  for (const auto& process : processes_)
    if (process->state != ProcessState::running) return false;
  return !processes_.empty();
}

std::string Supervisor::address_of(std::string_view file_name) const {
  std::string out;
  for (const OpenedFile& file : files_)
    if (file.name == file_name) out += (out.empty() ? "" : ",") + file.detail;
  return out;
}

void Supervisor::report(From from, std::vector<MetricsReport::Sample> samples) {
  if (samples.size() > kSamples) samples.resize(kSamples);
  Process* process = find(from);
  if (process == nullptr) return;
  process->silent_seconds = 0;
  if (!samples.empty()) process->samples = std::move(samples);
}

void Supervisor::blocked(From from, const SyscallReport& report) {
  Process* process = find(from);
  if (process == nullptr) return;
  const sandbox::BlockedCall call{report.number, report.arguments, report.instruction};
  process->blocked_call = sandbox::describe(process->name(), call);
  log_.error("a process called something its policy forbids",
             {{"name", process->name()}, {"pid", process->pid}, {"call", sandbox::system_call_name(report.number)},
              {"what", process->blocked_call}, {"policy_line", sandbox::needed_row(call)}});
}

void Supervisor::broken(From from, const PeerBroken& what, std::string_view reporter) {
  Process* accuser = find(from);
  Process* accused = find({what.peer, what.instance});
  if (accuser == nullptr || accused == nullptr || accuser == accused || !have_channel(from.role, what.peer)) return;
  if (accused->pid <= 0 || !accused->ended_for.empty()) return;  // it has ended, or is ending
  switch (complaints_.weigh(from, {what.peer, what.instance}, loop_.steady())) {
    case Complaints::Verdict::end_accused:
      return end_process(*accused, "broke the message table towards " + std::string(reporter) + ": " + text::printable(what.what));
    case Complaints::Verdict::part:
      log_.error("two processes are parted: one of them is broken",
                 {{"accuser", accuser->name()}, {"accused", accused->name()}, {"what", text::printable(what.what)}});
      return part(*accuser, *accused);
    case Complaints::Verdict::ignore: return;
  }
}

/// The accuser closed its end of their channel when it complained; here it is only seen to that there is a new one in the end.
void Supervisor::part(Process& one, Process& other) {
  const auto until = complaints_.parted_until({one.row->role, one.instance}, {other.row->role, other.instance});
  auto& timer = partings_[std::minmax(&one, &other)];
  if (!timer) timer = std::make_unique<io::Timer>(loop_);
  // A millisecond more, so that the parting is over by the clock when the timer fires.
  timer->start(std::chrono::duration_cast<std::chrono::milliseconds>(until - loop_.steady()) + std::chrono::milliseconds(1), [this, &one, &other] {
    if (stopping_) return;
    log_.notice("two parted processes get a new channel", {{"one", one.name()}, {"other", other.name()}});
    connect(one, other);
  });
}

void Supervisor::breach(From from, std::string_view what) {
  Process* process = find(from);
  if (process == nullptr) return;
  if (!what.empty()) return end_process(*process, "broke the message table towards the parent: " + text::printable(what));
  // A process that ends closes its channel first. One that closes it and stays could no longer be led. (Its timer is free: it is
  // for the pause before a restart.)
  if (process->pid > 0 && !stopping_) process->timer->start(kSilent, [this, process] { end_process(*process, "closed its channel to the parent"); });
}

void Supervisor::end_process(Process& process, std::string why) {
  if (process.pid <= 0) return;
  log_.error("process ended by the parent", {{"name", process.name()}, {"pid", process.pid}, {"why", why}});
  process.ended_for = std::move(why);
  ::kill(process.pid, SIGKILL);
}

void Supervisor::child_signal() {
  int status = 0;
  for (int pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    for (auto& process : processes_)
      if (process->pid == pid && process->state != ProcessState::waiting && process->state != ProcessState::stopped) {
        ended(*process, status);
        break;
      }
  }
}

void Supervisor::ended(Process& process, int status) {
  const int pid = std::exchange(process.pid, 0);  // collected: the number may soon be another's, nobody may be killed by it
  process.timer->stop();
  take_stderr(process);
  if (!process.stderr_rest.empty()) log_stderr(process, std::exchange(process.stderr_rest, {}));
  // Its last words may still lie in the channel.
  peers_.drain({process.row->role, process.instance});
  peers_.remove({process.row->role, process.instance});
  const bool was_starting = process.state == ProcessState::starting;
  process.last_end = describe_end(process, status).substr(0, kEndBytes);
  if (died_by_filter(process, status)) ++process.seccomp_deaths;
  if (stopping_) {
    process.state = ProcessState::stopped;
    log_.info("process stopped", {{"name", process.name()}, {"how", process.last_end}});
    return stop_next();
  }
  log_.error("process died", {{"name", process.name()}, {"pid", pid}, {"how", process.last_end}});
  if (was_starting && !started_) {
    process.state = ProcessState::stopped;
    return stop(process.name() + " cannot start: " + process.last_end);
  }
  process.state = ProcessState::waiting;
  if (loop_.now() - process.started > kHealthy) process.pause = std::chrono::milliseconds(0);
  const auto most = std::chrono::seconds(settings_.number("server.restart_backoff_max"));
  const auto pause = process.pause.count() == 0 ? kFirstPause : std::min<std::chrono::milliseconds>(process.pause, most);
  process.pause = pause * 2;
  ++process.restarts;
  process.timer->start(pause, [this, &process] {
    if (stopping_) return;
    if (auto launched = launch(process); !launched) {
      log_.error("process cannot be started", {{"name", process.name()}, {"why", launched.error().message}});
      process.state = ProcessState::waiting;
      process.timer->restart(process.pause);
    }
  });
}

void Supervisor::take_stderr(Process& process) {
  char buffer[4096];
  for (int i = 0; i < kStderrReads; ++i) {
    const ssize_t got = process.stderr_pipe ? ::read(process.stderr_pipe.get(), buffer, sizeof buffer) : 0;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got == 0 || errno != EAGAIN) {
        process.stderr_watch.reset();
        process.stderr_pipe.reset();
      }
      return;
    }
    process.stderr_rest.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end; (end = process.stderr_rest.find('\n')) != std::string::npos || process.stderr_rest.size() > kStderrLine;) {
      const std::size_t length = std::min(end, kStderrLine);
      log_stderr(process, std::string_view(process.stderr_rest).substr(0, length));
      process.stderr_rest.erase(0, length == end ? length + 1 : length);
    }
  }
}

void Supervisor::log_stderr(Process& process, std::string_view line) {
  if (process.log_allowance.admits(line.size(), loop_.steady())) log_.warning("words on standard error", {{"name", process.name()}, {"line", line}});
}

bool Supervisor::may_log(From from, std::size_t bytes) {
  Process* process = find(from);
  return process == nullptr || process->log_allowance.admits(bytes, loop_.steady());
}

void Supervisor::every_second() {
  say_dropped_lines();
  end_the_silent();
}

/// Counted in turns of this loop, not by a clock: a time in which the parent itself stood still is nobody else's silence.
void Supervisor::end_the_silent() {
  const std::uint64_t limit = settings_.number("server.hang_limit");
  for (auto& process : processes_)
    if (process->state == ProcessState::running && !stopping_ && process->ended_for.empty() && ++process->silent_seconds > limit)
      end_process(*process, "hangs: nothing was heard of it for " + std::to_string(limit) + " s");
}

void Supervisor::say_dropped_lines() {
  for (auto& process : processes_)
    if (const std::uint64_t count = process->log_allowance.take_dropped(); count > 0)
      log_.warning("log lines dropped: the process says too much", {{"name", process->name()}, {"count", count}});
}

void Supervisor::reload() {
  for (auto& process : processes_)
    if (process->state == ProcessState::running)
      peers_.tell_one({process->row->role, process->instance}, Reload{settings_.slice(process->row->role)});
}

void Supervisor::stop(std::string why) {
  if (stopping_) return;
  stopping_ = true;
  stop_reason_ = std::move(why);
  log_.notice("stopping", {{"why", stop_reason_.empty() ? "asked to" : stop_reason_}});
  stop_timer_.start(std::chrono::seconds(settings_.number("server.stop_grace")), [this] {
    for (auto& process : processes_)
      if (process->pid > 0) {
        log_.warning("process takes too long to stop and is ended", {{"name", process->name()}});
        ::kill(process->pid, SIGKILL);
      }
  });
  stop_next();
}

/// Ends the last one in the order of the start that still lives: the doors to the world first, who is asked last.
void Supervisor::stop_next() {
  for (auto it = processes_.rbegin(); it != processes_.rend(); ++it) {
    Process& process = **it;
    if (process.state == ProcessState::waiting) process.state = ProcessState::stopped;
    if (process.state == ProcessState::stopped) continue;
    if (process.state == ProcessState::starting) {
      ::kill(process.pid, SIGKILL);
    } else if (!std::exchange(process.stop_sent, true)) {
      peers_.tell_one({process.row->role, process.instance}, Stop{});
    }
    return;
  }
  stop_timer_.stop();
  finished_(stop_reason_);
}

}  // namespace postern::privsep
