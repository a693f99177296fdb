// Any value parses or not; what is written from what was parsed parses again to the same and is one field.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "mail/auth/authres.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::mail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = authres::parse(text);
  const std::string field = "Authentication-Results: ";
  authres::MethodResult hostile{"spf", "fail", std::string(text), std::string(text), {{"smtp", "mailfrom", std::string(text)}}};
  const std::string written = authres::write(text, {&hostile, 1});
  const std::string whole = field + written + "\r\n";
  const auto block = parse_header(bytes_of(whole));
  POSTERN_CHECK(block && block->fields.size() == 1 && block->malformed == 0);
  const auto again = authres::parse(written);
  POSTERN_CHECK(size == 0 || !again || again->results.size() == 1);
  if (parsed) {
    const auto copy = authres::parse(authres::write(parsed->authserv_id, parsed->results));
    POSTERN_CHECK(copy && copy->results.size() == parsed->results.size());
  }
  (void)authres::forged_fields(*block, "mx.example");
  return 0;
}
