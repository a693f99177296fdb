/// Takes clients from a listening socket that another process bound.
#pragma once

#include <functional>
#include <memory>

#include "base/unique.h"
#include "io/endpoint.h"
#include "io/loop.h"

namespace postern::io {

/// Accepts in batches. Out of descriptors, it turns one client away by closing it (a reserve descriptor makes room) and rests for
/// a moment, instead of spinning on a socket that stays ready.
class Acceptor {
 public:
  /// The client's socket: non-blocking, close-on-exec, TCP_NODELAY; v4-mapped peers come as v4.
  using OnAccept = std::function<void(Fd client, const Endpoint& peer)>;

  /// Starts at once. `listening` is owned from here on.
  Acceptor(Loop& loop, Fd listening, OnAccept on_accept);
  /// Not from inside on_accept.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  void pause();   ///< clients wait in the kernel's queue
  void resume();
  std::uint64_t turned_away() const;  ///< clients closed for want of descriptors

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::io
