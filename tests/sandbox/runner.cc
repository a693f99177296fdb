#include "tests/sandbox/runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "tests/sandbox/handed.h"

namespace postern::probe {
namespace {

constexpr std::string_view kPrefix = "words:";

Fd listen_at(std::string_view name) {
  Fd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  POSTERN_CHECK(name.size() < sizeof(address.sun_path));
  std::ranges::copy(name, address.sun_path);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  POSTERN_CHECK(bind(listening.get(), reinterpret_cast<sockaddr*>(&address), length) == 0 && listen(listening.get(), 8) == 0);
  return listening;
}

struct Started {
  pid_t pid = -1;
  Fd answer, report;
};

Started start(const std::string& role, const std::string& action, const Scratch& scratch, uid_t uid) {
  int answer[2];
  int report[2];
  POSTERN_CHECK(pipe2(answer, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) == 0);
  Started started{.pid = -1, .answer = Fd(answer[0]), .report = Fd(report[0])};
  const Fd theirs[2] = {Fd(answer[1]), Fd(report[1])};
  const std::string uid_text = std::to_string(uid);
  started.pid = fork();
  POSTERN_CHECK(started.pid >= 0);
  if (started.pid != 0) return started;
  // Above what they become, then into place; what else is open stays with the test.
  const int high_answer = fcntl(theirs[0].get(), F_DUPFD, 20);
  const int high_report = fcntl(theirs[1].get(), F_DUPFD, 20);
  const int null = open("/dev/null", O_RDWR);
  for (const int standard : {0, 1, 2}) dup2(null, standard);
  dup2(high_answer, 3);
  dup2(high_report, 4);
  close_range(5, ~0U, 0);
  execl(POSTERN_PROBE, "sandbox_probe", role.c_str(), action.c_str(), scratch.path().c_str(), uid_text.c_str(), nullptr);
  _exit(127);
}

std::string read_answer(int fd) {
  std::array<char, 512> buffer{};
  const ssize_t n = read(fd, buffer.data(), buffer.size());
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : "";
}

std::optional<sandbox::BlockedCall> read_report(int fd) {
  std::array<std::byte, 256> buffer{};
  const ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
  if (n < static_cast<ssize_t>(kPrefix.size())) return std::nullopt;
  const ByteView record(buffer.data(), static_cast<std::size_t>(n));
  if (text_of(record.first(kPrefix.size())) != kPrefix) return std::nullopt;
  auto call = sandbox::parse_blocked_call(record.subspan(kPrefix.size()));
  return call ? std::optional(*call) : std::nullopt;
}

}  // namespace

Scratch::Scratch() {
  std::string pattern = (std::filesystem::temp_directory_path() / "postern-sandbox-XXXXXX").string();
  POSTERN_CHECK(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
  // Everybody may come in: what keeps a probe out must be its sandbox.
  POSTERN_CHECK(chmod(path_.c_str(), 0777) == 0);
  POSTERN_CHECK(mkdir((path_ + "/folder").c_str(), 0700) == 0 && chown((path_ + "/folder").c_str(), kProbeUid, kProbeUid) == 0);
  named_ = listen_at(victim_path(path_));
  POSTERN_CHECK(chmod(victim_path(path_).c_str(), 0777) == 0);
  abstract_ = listen_at(victim_abstract(path_));
}

Scratch::~Scratch() {
  std::error_code ignored;  // a folder left in /tmp fails no test
  std::filesystem::remove_all(path_, ignored);
}

Ended run_probe(const std::string& role, const std::string& action, const Scratch& scratch, uid_t uid) {
  const Started started = start(role, action, scratch, uid);
  Ended ended;
  ended.answer = read_answer(started.answer.get());
  ended.last = read_report(started.report.get());
  int status = 0;
  POSTERN_CHECK(waitpid(started.pid, &status, 0) == started.pid);
  if (WIFEXITED(status)) ended.exit_status = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  return ended;
}

Waiting::Waiting(const std::string& role, const Scratch& scratch) {
  Started started = start(role, "wait", scratch, kProbeUid);
  pid_ = started.pid;
  answer_ = read_answer(started.answer.get());
  answer_end_ = std::move(started.answer);
  report_end_ = std::move(started.report);
}

Waiting::~Waiting() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace postern::probe
