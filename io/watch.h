/// Watches a descriptor for readiness. For what is neither a TcpStream nor an Acceptor: channels between processes, pipes.
#pragma once

#include <cstdint>
#include <functional>

#include "io/loop.h"

namespace postern::io {

enum class Interest : std::uint8_t { none = 0, readable = 1, writable = 2, both = 3 };

constexpr Interest operator|(Interest a, Interest b) {
  return static_cast<Interest>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool has(Interest set, Interest one) {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(one)) != 0;
}

struct WatchState;

class Watch {
 public:
  /// What is ready now. A failed or hung-up descriptor counts as both: the next read or write tells the error.
  using Ready = std::function<void(Interest)>;

  /// `fd` stays the caller's; it is made non-blocking, and must stay open until this Watch ends (then it may be closed at once).
  /// Level-triggered: what is not read is reported again. Nothing is reported before set().
  Watch(Loop& loop, int fd, Ready on_ready);
  ~Watch();
  Watch(Watch&& other) noexcept;
  Watch& operator=(Watch&&) = delete;

  void set(Interest interest);
  Interest interest() const;

 private:
  WatchState* state_;
};

}  // namespace postern::io
