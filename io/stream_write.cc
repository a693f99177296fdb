// The sending side of a TcpStream.
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "io/stream_state.h"

namespace postern::io {

void StreamState::write(ByteView data) {
  if (broken || finishing || data.empty()) return;
  end_of_turn.arm();
  if (tls == Tls::none) {
    std::size_t taken = 0;
    if (data.size() >= kDirectBytes && !connecting && !blocked) send_queue(data, taken);
    if (broken) return;
    out.append(data.subspan(taken));
  } else {
    plain.append(data);
    if (plain.size() >= kDirectBytes) encrypt();
  }
  if (queued() > TcpStream::kHighWater) drain_wanted = true;
}

/// Sends the queue and then `more`, in one call as long as the kernel takes it. `taken`: how much of `more` is sent.
/// False when the kernel takes no more, or the connection broke.
bool StreamState::send_queue(ByteView more, std::size_t& taken) {
  taken = 0;
  while (!out.empty() || taken < more.size()) {
    const std::string_view first = out.waiting();
    const ByteView second = more.subspan(taken);
    // iovec has no const: sendmsg does not write through it.
    std::array<iovec, 2> parts{{{const_cast<char*>(first.data()), first.size()},
                                {const_cast<std::byte*>(second.data()), second.size()}}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        blocked = true;
      } else {
        broken = true;
        write_error = std::strerror(errno);
        out.clear();
        plain.clear();
      }
      return false;
    }
    const auto count = static_cast<std::size_t>(sent);
    const std::size_t of_queue = std::min(count, first.size());
    out.consume(of_queue);
    taken += count - of_queue;
  }
  return true;
}

/// Turns `plain` into records in `out`, as far as the limit on what is encrypted ahead allows.
void StreamState::encrypt() {
  if (tls != Tls::established || notified) return;
  while (!plain.empty() && out.size() < kCipherBytes) {
    const std::string_view text = plain.waiting();
    const ssize_t took = tls_write(conn, text.data(), text.size());
    if (took == TLS_WANT_POLLIN || took == TLS_WANT_POLLOUT) return;  // tried again with the same bytes after the next read
    if (took < 0) {
      broken = true;
      write_error = tls_error(conn) != nullptr ? tls_error(conn) : "tls_write";
      out.clear();
      plain.clear();
      return;
    }
    plain.consume(static_cast<std::size_t>(took));
  }
}

/// Everything written has been sent: end our side, if that is wanted.
void StreamState::finish_writing() {
  if (fin_sent || broken) return;
  fin_sent = true;
  ::shutdown(fd.get(), SHUT_WR);
}

void StreamState::flush() {
  while (!broken && !blocked) {
    encrypt();
    if (finishing && plain.empty() && tls == Tls::established && !notified) {
      tls_close(conn);  // puts the close_notify alert into `out`
      notified = true;
    }
    if (out.empty()) break;
    std::size_t none = 0;
    send_queue({}, none);
  }
  if (broken) {
    if (handler == nullptr) return give_up();
    // What the peer said before it broke off may still wait to be read: reading then finds the end. Paused, it never would.
    if (paused) end(End::reset, write_error);
    return;
  }
  // Who hangs up during a handshake does not wait for it; who only finishes does.
  const bool unborn = tls == Tls::handshake;
  const bool all_sent = out.empty() && (unborn ? handler == nullptr : plain.empty());
  if (all_sent && finishing) finish_writing();
  if (all_sent && handler == nullptr) return linger();
  if (queued() == 0 && drain_wanted) {
    drain_wanted = false;
    if (!finishing && handler != nullptr) handler->on_drained();
  }
}

/// Hung up and all is sent. Closing a socket with unread bytes resets it, and a reset may overtake the last reply: bytes that still
/// come are read and dropped until the peer ends or the grace is over. Where nothing waits, that is not needed.
void StreamState::linger() {
  bool at_end = false;
  std::size_t dropped = 0;
  for (int i = 0; i < kDiscards; ++i) {
    const ssize_t got = ::recv(fd.get(), shared.read_buffer.data(), LoopState::kReadBytes, 0);
    if (got > 0) {
      dropped += static_cast<std::size_t>(got);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    at_end = got == 0 || errno != EAGAIN;
    break;
  }
  if (at_end || (dropped == 0 && !lingering)) return give_up();
  lingering = true;
  apply_interest();
}

void TcpStream::write(ByteView data) { state_->write(data); }
std::size_t TcpStream::queued() const { return state_->queued(); }

void TcpStream::finish() {
  if (state_->finishing) return;
  state_->finishing = true;
  state_->end_of_turn.arm();
}

void TcpStream::hang_up(std::chrono::milliseconds grace) {
  if (state_ == nullptr) return;
  StreamState* state = std::exchange(state_, nullptr);
  if (state->connecting || state->broken || !state->polling) return state->give_up();
  state->handler = nullptr;
  state->finishing = true;
  state->ended = true;  // nothing is read for anybody any more
  state->timer.emplace(state->loop);
  state->timer->start(grace, [state] { state->give_up(); });
  state->end_of_turn.arm();
  state->apply_interest();
}

}  // namespace postern::io
