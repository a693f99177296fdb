/// A channel on which one asks and waits: the private-key operations of a TLS handshake, which libtls wants answered inside the call.
/// Everything else goes through Peers.
///
/// Trust: none of the peer. A peer that breaks the table loses the channel. A peer that is silent costs its patience once: after a
/// timeout questions fail at once for kQuiet, then a single probe is given kProbePatience. So a process that serves many on one
/// thread loses at most kProbePatience / (kQuiet + kProbePatience) of its time to a peer that hangs.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique.h"
#include "privsep/frame.h"
#include "privsep/wire.h"

namespace postern::privsep {

class SyncChannel {
 public:
  static constexpr std::chrono::milliseconds kQuiet{1000};        ///< after a timeout: nobody waits
  static constexpr std::chrono::milliseconds kProbePatience{100};  ///< for the first question after that

  /// `clock` says when the quiet time ends, and must outlive this.
  SyncChannel(const Clock& clock, Role self, Role peer) : clock_(clock), self_(self), peer_(peer) {}

  void set_socket(Fd socket);   ///< from the parent, at the start and after each restart of the peer
  /// `fn` hears of each breach of the table by the peer; its channel is closed then.
  void on_breach(std::function<void(std::string_view what)> fn) { breach_ = std::move(fn); }
  bool is_open() const { return static_cast<bool>(socket_); }

  /// Errors: "ipc.gone", "ipc.timeout" (at once while the peer is known to be silent), a breach of the table ("ipc.*", "wire.*");
  /// after a breach the channel is closed.
  template <class A, class M>
  Result<A> ask(const M& message, std::chrono::milliseconds patience) {
    static_assert(M::row.kind == Kind::request && M::row.answer == A::row.name);
    TRY_ASSIGN(const std::string payload, ask_raw(M::row, A::row, encode(message), patience));
    auto answer = decode<A>(payload);
    if (!answer) broken(std::string(A::row.name) + ": " + answer.error().message);
    return answer;
  }

 private:
  Result<std::string> ask_raw(const Row& row, const Row& answer, std::string_view payload, std::chrono::milliseconds patience);
  Result<std::string> wait_answer(const Row& answer, std::uint32_t request, std::chrono::milliseconds patience);
  bool has_spoken() const;  // something to read lies there: the peer lives again
  Error silence();
  void broken(std::string_view what);

  const Clock& clock_;
  std::function<void(std::string_view)> breach_;
  bool silent_ = false;      // the last question was not answered in time
  SteadyTime quiet_until_{};
  Role self_;
  Role peer_;
  Fd socket_;
  std::uint32_t next_request_ = 1;
  std::string buffer_;
};

}  // namespace postern::privsep
