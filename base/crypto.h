/// Digests, MACs, encodings and randomness, over libcrypto. Keys and X.509 live in io/.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace postern::crypto {

using Sha256 = std::array<std::byte, 32>;

Sha256 sha256(ByteView data);
Sha256 hmac_sha256(std::string_view key, ByteView data);  ///< Source: RFC 2104
bool equal(ByteView a, ByteView b);                         ///< constant time in the content

std::string hex(ByteView data);                               ///< lower case
std::optional<Bytes> from_hex(std::string_view text);       ///< both cases; an odd length or another character: nullopt
std::string base64(ByteView data);                            ///< Source: RFC 4648 §4, padded, one line
/// Strict: whole quartets, canonical padding, no white space.
std::optional<Bytes> from_base64(std::string_view text);

/// Where randomness comes from; tests pass a fixed one.
class Entropy {
 public:
  virtual ~Entropy() = default;
  virtual void fill(std::span<std::byte> out) = 0;
};
class SystemEntropy final : public Entropy {  ///< getrandom(2)
 public:
  void fill(std::span<std::byte> out) override;
};

}  // namespace postern::crypto
