#include "deliver/mailbox/password.h"

#include <argon2.h>

#include <array>
#include <optional>

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

namespace {

constexpr std::size_t kSaltBytes = 16;  // RFC 9106 §3.1
constexpr std::size_t kHashBytes = 32;

/// The decimal behind `name` at the start of `text`, which is moved past it.
std::optional<std::uint64_t> take_number(std::string_view& text, std::string_view name, char end) {
  if (!text.starts_with(name)) return std::nullopt;
  const auto stop = text.find(end, name.size());
  if (stop == std::string_view::npos) return std::nullopt;
  const auto number = text::parse_uint(text.substr(name.size(), stop - name.size()), UINT32_MAX);
  text.remove_prefix(stop + 1);
  return number;
}

bool is_bounded(std::string_view encoded) {
  constexpr std::string_view kHead = "$argon2id$v=19$";
  if (encoded.size() > limits::kArgonTextBytes || !encoded.starts_with(kHead)) return false;
  auto rest = encoded.substr(kHead.size());
  const auto memory = take_number(rest, "m=", ',');
  const auto passes = memory ? take_number(rest, "t=", ',') : std::nullopt;
  const auto lanes = passes ? take_number(rest, "p=", '$') : std::nullopt;
  return lanes && *memory >= limits::kArgonLeastKib && *memory <= limits::kArgonMostKib && *passes >= 1 &&
         *passes <= limits::kArgonMostPasses && *lanes == 1;
}

}  // namespace

Result<void> check_password(const Secret& password) {
  const auto text = password.view();
  if (text.size() < limits::kPasswordLeastBytes)
    return failure("password.short", "a password has at least " + std::to_string(limits::kPasswordLeastBytes) + " characters");
  if (text.size() > limits::kPasswordBytes)
    return failure("password.long", "a password has at most " + std::to_string(limits::kPasswordBytes) + " bytes");
  if (text.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos)
    return failure("password.character", "a password holds no NUL and no line end");
  return {};
}

Result<std::string> hash_password(const Secret& password, crypto::Entropy& entropy, const PasswordCost& cost) {
  TRY(check_password(password));
  std::array<std::byte, kSaltBytes> salt{};
  entropy.fill(salt);
  std::array<char, limits::kArgonTextBytes> encoded{};
  const auto text = password.view();
  const int error = argon2id_hash_encoded(cost.passes, cost.memory_kib, 1, text.data(), text.size(), salt.data(), salt.size(),
                                          kHashBytes, encoded.data(), encoded.size());
  if (error != ARGON2_OK) return failure("password.hash", argon2_error_message(error));
  return std::string(encoded.data());
}

Result<bool> verify_password(const Secret& password, std::string_view encoded) {
  if (!is_bounded(encoded)) return failure("password.format", "the stored hash is not one this program verifies");
  const auto text = password.view();
  if (text.size() > limits::kPasswordBytes) return false;
  const int error = argon2id_verify(std::string(encoded).c_str(), text.data(), text.size());
  if (error == ARGON2_OK) return true;
  if (error == ARGON2_VERIFY_MISMATCH) return false;
  return failure(error == ARGON2_MEMORY_ALLOCATION_ERROR ? "password.hash" : "password.format", argon2_error_message(error));
}

}  // namespace postern::mailbox
