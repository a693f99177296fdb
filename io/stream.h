/// A TCP connection on a Loop, in clear or under TLS, accepted or made.
///
/// Trust: the peer is hostile. Nothing here is unbounded but what the caller queues (see queued()).
/// All that is written during one turn of the loop leaves in one send. Deadlines are the caller's: a Timer beside it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/unique.h"
#include "io/endpoint.h"
#include "io/loop.h"
#include "io/tls_info.h"

namespace postern::io {

class TlsServerContext;
class TlsClientContext;

/// Why nothing more comes from the peer.
enum class End : std::uint8_t {
  closed = 1,       ///< the peer ended its side in order: FIN, or close_notify under TLS. Writing still works.
  truncated = 2,    ///< under TLS: FIN without close_notify. Common; the last bytes may have been cut by an attacker.
  reset = 3,        ///< the connection broke
  unreachable = 4,  ///< connect: refused, no route …
  timed_out = 5,    ///< connect: no answer in time, or the kernel gave the peer up
  handshake = 6,    ///< the TLS handshake failed
  tls = 7,          ///< a TLS record was bad after the handshake
};
std::string_view name_of(End reason);

/// Who uses a stream. Calls come from the loop, never from inside a call to the stream. Every one of them may end the stream.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// connect() succeeded. Not called for an accepted socket.
  virtual void on_connected() {}
  /// Bytes came. The view is valid during the call only.
  virtual void on_data(ByteView data) = 0;
  /// The handshake begun by start_tls_*() is done.
  virtual void on_tls(const TlsInfo& info) { (void)info; }
  /// The queue, which had been over the high-water mark, is empty.
  virtual void on_drained() {}
  /// The last call, but for on_drained after End::closed. `detail` is for a log and may quote the peer.
  virtual void on_end(End reason, std::string_view detail) = 0;
};

/// How TLS begins.
enum class TlsStart : std::uint8_t {
  upgrade = 1,    ///< STARTTLS: what the peer sent before now was in clear and is dropped and counted
  immediate = 2,  ///< implicit TLS: what has come is the handshake already
};

struct StreamState;

class TcpStream {
 public:
  static constexpr std::size_t kHighWater = 256 * 1024;  ///< bytes queued above which on_drained will be called

  TcpStream() = default;  ///< no connection; only assignment and open() work
  /// Over a connected socket. `handler` must outlive the stream. Reading starts at once.
  TcpStream(Loop& loop, Fd connected, StreamHandler& handler);
  /// Begins to connect; `handler` hears on_connected, or on_end with unreachable or timed_out. `source` binds the local address.
  static TcpStream connect(Loop& loop, const Endpoint& to, std::chrono::milliseconds timeout, StreamHandler& handler,
                           std::optional<IpAddress> source = std::nullopt);
  ~TcpStream() { close(); }  ///< as close()
  TcpStream(TcpStream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  TcpStream& operator=(TcpStream&& other) noexcept;

  bool open() const { return state_ != nullptr; }

  /// Queues `data` (copied before the call returns); it leaves at the end of this turn, large data at once.
  /// Before on_connected and during a handshake it waits. After finish() and after a broken end it is dropped.
  void write(ByteView data);
  void write(std::string_view text) { write(bytes_of(text)); }
  std::size_t queued() const;                            ///< bytes not yet taken by the kernel
  bool congested() const { return queued() > kHighWater; }  ///< stop producing until on_drained

  void pause_reading();
  /// Data that came meanwhile is delivered from the loop, not inside this call.
  void resume_reading();

  /// Makes the stream TLS from here on; there is no way back to clear text. What is queued goes out in clear first (the 220 of
  /// STARTTLS). Returns how many bytes of clear text the kernel held and were dropped (TlsStart::upgrade): more than none means
  /// somebody injects, close() the stream. What on_data has handed over already is the caller's to look at and to drop.
  /// Then on_tls or on_end(handshake) follows. Errors: "tls.start" (nothing changed).
  Result<std::size_t> start_tls_server(const TlsServerContext& context, TlsStart start);
  Result<std::size_t> start_tls_client(const TlsClientContext& context, const std::string& servername, TlsStart start);
  bool is_tls() const;  ///< from start_tls_*() on

  /// Ends our side in order after what is queued: close_notify under TLS, then FIN. Reading goes on until on_end.
  void finish();
  /// Ends the stream; the handler hears nothing more. What is queued still goes out, in the background, for at most `grace`; then
  /// our side ends in order. For the last reply of a dialogue.
  void hang_up(std::chrono::milliseconds grace = std::chrono::seconds{5});
  /// Ends the stream now; what is queued is lost.
  void close();

  Result<Endpoint> peer() const;
  Result<Endpoint> local() const;

 private:
  explicit TcpStream(StreamState* state) : state_(state) {}
  StreamState* state_ = nullptr;  // the loop frees it in its second phase
};

}  // namespace postern::io
