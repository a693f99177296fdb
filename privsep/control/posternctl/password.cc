#include "privsep/control/posternctl/password.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/unique.h"

namespace postern::posternctl {

namespace {

constexpr std::string_view kError = "password.read";

/// A line of `fd` without its end, byte by byte, so that nothing after it is taken.
Result<Secret> read_line(int fd) {
  std::string line;
  line.reserve(kPasswordBytes + 1);  // it does not move, so no copy is left behind
  for (;;) {
    char c = 0;
    const ssize_t got = ::read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || c == '\n') break;
    if (line.size() == kPasswordBytes) {
      OPENSSL_cleanse(line.data(), line.size());
      return failure(kError, "a password is at most " + std::to_string(kPasswordBytes) + " bytes");
    }
    line += c;
  }
  if (line.ends_with('\r')) line.pop_back();
  return Secret(std::move(line));
}

/// No echo while it lives.
class Silence {
 public:
  explicit Silence(int fd) : fd_(fd), good_(::tcgetattr(fd, &before_) == 0) {
    if (!good_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    good_ = ::tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~Silence() {
    if (good_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  bool good() const { return good_; }

 private:
  int fd_;
  termios before_{};
  bool good_;
};

Result<Secret> prompt(int terminal, std::string_view words) {
  if (::write(terminal, words.data(), words.size()) < 0) return failure(kError, "the terminal cannot be written to");
  return read_line(terminal);
}

}  // namespace

Result<Secret> password_from_stdin() {
  TRY_ASSIGN(Secret password, read_line(STDIN_FILENO));
  if (password.empty()) return failure(kError, "there is no password on the first line of standard input");
  return password;
}

Result<Secret> password_from_terminal(std::string_view what_for) {
  const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal) return failure(kError, "there is no terminal to ask at; use --password-stdin");
  const Silence silence(terminal.get());
  if (!silence.good()) return failure(kError, "the terminal's echo cannot be switched off; use --password-stdin");
  TRY_ASSIGN(Secret password, prompt(terminal.get(), "Password for " + std::string(what_for) + ": "));
  if (password.empty()) return failure(kError, "no password was given");
  TRY_ASSIGN(const Secret again, prompt(terminal.get(), "Once more: "));
  if (!password.equals(again.view())) return failure(kError, "the two are not the same");
  return password;
}

}  // namespace postern::posternctl
