// Decoding gives one line of UTF-8; encoding and decoding gives the text back.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/text.h"
#include "mail/encoded_word.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::mail;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Charsets charsets;
  const std::string decoded = decode_words(input, charsets);
  POSTERN_CHECK(text::is_utf8(decoded));
  POSTERN_CHECK(decoded.find_first_of("\r\n") == std::string::npos);
  std::string joined;
  for (const auto& word : encode_words(input)) {
    POSTERN_CHECK(word.size() <= kEncodedWordCharacters);
    joined += (joined.empty() ? "" : "\r\n ") + word;
  }
  POSTERN_CHECK(decode_words(joined, charsets) == without_controls(repair_utf8(input)));
  return 0;
}
