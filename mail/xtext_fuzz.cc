// xtext: what decodes is what was encoded; any bytes survive encoding and decoding; the same for addresses of RFC 6533.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/text.h"
#include "mail/smtp_params.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::mail;
  using namespace postern::mail::smtp;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string encoded = encode_xtext(text);
  const auto decoded = decode_xtext(encoded);
  POSTERN_CHECK(decoded && *decoded == text);
  if (const auto any = decode_xtext(text)) POSTERN_CHECK(decode_xtext(encode_xtext(*any)) == *any);
  for (const auto utf8 : {Utf8::refused, Utf8::allowed}) {
    const auto address = decode_utf8_address(text, utf8);
    if (!address) continue;
    POSTERN_CHECK(postern::text::is_utf8(*address));
    // C1 controls may come in as UTF-8 but are never written as \x{..}.
    const auto again = decode_utf8_address(encode_utf8_address(*address), Utf8::refused);
    POSTERN_CHECK(!again || *again == *address);
  }
  return 0;
}
