/// The client of the control socket: one request, one answer, and the raw bytes that follow it.
///
/// Trust: the daemon at the other end, as far as the socket's owner goes; lengths are bounded all the same.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace postern::posternctl {

inline constexpr std::string_view kDefaultSocket = "/run/postern/control.sock";
inline constexpr std::size_t kAnswerLineBytes = 4UL << 20;     ///< an answer of a process is at most 256 KiB before escaping
inline constexpr std::chrono::seconds kAnswerPatience{45};     ///< without a byte from the daemon, which gives up after 30 s itself

struct Request {
  std::string command;                                          ///< "account add"
  std::vector<std::pair<std::string, std::string>> arguments;   ///< a key may stand several times
};

struct Answer {
  std::string result;       ///< JSON
  std::uint64_t bytes = 0;  ///< that followed and went to the sink
};

/// Takes raw output as it comes. An error ends the exchange and is passed on.
using Sink = std::function<Result<void>(std::string_view)>;

/// Errors: "control.socket" (nobody there, not allowed, cut off, late), "control.answer" (not what was agreed),
/// "control.error" (what the daemon says, in its words).
Result<Answer> ask(const std::string& socket_path, const Request& request, const Sink& sink,
                   std::chrono::milliseconds patience = kAnswerPatience);

/// `--socket` where given, else POSTERN_SOCKET of the environment, else kDefaultSocket.
std::string socket_path(const std::string& given);

// The pure halves.
std::string request_line(const Request& request);
/// Errors: "control.answer", "control.error".
Result<Answer> read_answer(std::string_view line);

}  // namespace postern::posternctl
