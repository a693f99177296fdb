/// A channel on which one asks and waits: the private-key operations of a TLS handshake, which libtls wants answered inside the call.
/// Everything else goes through Peers. Waiting is bounded; a peer that breaks the table or stays silent closes the channel.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique.h"
#include "privsep/frame.h"
#include "privsep/wire.h"

namespace postern::privsep {

class SyncChannel {
 public:
  SyncChannel(Role self, Role peer) : self_(self), peer_(peer) {}

  void set_socket(Fd socket);   ///< from the parent, at the start and after each restart of the peer
  bool is_open() const { return static_cast<bool>(socket_); }

  /// Errors: "ipc.gone", "ipc.timeout", a breach of the table ("ipc.*", "wire.*"); after a breach the channel is closed.
  template <class A, class M>
  Result<A> ask(const M& message, std::chrono::milliseconds patience) {
    static_assert(M::row.kind == Kind::request && M::row.answer == A::row.name);
    TRY_ASSIGN(const std::string payload, ask_raw(M::row, A::row, encode(message), patience));
    auto answer = decode<A>(payload);
    if (!answer) socket_.reset();
    return answer;
  }

 private:
  Result<std::string> ask_raw(const Row& row, const Row& answer, std::string_view payload, std::chrono::milliseconds patience);
  Role self_;
  Role peer_;
  Fd socket_;
  std::uint32_t next_request_ = 1;
  std::string buffer_;
};

}  // namespace postern::privsep
