#include "base/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace postern::crypto {

namespace {
const unsigned char* raw(ByteView data) { return reinterpret_cast<const unsigned char*>(data.data()); }
}  // namespace

Sha256 sha256(ByteView data) {
  Sha256 out;
  SHA256(raw(data), data.size(), reinterpret_cast<unsigned char*>(out.data()));
  return out;
}

Sha256 hmac_sha256(std::string_view key, ByteView data) {
  Sha256 out;
  unsigned length = 0;
  // A null key would mean "the key of before" to libcrypto, an empty one is a key.
  const auto* mac = HMAC(EVP_sha256(), key.empty() ? "" : key.data(), static_cast<int>(key.size()), raw(data), data.size(),
                         reinterpret_cast<unsigned char*>(out.data()), &length);
  POSTERN_CHECK(mac != nullptr && length == out.size());
  return out;
}

bool equal(ByteView a, ByteView b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex(ByteView data) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(data.size() * 2);
  for (std::byte b : data) {
    out += kDigits[static_cast<unsigned>(b) >> 4];
    out += kDigits[static_cast<unsigned>(b) & 15];
  }
  return out;
}

std::optional<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]);
    const int low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return out;
}

std::string base64(ByteView data) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((data.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < data.size(); i += 3) {
    const std::size_t left = data.size() - i;
    const auto at = [&](std::size_t n) { return n < left ? static_cast<unsigned>(data[i + n]) : 0U; };
    const unsigned group = at(0) << 16 | at(1) << 8 | at(2);
    out += kAlphabet[group >> 18];
    out += kAlphabet[group >> 12 & 63];
    out += left > 1 ? kAlphabet[group >> 6 & 63] : '=';
    out += left > 2 ? kAlphabet[group & 63] : '=';
  }
  return out;
}

std::optional<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  const auto value = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
  };
  Bytes out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const int padding = !last || text[i + 3] != '=' ? 0 : (text[i + 2] == '=' ? 2 : 1);
    unsigned group = 0;
    for (std::size_t n = 0; n < 4; ++n) {
      const int v = n >= 4 - static_cast<std::size_t>(padding) ? 0 : value(text[i + n]);
      if (v < 0) return std::nullopt;
      group = group << 6 | static_cast<unsigned>(v);
    }
    // Bits that the padding leaves over must be zero: one text for one value.
    if ((padding == 1 && (group & 0xFF) != 0) || (padding == 2 && (group & 0xFFFF) != 0)) return std::nullopt;
    out.push_back(static_cast<std::byte>(group >> 16 & 0xFF));
    if (padding < 2) out.push_back(static_cast<std::byte>(group >> 8 & 0xFF));
    if (padding < 1) out.push_back(static_cast<std::byte>(group & 0xFF));
  }
  return out;
}

void SystemEntropy::fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    POSTERN_CHECK(got > 0);
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace postern::crypto
