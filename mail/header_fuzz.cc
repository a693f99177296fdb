// Fuzzes the header block parser and the token helpers: every view stays inside the message, fields cover the block.
#include "base/check.h"
#include "mail/header.h"
#include "mail/lex.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto block = mail::parse_header(bytes_of(text));
  if (!block) return 0;
  std::size_t at = 0;
  for (const auto& field : block->fields) {
    POSTERN_CHECK(field.raw.data() == text.data() + at);
    at += field.raw.size();
    POSTERN_CHECK(field.value.size() <= field.raw.size());
    mail::unfold(field.value);
    mail::lex::Cursor cursor(field.value);
    while (!cursor.done()) {
      const std::size_t before = cursor.at();
      if (!cursor.skip_cfws()) break;
      if (!cursor.quoted_string() && cursor.dot_atom().empty() && cursor.token().empty()) cursor.take(cursor.peek());
      POSTERN_CHECK(cursor.at() > before || cursor.done());
    }
  }
  POSTERN_CHECK(block->body >= at && block->body <= size && block->body - at <= 2);
  return 0;
}
