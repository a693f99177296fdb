// Fuzzes macro-strings and their expansion: the first line is the text, the rest the local part.
#include <algorithm>

#include "base/check.h"
#include "mail/auth/spf_macro.h"
#include "mail/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const std::string_view input{reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 4096)};
  const auto line = std::min(input.find('\n'), input.size());
  const std::string_view text = input.substr(0, line);
  mail::spf::MacroValues values;
  values.local_part = input.substr(line);
  values.sender = values.local_part + "@example.com";
  values.domain = values.sender_domain = "example.com";
  values.client = *IpAddress::parse("2001:db8::1");
  if (const auto macro = mail::spf::parse_domain_spec(text)) {
    const std::string name = mail::spf::expand_domain(*macro, values);
    POSTERN_CHECK(name.size() <= 253);
    POSTERN_CHECK(mail::spf::expand_domain(*macro, values) == name);
  }
  if (const auto macro = mail::spf::parse_explanation(text)) {
    const std::string words = mail::spf::expand_explanation(*macro, values);
    POSTERN_CHECK(words.size() <= mail::limits::kSpfExplanationBytes);
    POSTERN_CHECK(std::all_of(words.begin(), words.end(), [](char c) { return c >= 0x20 && c <= 0x7E; }));
  }
  return 0;
}
