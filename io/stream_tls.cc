// TLS on a TcpStream: libtls over memory. What was received waits in cipher_in, what is to be sent goes into out.
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "io/stream_state.h"
#include "io/tls.h"

namespace postern::io {

namespace {

ssize_t give_cipher(::tls* /*connection*/, void* buffer, std::size_t size, void* arg) noexcept {
  auto* state = static_cast<StreamState*>(arg);
  const std::size_t count = std::min(size, state->cipher_in.size());
  if (count == 0) return TLS_WANT_POLLIN;
  std::memcpy(buffer, state->cipher_in.data(), count);
  state->cipher_in = state->cipher_in.subspan(count);
  return static_cast<ssize_t>(count);
}

ssize_t take_record(::tls* /*connection*/, const void* data, std::size_t size, void* arg) noexcept {
  auto* state = static_cast<StreamState*>(arg);
  if (state->out.size() > StreamState::kCipherLimit) return -1;
  state->out.append({static_cast<const std::byte*>(data), size});
  return static_cast<ssize_t>(size);
}

std::string text_or_empty(const char* text) { return text != nullptr ? text : ""; }

TlsInfo info_of(::tls* conn) {
  TlsInfo info;
  info.version = text_or_empty(tls_conn_version(conn));
  info.cipher = text_or_empty(tls_conn_cipher(conn));
  info.strength = tls_conn_cipher_strength(conn);
  info.servername = text_or_empty(tls_conn_servername(conn));
  if (tls_peer_cert_provided(conn) == 1) {
    std::size_t size = 0;
    const std::uint8_t* pem = tls_peer_cert_chain_pem(conn, &size);
    // LibreTLS counts the terminating NUL in; a NUL never belongs to PEM.
    while (size > 0 && pem[size - 1] == 0) --size;
    if (pem != nullptr) info.peer_chain_pem.assign(reinterpret_cast<const char*>(pem), size);
  }
  return info;
}

std::string error_of(::tls* conn) {
  const char* error = tls_error(conn);
  return error != nullptr ? error : "no reason given";
}

}  // namespace

void StreamState::take_cipher(ByteView data) {
  if (!cipher_left.empty()) {
    cipher_left.append(text_of(data));
    cipher_in = {};
    drive_tls();
    return;
  }
  cipher_in = data;
  drive_tls();
}

/// Works on what has been received until TLS needs more, then keeps the rest for later.
void StreamState::drive_tls() {
  std::string kept = std::move(cipher_left);
  cipher_left.clear();
  if (!kept.empty()) cipher_in = bytes_of(kept);
  if (tls == Tls::handshake && !ended) shake_hands();
  while (!gone() && tls == Tls::established && !paused && !ended && read_record()) {
  }
  if (gone()) return;
  if (!ended) cipher_left.assign(text_of(cipher_in));
  cipher_in = {};
  if (!out.empty() || !plain.empty()) end_of_turn.arm();
}

void StreamState::shake_hands() {
  for (;;) {
    const std::size_t before = cipher_in.size();
    const int rc = tls_handshake(conn);
    if (rc == 0) break;
    if (rc != TLS_WANT_POLLIN && rc != TLS_WANT_POLLOUT) {
      // The alert that says why is in `out`: it is worth sending.
      std::size_t none = 0;
      const std::string reason = error_of(conn);
      send_queue({}, none);
      return end(End::handshake, reason);
    }
    // OpenSSL returns after each record, also when the next one is here already.
    if (cipher_in.empty() || cipher_in.size() == before) return;
  }
  tls = Tls::established;
  if (handler == nullptr) return;
  handler->on_tls(info_of(conn));
}

/// Hands over the next piece of clear text. False: TLS needs more bytes first, or the peer has ended.
bool StreamState::read_record() {
  const std::size_t before = cipher_in.size();
  std::byte* buffer = shared.plain_buffer.data();
  const ssize_t got = tls_read(conn, buffer, LoopState::kPlainBytes);
  if (got > 0) {
    handler->on_data({buffer, static_cast<std::size_t>(got)});
    return true;
  }
  if (got == TLS_WANT_POLLIN || got == TLS_WANT_POLLOUT) return !cipher_in.empty() && cipher_in.size() < before;
  // close_notify ends the read side for good: whatever follows it on the wire, in clear or not, is never looked at.
  if (got == 0) end(End::closed, "close_notify");
  else end(End::tls, error_of(conn));
  return false;
}

/// Drops what the peer sent in clear before TLS begins; returns how much that was.
std::size_t StreamState::drop_clear_text() {
  std::size_t dropped = 0;
  for (int i = 0; i < kDiscards; ++i) {
    const ssize_t got = ::recv(fd.get(), shared.read_buffer.data(), LoopState::kReadBytes, MSG_DONTWAIT);
    if (got <= 0) break;  // an end or an error shows again at the next read
    dropped += static_cast<std::size_t>(got);
  }
  return dropped;
}

void StreamState::begin_tls(::tls* connection, std::shared_ptr<void> keep) {
  conn = connection;
  tls_context = std::move(keep);
  tls = Tls::handshake;
  drive_wanted = true;
  end_of_turn.arm();
}

Result<std::size_t> TcpStream::start_tls_server(const TlsServerContext& context, TlsStart start) {
  StreamState& s = *state_;
  if (s.tls != StreamState::Tls::none || s.ended || s.connecting) return failure("tls.start", "not a connection in clear");
  ::tls* connection = nullptr;
  if (tls_accept_cbs(context.native(), &connection, give_cipher, take_record, &s) != 0)
    return failure("tls.start", error_of(context.native()));
  const std::size_t dropped = start == TlsStart::upgrade ? s.drop_clear_text() : 0;
  s.begin_tls(connection, context.shared());
  return dropped;
}

Result<std::size_t> TcpStream::start_tls_client(const TlsClientContext& context, const std::string& servername, TlsStart start) {
  StreamState& s = *state_;
  if (s.tls != StreamState::Tls::none || s.ended || s.connecting) return failure("tls.start", "not a connection in clear");
  CPtr<::tls, tls_free> connection(tls_client());
  if (connection == nullptr) return failure("tls.start", "no memory");
  if (tls_configure(connection.get(), context.native()) != 0 ||
      tls_connect_cbs(connection.get(), give_cipher, take_record, &s, servername.empty() ? nullptr : servername.c_str()) != 0)
    return failure("tls.start", error_of(connection.get()));
  const std::size_t dropped = start == TlsStart::upgrade ? s.drop_clear_text() : 0;
  s.begin_tls(connection.release(), context.shared());
  return dropped;
}

}  // namespace postern::io
