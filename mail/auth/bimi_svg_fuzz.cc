// Any bytes are judged; what is accepted holds nothing that acts.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "mail/auth/bimi.h"
#include "mail/auth/bimi_svg.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::mail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (bimi::check_svg(text)) POSTERN_CHECK(text.find("<script") == std::string_view::npos && text.find("<!DOCTYPE") == std::string_view::npos);
  (void)bimi::parse_record(text);
  return 0;
}
