#include "privsep/control/check/message_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/unique.h"

namespace postern::check {
namespace {

std::string with_crlf(const std::string& text) {
  std::string out;
  out.reserve(text.size() + text.size() / 32);
  char before = '\0';
  for (const char c : text) {
    if (c == '\n' && before != '\r') out += '\r';
    out += c;
    before = c;
  }
  return out;
}

}  // namespace

Result<std::string> read_message_file(const std::string& path) {
  const auto refuse = [&](const char* why) { return failure("check.file", path + ": " + why); };
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return refuse(std::strerror(errno));
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(std::strerror(errno));
    if (got == 0) return with_crlf(text);
    if (text.size() + static_cast<std::size_t>(got) > kMessageFileBytes) return refuse("the file is too large");
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace postern::check
