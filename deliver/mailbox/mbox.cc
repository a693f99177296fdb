#include "deliver/mailbox/mbox.h"

#include <array>
#include <ctime>

namespace postern::mailbox {

std::string mbox_entry(std::string_view message, WallTime received) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(received);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 64> date{};
  (void)std::strftime(date.data(), date.size(), "%a %b %e %H:%M:%S %Y", &utc);  // asctime, RFC 4155: UTC
  std::string entry = "From MAILER-DAEMON " + std::string(date.data()) + "\n";
  entry.reserve(entry.size() + message.size() + 16);
  while (!message.empty()) {
    const auto end = message.find('\n');
    auto line = message.substr(0, end);
    message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto text = line.find_first_not_of('>');
    if (text != std::string_view::npos && line.substr(text).starts_with("From ")) entry += '>';
    entry.append(line) += '\n';
  }
  return entry + "\n";
}

}  // namespace postern::mailbox
