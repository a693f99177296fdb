/// How a message between processes is written: field by field, every length checked before anything is made of it.
///
/// Trust: bytes from another process are as hostile as bytes from the network. Unknown enum values, overlong counts and
/// trailing bytes are errors; no struct crosses by memcpy. Integers are little-endian.
///
/// A message names its fields once, in `void fields(auto& codec) { codec(a, b, c); }`; encoding, decoding, printing and the
/// fuzz cases come from there. An enum that travels has `constexpr bool is_known(E)` beside it.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"

namespace postern::privsep {

/// Writes values at the end of a string.
class Encoder {
 public:
  template <class... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  std::string take() { return std::move(out_); }
  std::string& buffer() { return out_; }

 private:
  template <std::unsigned_integral N>
  void put_uint(N value) {
    for (std::size_t i = 0; i < sizeof(N); ++i) out_ += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFF);
  }
  void put_text(std::string_view text) {
    put_uint(static_cast<std::uint32_t>(text.size()));
    out_ += text;
  }
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      put_uint(static_cast<std::uint8_t>(value ? 1 : 0));
    } else if constexpr (std::is_enum_v<T>) {
      put_uint(static_cast<std::make_unsigned_t<std::underlying_type_t<T>>>(value));
    } else if constexpr (std::is_unsigned_v<T>) {
      put_uint(value);
    } else if constexpr (std::is_signed_v<T>) {
      put_uint(static_cast<std::make_unsigned_t<T>>(value));
    } else {
      put_object(value);
    }
  }
  void put_object(const std::string& text) { put_text(text); }
  void put_object(const Bytes& bytes) { put_text(text_of(bytes)); }
  void put_object(const IpAddress& ip) { put_text(ip.octets()); }
  void put_object(const WallTime& t) { put_uint(static_cast<std::uint64_t>(t.time_since_epoch().count())); }
  template <class R, class P>
  void put_object(const std::chrono::duration<R, P>& d) {
    put_uint(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()));
  }
  template <class T, std::size_t n>
  void put_object(const std::array<T, n>& values) {
    for (const T& v : values) put(v);
  }
  template <class T>
  void put_object(const std::vector<T>& values) {
    put_uint(static_cast<std::uint32_t>(values.size()));
    for (const T& v : values) put(v);
  }
  template <class T>
  void put_object(const std::optional<T>& value) {
    put_uint(static_cast<std::uint8_t>(value ? 1 : 0));
    if (value) put(*value);
  }
  template <class T>
    requires std::is_class_v<T>
  void put_object(const T& part) {
    const_cast<T&>(part).fields(*this);  // fields() is shared with the decoder; an encoder only reads
  }
  std::string out_;
};

/// Reads values from a frame's payload. After the first error nothing more is read; finish() says what happened.
class Decoder {
 public:
  explicit Decoder(std::string_view payload) : left_(payload) {}

  template <class... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  /// OK when every field was well-formed and no byte is left over. Errors: "wire.short", "wire.value", "wire.trailing".
  Result<void> finish() const {
    if (!error_.empty()) return failure(error_, "a field is cut off or has no such value");
    if (!left_.empty()) return failure("wire.trailing", std::to_string(left_.size()) + " bytes after the last field");
    return {};
  }

 private:
  void fail(std::string_view code) {
    if (error_.empty()) error_ = code;
    left_ = {};
  }
  std::uint64_t get_uint(std::size_t size) {
    if (size > left_.size()) return fail("wire.short"), 0;
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(left_[i])) << (8 * i);
    left_.remove_prefix(size);
    return value;
  }
  std::string_view get_text() {
    const auto size = static_cast<std::size_t>(get_uint(4));
    if (size > left_.size()) return fail("wire.short"), std::string_view{};
    const auto text = left_.substr(0, size);
    left_.remove_prefix(size);
    return text;
  }
  template <class T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      const auto raw = get_uint(1);
      if (raw > 1) fail("wire.value");
      value = raw == 1;
    } else if constexpr (std::is_enum_v<T>) {
      const auto raw = get_uint(sizeof(T));
      const auto read = static_cast<T>(raw);
      if (error_.empty() && !is_known(read)) fail("wire.value");
      if (error_.empty()) value = read;
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(get_uint(sizeof(T)));
    } else {
      get_object(value);
    }
  }
  void get_object(std::string& text) { text = std::string(get_text()); }
  void get_object(Bytes& bytes) { bytes = to_bytes(get_text()); }
  void get_object(IpAddress& ip) {
    const auto octets = get_text();
    if (octets.size() == 4) {
      std::array<std::uint8_t, 4> v4{};
      for (std::size_t i = 0; i < 4; ++i) v4[i] = static_cast<std::uint8_t>(octets[i]);
      ip = IpAddress::v4(v4);
    } else if (octets.size() == 16) {
      std::array<std::uint8_t, 16> v6{};
      for (std::size_t i = 0; i < 16; ++i) v6[i] = static_cast<std::uint8_t>(octets[i]);
      ip = IpAddress::v6(v6);
    } else {
      fail("wire.value");
    }
  }
  void get_object(WallTime& t) { t = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(get_uint(8)))); }
  template <class R, class P>
  void get_object(std::chrono::duration<R, P>& d) {
    d = std::chrono::duration_cast<std::chrono::duration<R, P>>(std::chrono::milliseconds(static_cast<std::int64_t>(get_uint(8))));
  }
  template <class T, std::size_t n>
  void get_object(std::array<T, n>& values) {
    for (T& v : values) get(v);
  }
  template <class T>
  void get_object(std::vector<T>& values) {
    const auto count = static_cast<std::size_t>(get_uint(4));
    // Every element takes a byte at least, so a count beyond the bytes left is a lie; elements are made one by one.
    if (count > left_.size()) return fail("wire.short");
    values.clear();
    for (std::size_t i = 0; i < count && error_.empty(); ++i) get(values.emplace_back());
  }
  template <class T>
  void get_object(std::optional<T>& value) {
    bool there = false;
    get(there);
    value.reset();
    if (there && error_.empty()) get(value.emplace());
  }
  template <class T>
    requires std::is_class_v<T>
  void get_object(T& part) {
    part.fields(*this);
  }

  std::string_view left_;
  std::string_view error_;
};

template <class M>
std::string encode(const M& message) {
  Encoder encoder;
  const_cast<M&>(message).fields(encoder);
  return encoder.take();
}

template <class M>
Result<M> decode(std::string_view payload) {
  M message;
  Decoder decoder(payload);
  message.fields(decoder);
  if (auto ok = decoder.finish(); !ok) return tl::unexpected<Error>(ok.error());
  return message;
}

}  // namespace postern::privsep
