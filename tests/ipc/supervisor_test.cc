// The parent with ten children that are all hostile_child: without a script they start, serve nothing and stop when told. No root.
#include "privsep/parent/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "privsep/metrics.h"
#include "privsep/parent/audit.h"
#include "privsep/parent/ipc.h"
#include "privsep/parent/logs.h"
#include "privsep/parent/snapshot.h"

namespace postern::privsep {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

std::size_t open_descriptors() { return static_cast<std::size_t>(std::distance(fs::directory_iterator("/proc/self/fd"), {})); }

class House : public testing::Test {
 protected:
  explicit House(std::chrono::milliseconds start_patience = 60s) : start_patience_(start_patience) {
    for (const ProcessRow& row : process_rows()) fs::copy_file(POSTERN_HOSTILE_CHILD, root_ / row.executable, fs::copy_options::skip_existing);
    auto parsed = Settings::parse("[server]\nstate_dir = \"" + (root_ / "state").string() + "\"\nrun_dir = \"" + (root_ / "run").string() +
                                      "\"\nstop_grace = \"20s\"\n[smtp]\nlisten = []\n[web]\nlisten = []\n[relay]\nca_file = \"\"\n", "test");
    settings_ = *std::move(parsed);
    peers_.set_locked();
    peers_.set_receiver(service_.receiver());
    peers_.set_closed([this](From peer, std::string_view why) { supervisor_.breach(peer, why); });
    loop_.on_signal(SIGCHLD, [this] { supervisor_.child_signal(); });
  }
  ~House() override {
    if (!finished_) stop();
    fs::remove_all(root_);
  }
  void script(std::string_view executable, const std::string& lines) { std::ofstream(root_ / (std::string(executable) + ".script")) << lines; }

  bool run_until(const std::function<bool()>& done) {
    io::Timer watchdog(loop_), look(loop_);
    watchdog.start(60s, [&] { loop_.stop(); });
    look.repeat(2ms, [&] { if (done()) loop_.stop(); });
    if (!done()) loop_.run();
    EXPECT_TRUE(done()) << "did not come; the log:\n" << log_text();
    return done();
  }
  void start() {
    const auto started = supervisor_.start();
    ASSERT_TRUE(started) << started.error().message;
    run_until([this] { return supervisor_.all_running(); });
  }
  void stop() {
    supervisor_.stop("");
    run_until([this] { return finished_.has_value(); });
  }
  Process& process(Role role) {
    for (const auto& p : supervisor_.processes())
      if (p->row->role == role) return *p;
    std::abort();
  }
  void wait_restart(Role role, std::uint64_t restarts) {
    run_until([&] { return process(role).restarts >= restarts && supervisor_.all_running(); });
  }
  std::string log_text() const {
    std::string out;
    for (const std::string& line : lines_) out += line + "\n";
    return out;
  }
  bool logged(std::string_view words) const { return log_text().find(words) != std::string::npos; }

  static fs::path temporary_folder() {
    std::string pattern = fs::temp_directory_path() / "postern-supervisor-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  std::chrono::milliseconds start_patience_;
  fs::path root_ = temporary_folder();
  Settings settings_;
  io::Loop loop_;
  std::vector<std::string> lines_;
  Log log_{[this](Severity, std::string_view line) { lines_.emplace_back(line); }, Severity::info};
  LogOutput output_{LogFormat::logfmt};
  std::optional<std::string> finished_;
  Peers peers_{loop_, log_, Role::parent};
  Supervisor supervisor_{loop_, log_, peers_, settings_, {root_.string(), false, start_patience_}, [this](std::string why) { finished_ = std::move(why); }};
  ParentService service_{log_, output_, peers_, settings_, supervisor_, [] { return Result<void>(); }, 0};
};

TEST_F(House, StartsAllAndStopsThemInTheReverseOrderAskingEachOnce) {
  start();
  EXPECT_TRUE(logged("postern is up"));
  stop();
  EXPECT_EQ(finished_, "");
  std::vector<std::string> stopped, expected;
  for (const std::string& line : lines_)
    if (line.find("process stopped") != std::string::npos) stopped.push_back(line.substr(line.find("name=") + 5, line.find(' ', line.find("name=")) - line.find("name=") - 5));
  for (const auto& p : supervisor_.processes()) expected.insert(expected.begin(), p->name());
  EXPECT_EQ(stopped, expected);
  for (const auto& p : supervisor_.processes()) EXPECT_EQ(p->last_end, "exit status 0") << p->name();
}

TEST_F(House, AKilledProcessComesBackAndNoDescriptorIsLeft) {
  start();
  run_until([this] { return peers_.queued_bytes({Role::queue, 0}) == 0; });
  const std::size_t before = open_descriptors();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    const int old = process(Role::queue).pid;
    ::kill(old, SIGKILL);
    wait_restart(Role::queue, i);
    EXPECT_NE(process(Role::queue).pid, old);
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_THAT(process(Role::queue).last_end, HasSubstr("signal 9"));
  EXPECT_EQ(process(Role::mailbox).restarts, 0U);
}

TEST_F(House, ThePauseBeforeARestartGrows) {
  start();
  std::vector<std::chrono::milliseconds> pauses;
  for (std::uint64_t i = 1; i <= 3; ++i) {
    ::kill(process(Role::remote).pid, SIGKILL);
    wait_restart(Role::remote, i);
    pauses.push_back(process(Role::remote).pause);
  }
  EXPECT_EQ(pauses, (std::vector<std::chrono::milliseconds>{100ms, 200ms, 400ms}));
}

TEST_F(House, AProcessThatCannotStartEndsTheDaemonWithTheReason) {
  fs::remove(root_ / "postern-queue");
  ASSERT_TRUE(supervisor_.start());
  run_until([this] { return finished_.has_value(); });
  EXPECT_THAT(*finished_, HasSubstr("queue cannot start: exit status 127"));
}

TEST_F(House, AProcessThatClosesItsChannelAndStaysIsEnded) {
  start();
  script("postern-resolver", "close-parent\n");
  ::kill(process(Role::resolver).pid, SIGKILL);
  run_until([this] { return process(Role::resolver).restarts >= 2; });
  EXPECT_THAT(process(Role::resolver).last_end, HasSubstr("closed its channel to the parent"));
  fs::remove(root_ / "postern-resolver.script");
  run_until([this] { return supervisor_.all_running(); });
}

struct ImpatientHouse : House {
  ImpatientHouse() : House(4s) {}
};

TEST_F(ImpatientHouse, AProcessThatHangsBeforeItIsReadyIsEndedAndStartedAgain) {
  start();
  fs::rename(root_ / "postern-remote", root_ / "postern-remote.good");
  std::ofstream(root_ / "postern-remote") << "#!/bin/sh\nexec sleep 600\n";
  fs::permissions(root_ / "postern-remote", fs::perms::owner_all);
  ::kill(process(Role::remote).pid, SIGKILL);
  run_until([this] { return process(Role::remote).restarts >= 2; });
  EXPECT_TRUE(logged("event=\"process ended by the parent\" name=remote")) << log_text();
  EXPECT_THAT(process(Role::remote).last_end, HasSubstr("not ready after 4 s"));
  for (const auto& p : supervisor_.processes()) EXPECT_TRUE(p->row->role == Role::remote || p->restarts == 0) << p->name();
  fs::rename(root_ / "postern-remote.good", root_ / "postern-remote");
  run_until([this] { return supervisor_.all_running(); });
}

TEST_F(House, WhoIsNotHeardOfForLongIsEndedAndStartedAgain) {
  start();
  const std::uint64_t limit = settings_.number("server.hang_limit");
  const int listener = process(Role::listener).pid, queue = process(Role::queue).pid;
  for (std::uint64_t second = 0; second < limit; ++second) supervisor_.every_second();
  EXPECT_FALSE(logged("process ended by the parent"));
  for (const auto& p : supervisor_.processes())
    if (p->row->role != Role::queue) supervisor_.report({p->row->role, p->instance}, {});  // a sign of life
  supervisor_.every_second();
  wait_restart(Role::queue, 1);
  EXPECT_NE(process(Role::queue).pid, queue);
  EXPECT_THAT(process(Role::queue).last_end, HasSubstr("hangs: nothing was heard of it for 120 s"));
  EXPECT_EQ(process(Role::listener).pid, listener);
  supervisor_.every_second();
  EXPECT_EQ(process(Role::queue).restarts, 1U) << "a new life begins to count anew";
}

TEST_F(House, ASecondDaemonOnTheSameStateFolderDoesNotStartAndSaysWhoHasIt) {
  start();
  Peers peers(loop_, log_, Role::parent);
  Supervisor second(loop_, log_, peers, settings_, {root_.string(), false}, [](std::string) {});
  const auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, "start.lock");
  EXPECT_THAT(started.error().message, HasSubstr("in use by another postern, pid " + std::to_string(::getpid())));
  EXPECT_TRUE(second.processes().empty());
}

TEST_F(House, AFileOfADaemonThatHasEndedLocksNothing) {
  fs::create_directories(root_ / "state");
  std::ofstream(root_ / "state/postern.lock") << "1\n";
  start();
  std::string pid;
  std::getline(std::ifstream(root_ / "state/postern.lock"), pid);
  EXPECT_EQ(pid, std::to_string(::getpid()));
}

// A process that was broken into must not be able to have the others ended for ever.
TEST_F(House, ALiarHasItsPeerEndedAFewTimesAndIsThenPartedFromIt) {
  start();
  script("postern-listener", "accuse mailbox 300\n");
  ::kill(process(Role::listener).pid, SIGKILL);
  run_until([this] { return logged("two processes are parted"); });
  run_until([this] { return logged("two parted processes get a new channel"); });
  EXPECT_EQ(process(Role::mailbox).restarts, Complaints::kBelieved);
  for (const auto& p : supervisor_.processes())
    EXPECT_TRUE(p->row->role == Role::listener || p->row->role == Role::mailbox || p->restarts == 0) << p->name();
}

TEST_F(House, AComplaintAboutSomebodyOneNeverSpeaksToIsNotHeard) {
  start();
  script("postern-resolver", "accuse mailbox 20\nsay accused\n");
  ::kill(process(Role::resolver).pid, SIGKILL);
  run_until([this] { return logged("line=accused"); });
  EXPECT_EQ(process(Role::mailbox).restarts, 0U);
}

struct Hostile {
  const char* what;
  const char* line;
  const char* reason;
};
class HostileToTheParent : public House, public testing::WithParamInterface<Hostile> {};

TEST_P(HostileToTheParent, IsEndedAndNamedWhileTheOthersLive) {
  start();
  script("postern-listener", std::string(GetParam().line) + "\n");
  ::kill(process(Role::listener).pid, SIGKILL);
  run_until([this] { return process(Role::listener).restarts >= 2; });
  EXPECT_THAT(process(Role::listener).last_end, HasSubstr(GetParam().reason));
  for (const auto& p : supervisor_.processes())
    EXPECT_TRUE(p->row->role == Role::listener || p->restarts == 0) << p->name();
  fs::remove(root_ / "postern-listener.script");
}

INSTANTIATE_TEST_SUITE_P(Frames, HostileToTheParent, testing::Values(
    Hostile{"Garbage", "raw to parent hex ffffffffffffffffff", "no message has number"},
    Hostile{"RowOfTheParent", "send stop to parent hex -", "may not send stop"},
    Hostile{"AdminCommand", "send admin-request to parent hex 00", "may not send admin-request"},
    Hostile{"StatusOfTheHouse", "send status-snapshot to parent hex 00", "may not send status-snapshot"},
    Hostile{"SurplusDescriptor", "send ready to parent hex 0000000000000000 fd", "descriptors"},
    Hostile{"Undecodable", "send peer-broken to parent hex ff", "peer-broken"},
    Hostile{"AnswerNeverAsked", "send lmtp-connect to parent hex 00", "may not send lmtp-connect"}),
    [](const auto& test) { return std::string(test.param.what); });

TEST_F(House, AFloodOfCountersDoesNotBreakThePages) {
  start();
  script("postern-listener", "flood-metrics\nready-again\n");
  ::kill(process(Role::listener).pid, SIGKILL);
  run_until([this] { return !process(Role::listener).samples.empty(); });
  const std::string status = status_json(supervisor_, loop_.now());
  EXPECT_LT(status.size(), StatusSnapshot::row.max_bytes);
  EXPECT_THAT(status, HasSubstr("\"listener\""));
  peers_.tell_all(Role::web | Role::control, StatusSnapshot{status, ""});  // within its row, or the parent would end here
  EXPECT_EQ(metrics_text(supervisor_).find('\x01'), std::string::npos);
}

TEST_F(House, AHistogramIsOneFamilyAndItsBucketsAreInOrder) {
  start();
  Metrics metrics;
  for (const std::uint64_t ms : {1U, 3U, 700U}) metrics.observe_ms("delivery_ms", ms);
  metrics.count("taken_total");
  metrics.gauge("open_count", 4);
  supervisor_.report({Role::mailbox, 0}, metrics.changed());
  const std::string text = metrics_text(supervisor_);
  EXPECT_THAT(text, HasSubstr("# TYPE postern_delivery_ms histogram\n"
                              "postern_delivery_ms_count{process=\"mailbox\"} 3\n"
                              "postern_delivery_ms_sum{process=\"mailbox\"} 704\n"
                              "postern_delivery_ms_bucket{process=\"mailbox\",le=\"1\"} 1\n"
                              "postern_delivery_ms_bucket{process=\"mailbox\",le=\"2\"} 1\n"
                              "postern_delivery_ms_bucket{process=\"mailbox\",le=\"5\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE postern_taken_total counter\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE postern_open_count gauge\n"));
  EXPECT_THAT(text, Not(HasSubstr("postern_delivery_ms_sum counter")));
  EXPECT_THAT(text, HasSubstr("postern_metrics_left_out 0\n"));
}

TEST_F(House, CountersThatDoNotFitAreLeftOutAndTheRestIsShown) {
  start();
  std::vector<MetricsReport::Sample> many;
  for (int i = 0; i < 500; ++i) many.push_back({"flood_" + std::to_string(i), "why=\"" + std::string(400, 'x') + "\"", false, 1});
  supervisor_.report({Role::listener, 0}, many);
  supervisor_.report({Role::queue, 0}, {{"zebra_total", "", false, 7}, {"process_up", "", true, 9}});
  const std::string text = metrics_text(supervisor_);
  EXPECT_LT(text.size(), StatusSnapshot::row.max_bytes / 2);
  EXPECT_THAT(text, HasSubstr("postern_process_up{process=\"queue\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("postern_zebra_total{process=\"queue\"} 7\n"));
  const auto at = text.rfind("postern_metrics_left_out ");
  ASSERT_NE(at, std::string::npos);
  const int left_out = std::stoi(text.substr(at + 25));
  EXPECT_GT(left_out, 400);
  EXPECT_LT(left_out, 501);
  EXPECT_EQ(text.find("} 9\n"), std::string::npos) << "a child may not say what only the parent says";
}

TEST_F(House, LinesPastTheAllowanceOfAProcessAreDroppedAndSaid) {
  start();
  constexpr std::size_t kLine = 8000;
  std::size_t written = 0;
  while (supervisor_.may_log({Role::listener, 0}, kLine)) ++written;
  EXPECT_GE(written, LogAllowance::kBurstBytes / (kLine + LogAllowance::kLineBytes));
  EXPECT_TRUE(supervisor_.may_log({Role::queue, 0}, kLine));
  supervisor_.every_second();
  EXPECT_TRUE(logged("event=\"log lines dropped: the process says too much\" name=listener count=1")) << lines_.back();
  EXPECT_THAT(metrics_text(supervisor_), HasSubstr("postern_process_log_lines_dropped_total{process=\"listener\"} 1\n"));
}

TEST_F(House, TheAuditLooksAtTheParentTooAndItsAnswerFitsItsRow) {
  start();
  const std::string answer = audit_json(supervisor_, 0);
  EXPECT_LT(answer.size(), AdminAnswer::row.max_bytes);
  // This test's process is no locked parent, and its children are no locked children: that must be seen.
  EXPECT_THAT(answer, HasSubstr("{\"clean\":false,\"processes\":["));
  EXPECT_THAT(answer, HasSubstr("\"name\":\"parent\",\"pid\":" + std::to_string(::getpid())));
  EXPECT_THAT(answer, HasSubstr("Seccomp_filters: expected 1 or more"));
  EXPECT_THAT(answer, HasSubstr("Seccomp_filters: expected 2 or more"));
}

TEST(AuditAnswer, NamesAFewDifferencesAndCountsTheRest) {
  const std::vector<std::string> many(3000, "descriptor 7: expected a kind the policy names, found " + std::string(4000, '\x01'));
  const auto few = bounded_differences(many);
  ASSERT_EQ(few.size(), kAuditDifferences + 1);
  EXPECT_EQ(few.back(), "and " + std::to_string(3000 - kAuditDifferences) + " more");
  for (const std::string& one : few) EXPECT_LE(one.size(), kAuditDifferenceBytes);
  EXPECT_EQ(bounded_differences({"one"}), (std::vector<std::string>{"one"}));
}

TEST_F(House, WordsOnStandardErrorAreLoggedAndAFloodDoesNotStopTheRest) {
  start();
  script("postern-web", "flood-stderr 20000\n");
  ::kill(process(Role::web).pid, SIGKILL);
  ::kill(process(Role::queue).pid, SIGKILL);
  wait_restart(Role::queue, 1);
  EXPECT_TRUE(run_until([this] { return logged("flood 19999"); }));
  EXPECT_TRUE(logged("event=\"words on standard error\" name=web")) << lines_.back();
  EXPECT_EQ(process(Role::queue).restarts, 1U);
  EXPECT_EQ(process(Role::web).restarts, 1U) << "its flood ended it";
}

}  // namespace
}  // namespace postern::privsep
