// Fuzzes the record parser: what it lets through has terms that can be expanded and prefixes that fit their family.
#include "base/check.h"
#include "mail/auth/spf_record.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto record = mail::spf::parse_record(text);
  if (!record) return 0;
  POSTERN_CHECK(mail::spf::is_record(text));
  mail::spf::MacroValues values;
  values.domain = values.sender_domain = "example.com";
  for (const auto& directive : record->directives) {
    POSTERN_CHECK(directive.bits4 <= 32 && directive.bits6 <= 128);
    POSTERN_CHECK(text.find(directive.text) != std::string_view::npos);
    if (directive.domain) POSTERN_CHECK(mail::spf::expand_domain(*directive.domain, values).size() <= 253);
  }
  return 0;
}
