#include "mail/header.h"

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail {
namespace {

/// The end of the line that starts at `from`: after its LF, or the end of the text.
std::size_t line_end(std::string_view text, std::size_t from) {
  const std::size_t lf = text.find('\n', from);
  return lf == std::string_view::npos ? text.size() : lf + 1;
}

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// Name and value of a field. RFC 5322 §2.2: a name is printable ASCII without the colon; §4.5 lets blanks stand before it.
FieldView field_of(std::string_view raw) {
  FieldView field{.name = {}, .raw = raw, .value = without_line_end(raw)};
  std::size_t end = 0;
  while (end < raw.size() && raw[end] > ' ' && raw[end] < '\x7f' && raw[end] != ':') ++end;
  std::size_t colon = end;
  while (colon < raw.size() && text::is_space(raw[colon])) ++colon;
  if (end == 0 || colon == raw.size() || raw[colon] != ':') return field;
  field.name = raw.substr(0, end);
  field.value.remove_prefix(colon + 1);
  return field;
}

}  // namespace

bool FieldView::is(std::string_view other) const { return text::iequals(name, other); }

std::vector<const FieldView*> HeaderBlockView::all(std::string_view name) const {
  std::vector<const FieldView*> out;
  for (const FieldView& field : fields)
    if (field.is(name)) out.push_back(&field);
  return out;
}

const FieldView* HeaderBlockView::first(std::string_view name) const {
  for (const FieldView& field : fields)
    if (field.is(name)) return &field;
  return nullptr;
}

Result<HeaderBlockView> parse_header(ByteView message) {
  const std::string_view text = text_of(message);
  HeaderBlockView block;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = line_end(text, at);
    const std::string_view line = text.substr(at, end - at);
    if (line == "\r\n" || line == "\n") {
      block.body = end;
      block.has_separator = true;
      return block;
    }
    while (end < text.size() && text::is_space(text[end])) end = line_end(text, end);  // RFC 5322 §2.2.3
    if (end > limits::kHeaderBytes) return failure("header.too_large", "the header block is too large");
    if (end - at > limits::kHeaderFieldBytes) return failure("header.field_too_large", "a header field is too large");
    if (block.fields.size() == limits::kHeaderFields)
      return failure("header.too_many_fields", "the message has too many header fields");
    block.fields.push_back(field_of(text.substr(at, end - at)));
    if (block.fields.back().name.empty()) ++block.malformed;
    at = end;
  }
  block.body = text.size();
  return block;
}

std::string unfold(std::string_view value) {
  std::string out;
  out.reserve(value.size());
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool crlf = value[i] == '\r' && i + 1 < value.size() && value[i + 1] == '\n';
    if (value[i] != '\n' && !crlf) out.push_back(value[i]);
  }
  return std::string(text::trim(out));
}

}  // namespace postern::mail
