#include "queue/verp.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"
#include "privsep/wire.h"

namespace postern::queue::verp {

namespace {

constexpr std::string_view kDigits = "abcdefghijklmnopqrstuvwxyz234567";  // RFC 4648 §6, lower case
constexpr std::string_view kMark = "b-";
constexpr std::size_t kMacDigits = 13;      // 65 bits
constexpr std::size_t kNumberDigits = 13;   // of 64 bits at most
constexpr std::size_t kLocalPartBytes = 64; // RFC 5321 §4.5.3.1.1

std::string digits_of(std::uint64_t value) {
  std::string out;
  do {
    out.insert(out.begin(), kDigits[value & 31U]);
    value >>= 5;
  } while (value != 0);
  return out;
}

std::optional<std::uint64_t> value_of(std::string_view digits) {
  if (digits.empty() || digits.size() > kNumberDigits) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : digits) {
    const auto at = kDigits.find(c);
    if (at == std::string_view::npos || value >> 59 != 0) return std::nullopt;
    value = value << 5 | at;
  }
  return value;
}

std::string mac_of(std::string_view address, Number number, const Secret& key) {
  privsep::Encoder encoder;
  encoder(std::string("postern-return-1"), text::to_lower(address), number);
  const auto full = crypto::hmac_sha256(key.view(), bytes_of(encoder.take()));
  std::string out;
  for (std::size_t i = 0; i < kMacDigits; ++i) out += kDigits[std::to_integer<std::size_t>(full[i]) & 31U];
  return out;
}

}  // namespace

std::string return_path(std::string_view reverse_path, Number number, std::string_view separator, const Secret& key) {
  const auto at = reverse_path.rfind('@');
  if (at == std::string_view::npos || separator.empty()) return std::string(reverse_path);
  const auto local = reverse_path.substr(0, at);
  const std::string detail = std::string(separator) + std::string(kMark) + digits_of(number) + "-" + mac_of(reverse_path, number, key);
  const bool plain = local.find_first_of("\"\\") == std::string_view::npos && local.find(separator) == std::string_view::npos;
  if (!plain || local.size() + detail.size() > kLocalPartBytes) return std::string(reverse_path);
  return std::string(local) + detail + std::string(reverse_path.substr(at));
}

std::optional<Number> number_of(std::string_view address, std::string_view separator, const Secret& key) {
  const std::string lower = text::to_lower(address);
  const auto at = lower.rfind('@');
  if (at == std::string::npos || separator.empty()) return std::nullopt;
  const std::string local = lower.substr(0, at), mark = std::string(separator) + std::string(kMark);
  const auto begin = local.find(mark);
  if (begin == std::string::npos) return std::nullopt;
  const std::string_view detail = std::string_view(local).substr(begin + mark.size());
  const auto dash = detail.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = value_of(detail.substr(0, dash));
  if (!number) return std::nullopt;
  const std::string expected = mac_of(local.substr(0, begin) + lower.substr(at), *number, key);
  if (!crypto::equal(bytes_of(detail.substr(dash + 1)), bytes_of(expected))) return std::nullopt;
  return number;
}

}  // namespace postern::queue::verp
