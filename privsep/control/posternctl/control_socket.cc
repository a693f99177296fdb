#include "privsep/control/posternctl/control_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/unique.h"

namespace postern::posternctl {

using nlohmann::json;

namespace {

constexpr std::string_view kSocket = "control.socket";
constexpr std::string_view kAnswer = "control.answer";

tl::unexpected<Error> system_failure(const std::string& what) { return failure(kSocket, what + ": " + std::strerror(errno)); }

Result<Fd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure(kSocket, path + ": longer than a socket's name may be");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return system_failure("socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  if (errno == ENOENT || errno == ECONNREFUSED) return failure(kSocket, path + ": Postern is not running there");
  if (errno == EACCES) return failure(kSocket, path + ": only root and the daemon's owner may connect");
  return system_failure(path);
}

/// Waits until `fd` is ready for `events`.
Result<void> wait_for(const Fd& fd, short events, std::chrono::milliseconds patience) {
  pollfd watched{fd.get(), events, 0};
  int ready = 0;
  do ready = ::poll(&watched, 1, static_cast<int>(patience.count()));
  while (ready < 0 && errno == EINTR);
  if (ready < 0) return system_failure("poll");
  if (ready == 0) return failure(kSocket, "the daemon did not answer in time");
  return {};
}

Result<void> send_all(const Fd& fd, std::string_view data, std::chrono::milliseconds patience) {
  while (!data.empty()) {
    TRY(wait_for(fd, POLLOUT, patience));
    const ssize_t sent = ::send(fd.get(), data.data(), data.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (sent < 0 && errno == EPIPE) return {};  // refused at the door; what was said there is read below
    if (sent < 0) return system_failure("the control socket");
    data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

/// What is there next; empty at the end.
Result<std::string_view> receive(const Fd& fd, std::span<char> buffer, std::chrono::milliseconds patience) {
  for (;;) {
    TRY(wait_for(fd, POLLIN, patience));
    const ssize_t got = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ECONNRESET) return std::string_view{};
    if (got < 0) return system_failure("the control socket");
    return std::string_view(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string socket_path(const std::string& given) {
  if (!given.empty()) return given;
  const char* named = std::getenv("POSTERN_SOCKET");  // one thread, before anything else runs
  return named != nullptr && *named != '\0' ? named : std::string(kDefaultSocket);
}

std::string request_line(const Request& request) {
  json arguments = json::object();
  for (const auto& [key, value] : request.arguments) {
    json& slot = arguments[key];
    if (slot.is_null())
      slot = value;
    else if (slot.is_array())
      slot.push_back(value);
    else
      slot = json::array({slot, value});
  }
  const json object{{"command", request.command}, {"arguments", std::move(arguments)}};
  return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

Result<Answer> read_answer(std::string_view line) {
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("result")) return failure(kAnswer, "the daemon's answer cannot be read");
  const auto error = object.find("error");
  const auto bytes = object.find("bytes");
  if (error == object.end() || !error->is_string() || bytes == object.end() || !bytes->is_number_unsigned())
    return failure(kAnswer, "the daemon's answer cannot be read");
  if (const auto& words = error->get_ref<const std::string&>(); !words.empty()) return failure("control.error", words);
  return Answer{object["result"].dump(-1, ' ', false, json::error_handler_t::replace), bytes->get<std::uint64_t>()};
}

Result<Answer> ask(const std::string& path, const Request& request, const Sink& sink, std::chrono::milliseconds patience) {
  TRY_ASSIGN(const Fd fd, connect_to(path));
  TRY(send_all(fd, request_line(request), patience));
  std::array<char, 64 * 1024> buffer;
  std::string line;
  std::size_t newline = std::string::npos;
  while (newline == std::string::npos) {
    TRY_ASSIGN(const std::string_view piece, receive(fd, buffer, patience));
    if (piece.empty())
      return failure(kSocket, line.empty() ? "the daemon refused us: only root and its owner may ask" : "the answer was cut off");
    const std::size_t before = line.size();
    line += piece;
    newline = line.find('\n', before);
    if (newline == std::string::npos && line.size() > kAnswerLineBytes) return failure(kAnswer, "the daemon's answer is too long");
  }
  TRY_ASSIGN(const Answer answer, read_answer(std::string_view(line).substr(0, newline)));
  std::uint64_t left = answer.bytes;
  std::string_view piece = std::string_view(line).substr(newline + 1);
  for (;;) {
    if (piece.size() > left) return failure(kAnswer, "more output than was announced");
    left -= piece.size();
    if (!piece.empty()) TRY(sink(piece));
    if (left == 0) return answer;
    TRY_ASSIGN(piece, receive(fd, buffer, patience));
    if (piece.empty()) return failure(kSocket, "the output was cut off");
  }
}

}  // namespace postern::posternctl
