#include "privsep/control/posternctl/raw_output.h"

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace postern::posternctl {

namespace {
constexpr std::size_t kLineBytes = 4096;  // of a terminal's line; longer ones are broken
}

Result<RawOutput> RawOutput::to_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return failure("output.file", path + ": " + std::strerror(errno));
  return RawOutput(Kind::file, std::move(file));
}

RawOutput RawOutput::to_stdout() { return RawOutput(::isatty(STDOUT_FILENO) == 1 ? Kind::terminal : Kind::pipe, Fd()); }

Result<void> RawOutput::put(std::string_view bytes) const {
  const int fd = kind_ == Kind::file ? file_.get() : STDOUT_FILENO;
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure("output.write", std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> RawOutput::write(std::string_view bytes) {
  if (kind_ == Kind::nowhere) return {};
  if (kind_ != Kind::terminal) return put(bytes);
  for (const char c : bytes) {
    if (c != '\n') line_ += c;
    if (c == '\n' || line_.size() == kLineBytes) TRY(put_line());
  }
  return {};
}

Result<void> RawOutput::finish() { return line_.empty() ? Result<void>() : put_line(); }

Result<void> RawOutput::put_line() {
  if (line_.ends_with('\r')) line_.pop_back();
  const std::string shown = text::printable(line_, 4 * kLineBytes) + "\n";
  line_.clear();
  return put(shown);
}

}  // namespace postern::posternctl
