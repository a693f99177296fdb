#include "io/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "io/stream_state.h"

namespace postern::io {

std::string_view name_of(End reason) {
  switch (reason) {
    case End::closed: return "closed";
    case End::truncated: return "truncated";
    case End::reset: return "reset";
    case End::unreachable: return "unreachable";
    case End::timed_out: return "timed out";
    case End::handshake: return "handshake";
    case End::tls: return "tls";
  }
  return "?";
}

namespace {

void ready(uv_poll_t* handle, int status, int events) noexcept {
  static_cast<StreamState*>(handle->data)->on_ready(status, events);
}

}  // namespace

void StreamState::watch() {
  POSTERN_CHECK(uv_poll_init(loop.uv(), &poll, fd.get()) == 0);
  poll.data = this;
  polling = true;
  apply_interest();
}

void StreamState::apply_interest() {
  if (closing || !polling) return;
  int wanted = 0;
  if (connecting) {
    wanted = UV_WRITABLE;
  } else {
    const bool reading = !paused || ((watched & UV_READABLE) != 0 && !more_waits);
    if (lingering || (!ended && reading)) wanted |= UV_READABLE;
    if (blocked) wanted |= UV_WRITABLE;
  }
  if (wanted == watched) return;  // each change costs two system calls
  watched = wanted;
  POSTERN_CHECK(wanted == 0 ? uv_poll_stop(&poll) == 0 : uv_poll_start(&poll, wanted, ready) == 0);
}

void StreamState::on_ready(int status, int events) {
  if (status < 0) {  // an error waits on the socket; libuv stopped watching
    watched = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  if (connecting) return connected();
  if ((events & UV_WRITABLE) != 0 && blocked) {
    blocked = false;
    flush();
    if (gone()) return;
  }
  if ((events & UV_READABLE) != 0) {
    if (lingering) linger();
    else if (!ended && !paused) read_some();
    else if (!ended && status >= 0) more_waits = true;  // only now is the pause worth a system call
    else if (status < 0) end(End::reset, "connection error");
  }
  apply_interest();
}

void StreamState::at_end_of_turn() {
  if (closing) return;
  if (!connect_error.empty()) return end(End::unreachable, connect_error);
  if (drive_wanted) {
    drive_wanted = false;
    drive_tls();
    if (gone()) return;
  }
  if (!connecting) flush();
  apply_interest();
}

void StreamState::connected() {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return end(error == ETIMEDOUT ? End::timed_out : End::unreachable, std::strerror(error));
  connecting = false;
  timer.reset();
  handler->on_connected();
  if (gone()) return;
  end_of_turn.arm();
  apply_interest();
}

void StreamState::read_some() {
  std::byte* buffer = shared.read_buffer.data();
  const ssize_t got = ::recv(fd.get(), buffer, LoopState::kReadBytes, 0);
  if (got > 0) {
    const ByteView data(buffer, static_cast<std::size_t>(got));
    if (tls == Tls::none) handler->on_data(data);
    else take_cipher(data);
    return;
  }
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return end(errno == ETIMEDOUT ? End::timed_out : End::reset, std::strerror(errno));
  }
  if (broken) return end(End::reset, write_error);
  switch (tls) {
    case Tls::none: return end(End::closed, "closed by the peer");
    case Tls::handshake: return end(End::handshake, "closed by the peer during the handshake");
    case Tls::established: return end(End::truncated, "closed by the peer without close_notify");
  }
}

void StreamState::end(End reason, std::string_view detail) {
  if (ended) return;
  ended = true;
  if (reason != End::closed && reason != End::truncated) {
    broken = true;
    blocked = false;
    connecting = false;
    out.clear();
    plain.clear();
  }
  timer.reset();
  apply_interest();
  if (handler != nullptr) handler->on_end(reason, detail);
  else give_up();
}

void StreamState::give_up() {
  if (closing) return;
  closing = true;
  handler = nullptr;
  timer.reset();
  end_of_turn.disarm();
  if (polling) {
    close_and_delete(this, &poll);
    fd.reset();
  } else {
    loop.post([owned = std::shared_ptr<StreamState>(this)] {});  // freed after this turn, or with the loop
  }
}

TcpStream::TcpStream(Loop& loop, Fd connected, StreamHandler& handler) {
  POSTERN_CHECK(connected);
  auto made = std::make_unique<StreamState>(loop, handler);
  loop.state().need_buffers();
  made->fd = std::move(connected);
  made->watch();
  state_ = made.release();
}

namespace {

/// An empty text, or what went wrong.
std::string begin_connect(Fd& fd, const Endpoint& to, const std::optional<IpAddress>& source) {
  fd = Fd(::socket(to.address.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return std::string("socket: ") + std::strerror(errno);
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_storage address;
  if (source) {
    const socklen_t length = to_sockaddr({*source, 0}, address);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0)
      return "bind " + source->to_string() + ": " + std::strerror(errno);
  }
  const socklen_t length = to_sockaddr(to, address);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 && errno != EINPROGRESS)
    return std::string("connect: ") + std::strerror(errno);
  return {};
}

}  // namespace

TcpStream TcpStream::connect(Loop& loop, const Endpoint& to, std::chrono::milliseconds timeout, StreamHandler& handler,
                             std::optional<IpAddress> source) {
  auto made = std::make_unique<StreamState>(loop, handler);
  loop.state().need_buffers();
  made->connecting = true;
  made->connect_error = begin_connect(made->fd, to, source);
  if (made->connect_error.empty()) {
    made->watch();
    StreamState* state = made.get();
    state->timer.emplace(loop);
    state->timer->start(timeout, [state] { state->end(End::timed_out, "no answer to connect"); });
  } else {
    made->end_of_turn.arm();
  }
  return TcpStream(made.release());
}

TcpStream& TcpStream::operator=(TcpStream&& other) noexcept {
  if (this != &other) {
    close();
    state_ = std::exchange(other.state_, nullptr);
  }
  return *this;
}

void TcpStream::pause_reading() {
  state_->paused = true;
  state_->apply_interest();
}

void TcpStream::resume_reading() {
  if (!state_->paused) return;
  state_->paused = false;
  state_->more_waits = false;
  if (state_->tls != StreamState::Tls::none) {  // a record may wait inside TLS, where no event will tell of it
    state_->drive_wanted = true;
    state_->end_of_turn.arm();
  }
  state_->apply_interest();
}

void TcpStream::close() {
  if (state_ == nullptr) return;
  std::exchange(state_, nullptr)->give_up();
}

bool TcpStream::is_tls() const { return state_->tls != StreamState::Tls::none; }

Result<Endpoint> TcpStream::peer() const { return peer_endpoint(state_->fd.get()); }
Result<Endpoint> TcpStream::local() const { return local_endpoint(state_->fd.get()); }

}  // namespace postern::io
