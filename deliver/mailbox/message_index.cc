#include "deliver/mailbox/message_index.h"

#include <algorithm>

#include "base/text.h"
#include "deliver/mailbox/limits.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

namespace postern::mailbox {

namespace {

/// `text` of at most `most` bytes, not ending inside a character.
std::string cut(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text;
}

std::string field_text(const mail::HeaderBlockView& header, std::string_view name, mail::Charsets& charsets) {
  const auto* field = header.first(name);
  if (field == nullptr) return {};
  // Four times the limit is read: an encoded word takes more bytes than what it says.
  return cut(mail::decode_words(field->value.substr(0, 4 * limits::kIndexFieldBytes), charsets), limits::kIndexFieldBytes);
}

bool contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) { return text::lower(a) == text::lower(b); };
  return part.empty() || std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

}  // namespace

IndexRow index_row(std::string_view head, mail::Charsets& charsets) {
  const auto header = mail::parse_header(bytes_of(head));
  IndexRow row;
  if (!header) return row;
  row.from = field_text(*header, "From", charsets);
  row.to = field_text(*header, "To", charsets);
  row.subject = field_text(*header, "Subject", charsets);
  row.message_id = field_text(*header, "Message-ID", charsets);
  return row;
}

bool Search::matches(const IndexRow& row) const {
  return contains(row.from, from) && contains(row.to, to) && contains(row.subject, subject) && contains(row.message_id, message_id);
}

}  // namespace postern::mailbox
