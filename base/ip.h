/// An IP address, v4 or v6, as a value. A v4-mapped v6 address (::ffff:a.b.c.d) parses as v6; unmapped() makes it v4.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern {

class IpAddress {
 public:
  IpAddress() = default;  ///< 0.0.0.0
  static IpAddress v4(std::array<std::uint8_t, 4> octets);
  static IpAddress v6(std::array<std::uint8_t, 16> octets);
  /// Text of RFC 1123 dotted quads (no leading zeros) or RFC 4291 §2.2; no zone, no brackets, no prefix length.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v6() const { return v6_; }
  /// 4 or 16 octets, network order; valid while this address lives.
  std::string_view octets() const { return {reinterpret_cast<const char*>(octets_.data()), v6_ ? 16U : 4U}; }
  std::string to_string() const;  ///< dotted quad, or RFC 5952 text
  IpAddress unmapped() const;
  /// Whether the first `bits` bits equal those of `net`; false across families.
  bool in_prefix(const IpAddress& net, unsigned bits) const;
  bool is_loopback() const;
  /// Loopback, private, link-local, unique-local, unspecified, multicast, documentation and other ranges that a fetch for a
  /// stranger must not reach. v4-mapped, v4-compatible and NAT64 (64:ff9b::/96) addresses are judged by the v4 address inside.
  /// Source: RFC 6890.
  bool is_special() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  bool v6_ = false;
  std::array<std::uint8_t, 16> octets_{};
};

/// A network in CIDR notation ("192.0.2.0/24"); a bare address is a network of one.
struct IpPrefix {
  IpAddress address;
  unsigned bits = 0;
  static std::optional<IpPrefix> parse(std::string_view text);
  bool contains(const IpAddress& other) const { return other.in_prefix(address, bits); }
};

}  // namespace postern
