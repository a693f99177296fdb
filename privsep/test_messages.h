/// Messages with generated values, for tests: one for each row of the table, so that a new row is tested without a new line.
#pragma once

#include <optional>
#include <random>

#include "privsep/message_table.h"
#include "privsep/wire.h"

namespace postern::privsep {

/// A codec that fills fields with values a peer may send. The same seed gives the same message.
class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  template <class... T>
  void operator()(T&... values) {
    (fill(values), ...);
  }

  template <class M>
  static M make(std::uint32_t seed) {
    M message;
    Generator generator(seed);
    message.fields(generator);
    return message;
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  template <class T>
  void fill(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = below(2) == 1;
    } else if constexpr (std::is_enum_v<T>) {
      do value = static_cast<T>(below(64));
      while (!is_known(value));
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(random_());
    } else {
      fill_object(value);
    }
  }
  void fill_object(std::string& text) {
    text.clear();
    for (std::uint64_t i = below(12); i > 0; --i) text += static_cast<char>(below(256));
  }
  void fill_object(Bytes& bytes) {
    bytes.resize(below(12));
    for (std::byte& b : bytes) b = static_cast<std::byte>(below(256));
  }
  void fill_object(IpAddress& ip) {
    std::array<std::uint8_t, 16> octets{};
    for (std::uint8_t& o : octets) o = static_cast<std::uint8_t>(below(256));
    ip = below(2) == 1 ? IpAddress::v6(octets) : IpAddress::v4({octets[0], octets[1], octets[2], octets[3]});
  }
  void fill_object(WallTime& time) { time = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(random_()))); }
  template <class T, std::size_t n>
  void fill_object(std::array<T, n>& values) {
    for (T& v : values) fill(v);
  }
  template <class T>
  void fill_object(std::vector<T>& values) {
    values.clear();
    for (std::uint64_t i = below(4); i > 0; --i) fill(values.emplace_back());
  }
  template <class T>
  void fill_object(std::optional<T>& value) {
    value.reset();
    if (below(2) == 1) fill(value.emplace());
  }
  template <class T>
    requires std::is_class_v<T>
  void fill_object(T& part) {
    part.fields(*this);
  }

  std::mt19937_64 random_;
};

/// A sender and a receiver that the row allows, with the receiver in the right phase.
struct Pair {
  Role from, to;
  bool locked;
};
inline Pair allowed_pair(const Row& row) {
  Pair pair{Role::parent, Role::parent, row.phase != Phase::start};
  for (Role role : kRoles) {
    if (row.from.has(role)) pair.from = role;
    if (row.to.has(role)) pair.to = role;
  }
  return pair;
}
inline std::uint32_t allowed_request(const Row& row) { return row.kind == Kind::tell ? 0 : 7; }
inline std::size_t allowed_descriptors(const Row& row) { return row.descriptor == Descriptor::required ? 1 : 0; }

}  // namespace postern::privsep
