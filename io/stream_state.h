/// Inside io/ only: a connection as the loop sees it. Lives until libuv lets go of the descriptor's handle, so that every
/// callback may end the TcpStream.
#pragma once

#include <tls.h>

#include <optional>

#include "io/loop_state.h"
#include "io/stream.h"
#include "io/timer.h"

namespace postern::io {

/// Bytes to send, in order; what was sent is forgotten lazily.
class OutQueue {
 public:
  void append(ByteView data) { bytes_.append(text_of(data)); }
  std::string_view waiting() const { return std::string_view(bytes_).substr(at_); }
  std::size_t size() const { return bytes_.size() - at_; }
  bool empty() const { return size() == 0; }
  void consume(std::size_t count) {
    at_ += count;
    if (at_ == bytes_.size()) {
      clear();
    } else if (at_ > kCompactBytes) {
      bytes_.erase(0, at_);
      at_ = 0;
    }
  }
  void clear() {
    bytes_.clear();
    at_ = 0;
  }

 private:
  static constexpr std::size_t kCompactBytes = 64 * 1024;
  std::string bytes_;
  std::size_t at_ = 0;
};

struct StreamState {
  static constexpr std::size_t kDirectBytes = 16 * 1024;       ///< a write this large does not wait for the end of the turn
  static constexpr std::size_t kCipherBytes = 256 * 1024;      ///< encrypted ahead of the kernel at most
  static constexpr std::size_t kCipherLimit = 1024 * 1024;     ///< a peer that makes TLS answer and does not read is cut off here
  static constexpr int kDiscards = 64;                         ///< receives in a row when bytes are dropped

  enum class Tls : std::uint8_t { none, handshake, established };

  StreamState(Loop& on, StreamHandler& who)
      : loop(on), shared(on.state()), handler(&who), end_of_turn(on, [this] { at_end_of_turn(); }) {}
  ~StreamState() {
    if (conn != nullptr) tls_free(conn);
  }
  StreamState(const StreamState&) = delete;
  StreamState& operator=(const StreamState&) = delete;

  // stream.cc: the descriptor, reading and ending
  void watch();                     ///< begins to watch fd
  void apply_interest();
  void on_ready(int status, int events);
  void at_end_of_turn();
  void read_some();
  void connected();
  void end(End reason, std::string_view detail);
  void give_up();                   ///< gone: closes and frees in two phases
  bool gone() const { return closing; }

  // stream_write.cc
  void write(ByteView data);
  void flush();
  bool send_queue(ByteView more, std::size_t& taken);
  void encrypt();
  void finish_writing();
  void linger();
  std::size_t queued() const { return out.size() + plain.size(); }
  std::size_t discard(std::size_t& rounds_left, bool& at_end);

  // stream_tls.cc
  void begin_tls(::tls* connection, std::shared_ptr<void> keep);
  void drive_tls();
  void take_cipher(ByteView data);
  void shake_hands();
  bool read_record();
  std::size_t drop_clear_text();

  Loop& loop;
  LoopState& shared;
  StreamHandler* handler;  ///< null once the TcpStream has ended
  Fd fd;
  uv_poll_t poll{};
  int watched = 0;         ///< libuv's mask now
  Deferred end_of_turn;
  std::optional<Timer> timer;  ///< of connect, then of hang_up

  OutQueue out;    ///< for the kernel
  OutQueue plain;  ///< for TLS to encrypt

  bool polling = false;        ///< `poll` is initialised
  bool closing = false;
  bool connecting = false;
  bool paused = false;
  bool more_waits = false;            ///< bytes came while paused: the event is off until reading resumes
  bool ended = false;          ///< on_end was called, or would have been
  bool broken = false;         ///< nothing can be sent any more
  bool blocked = false;        ///< the kernel took no more
  bool drain_wanted = false;   ///< the queue went over the high-water mark
  bool finishing = false;      ///< finish() or hang_up()
  bool notified = false;       ///< close_notify is in `out`
  bool fin_sent = false;
  bool lingering = false;      ///< hung up; waits for the peer to end
  bool drive_wanted = false;   ///< TLS has something to do at the end of the turn
  std::string connect_error;   ///< to be told from the loop
  std::string write_error;

  Tls tls = Tls::none;
  ::tls* conn = nullptr;
  std::shared_ptr<void> tls_context;  ///< what `conn` was made from
  ByteView cipher_in;                 ///< received, not yet taken by TLS
  std::string cipher_left;            ///< the same, kept while reading is paused
};

}  // namespace postern::io
