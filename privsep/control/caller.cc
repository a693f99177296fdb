#include "privsep/control/caller.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "privsep/control/limits.h"
#include "privsep/control/request.h"

namespace postern::control {

Caller::Caller(io::Loop& loop, Fd socket, std::uint32_t uid, Ask ask, Ended ended)
    : loop_(loop),
      socket_(std::move(socket)),
      uid_(uid),
      ask_(std::move(ask)),
      ended_(std::move(ended)),
      deadline_(loop),
      watch_(loop, socket_.get(), [this](io::Interest what) { ready(what); }) {}

void Caller::start() {
  watch_.set(io::Interest::readable);
  deadline_.start(limits::kRequestTime, [this] { answer({render_error("no request within the time allowed"), {}, 0}); });
}

void Caller::ready(io::Interest what) {
  const auto self = shared_from_this();
  if (state_ == State::reading && io::has(what, io::Interest::readable)) read();
  if (state_ == State::writing && io::has(what, io::Interest::writable)) write();
}

void Caller::read() {
  std::array<char, 16 * 1024> buffer;
  const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end();
  const std::size_t before = input_.size();
  input_.append(buffer.data(), static_cast<std::size_t>(got));
  ::explicit_bzero(buffer.data(), static_cast<std::size_t>(got));  // as input_ below
  const auto newline = input_.find('\n', before);
  if (newline != std::string::npos) return take_line(newline);
  if (input_.size() > limits::kRequestBytes)
    answer({render_error("a request is longer than " + std::to_string(limits::kRequestBytes) + " bytes"), {}, 0});
}

void Caller::take_line(std::size_t length) {
  // One request a connection: bytes after the line are no second one, and none of them is ever read as one.
  if (length + 1 != input_.size()) return answer({render_error("bytes after the request"), {}, 0});
  input_.pop_back();
  auto request = parse_request(input_);
  ::explicit_bzero(input_.data(), input_.size());  // it may hold a password
  input_.clear();
  if (!request) return answer({render_error(request.error().message), {}, 0});
  request->uid = uid_;
  state_ = State::asking;
  watch_.set(io::Interest::none);
  deadline_.stop();  // the question has its own
  ask_(*std::move(request), [weak = weak_from_this()](CallerAnswer answer) {
    if (const auto self = weak.lock()) self->answer(std::move(answer));
  });
}

void Caller::answer(CallerAnswer answer) {
  if (state_ == State::writing || state_ == State::ended) return;
  state_ = State::writing;
  answer_ = std::move(answer);
  output_ = std::move(answer_.line);
  deadline_.start(limits::kWriteTime, [this] { end(); });
  watch_.set(io::Interest::writable);
}

/// The next piece of the descriptor into output_. False: there is none left, or it cannot be read.
bool Caller::next_piece() {
  written_ = 0;
  output_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(answer_.bytes - piece_at_, limits::kPieceBytes)));
  if (output_.empty()) return false;
  const ssize_t got = ::pread(answer_.output.get(), output_.data(), output_.size(), static_cast<off_t>(piece_at_));
  if (got <= 0) return false;  // sealed and measured, so only a broken kernel ends here; the caller misses bytes and sees it
  output_.resize(static_cast<std::size_t>(got));
  piece_at_ += static_cast<std::uint64_t>(got);
  return true;
}

void Caller::write() {
  if (written_ == output_.size() && !next_piece()) return end();
  const ssize_t sent = ::send(socket_.get(), output_.data() + written_, output_.size() - written_, MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (sent < 0) return end();
  written_ += static_cast<std::size_t>(sent);
  deadline_.restart(limits::kWriteTime);
}

void Caller::end() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  watch_.set(io::Interest::none);
  deadline_.stop();
  // Not from inside a callback of what is being let go.
  loop_.post([self = shared_from_this()] { self->ended_(*self); });
}

}  // namespace postern::control
