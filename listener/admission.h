/// Who may connect: bounds on connections in all and from one neighbourhood (an IPv4 address, an IPv6 /64).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/ip.h"

namespace postern::listener {

enum class Admitted : std::uint8_t { yes = 0, too_many = 1, too_many_from_client = 2 };

class Admission {
 public:
  struct Limits {
    std::size_t total = 0;
    std::size_t per_client = 0;   ///< loopback is free of it
  };
  explicit Admission(const Limits& limits) : limits_(limits) {}
  void set_limits(const Limits& limits) { limits_ = limits; }

  /// Counts the client in when it is admitted; leave() must follow.
  Admitted enter(const IpAddress& client);
  void leave(const IpAddress& client);
  std::size_t total() const { return total_; }

 private:
  struct Key {
    std::array<std::uint8_t, 9> bytes{};  // family, then 4 or 8 octets
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  static Key key_of(const IpAddress& client);

  Limits limits_;
  std::size_t total_ = 0;
  std::unordered_map<Key, std::size_t, KeyHash> by_client_;
};

}  // namespace postern::listener
