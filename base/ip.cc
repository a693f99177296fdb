#include "base/ip.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text.h"

namespace postern {

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> octets) {
  IpAddress address;
  std::copy(octets.begin(), octets.end(), address.octets_.begin());
  return address;
}

IpAddress IpAddress::v6(std::array<std::uint8_t, 16> octets) {
  IpAddress address;
  address.v6_ = true;
  address.octets_ = octets;
  return address;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  // The longest text form is that of a v4-mapped address; inet_pton wants a terminated string.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  std::array<std::uint8_t, 16> octets{};
  if (inet_pton(AF_INET, terminated.c_str(), octets.data()) == 1)
    return v4({octets[0], octets[1], octets[2], octets[3]});
  if (inet_pton(AF_INET6, terminated.c_str(), octets.data()) == 1) return v6(octets);
  return std::nullopt;
}

std::string IpAddress::to_string() const {
  char buffer[INET6_ADDRSTRLEN] = {};
  inet_ntop(v6_ ? AF_INET6 : AF_INET, octets_.data(), buffer, sizeof buffer);
  return buffer;
}

IpAddress IpAddress::unmapped() const {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (!v6_ || !std::equal(kMapped.begin(), kMapped.end(), octets_.begin())) return *this;
  return v4({octets_[12], octets_[13], octets_[14], octets_[15]});
}

bool IpAddress::in_prefix(const IpAddress& net, unsigned bits) const {
  const unsigned width = v6_ ? 128 : 32;
  if (v6_ != net.v6_ || bits > width) return false;
  const unsigned whole = bits / 8;
  if (!std::equal(octets_.begin(), octets_.begin() + whole, net.octets_.begin())) return false;
  const unsigned rest = bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFF << (8 - rest));
  return (octets_[whole] & mask) == (net.octets_[whole] & mask);
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned width = address->is_v6() ? 128 : 32;
  if (slash == std::string_view::npos) return IpPrefix{*address, width};
  const auto bits = text::parse_uint(text.substr(slash + 1), width);
  if (!bits) return std::nullopt;
  return IpPrefix{*address, static_cast<unsigned>(*bits)};
}

namespace {

bool in_any(const IpAddress& address, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view text) {
    const auto prefix = IpPrefix::parse(text);
    return prefix && prefix->contains(address);
  });
}

}  // namespace

bool IpAddress::is_loopback() const {
  const IpAddress plain = unmapped();
  return in_any(plain, {"127.0.0.0/8", "::1/128"});
}

bool IpAddress::is_special() const {
  const IpAddress plain = unmapped();
  if (!plain.v6_)
    return in_any(plain, {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                          "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
                          "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"});
  if (in_any(plain, {"64:ff9b::/96"})) return v4({octets_[12], octets_[13], octets_[14], octets_[15]}).is_special();
  // Everything but global unicast, and in it the blocks that lead elsewhere: Teredo, 6to4, documentation.
  return !in_any(plain, {"2000::/3"}) || in_any(plain, {"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"});
}

}  // namespace postern
