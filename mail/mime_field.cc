// Content-Type and Content-Disposition values with the parameters of RFC 2231.
#include <algorithm>
#include <map>

#include "base/text.h"
#include "mail/encoded_word.h"
#include "mail/lex.h"
#include "mail/limits.h"
#include "mail/mime.h"

namespace postern::mail::mime {
namespace {

// One parameter as written: name "*" section "*".
struct Piece {
  std::string name;
  std::optional<std::uint64_t> section;  // of a continuation (RFC 2231 §3)
  bool extended = false;                 // percent-encoded (RFC 2231 §4)
  std::string value;
};

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), lex::is_token_char);
}

// token ["/" token] in lower case, blanks around the slash forgiven; empty where it is neither. The cursor then stands before
// the parameters, also where the ";" was forgotten and a blank must do.
std::string take_type(lex::Cursor& cursor) {
  const auto first = text::trim(cursor.until(";/( \t\r\n"));
  std::string type = is_token(first) ? text::to_lower(first) : std::string();
  (void)cursor.skip_cfws();
  if (!cursor.take('/')) return type;
  (void)cursor.skip_cfws();
  const auto second = cursor.until(";( \t\r\n");
  (void)cursor.skip_cfws();
  if (type.empty() || !is_token(second)) return {};
  return type + "/" + text::to_lower(second);
}

Piece piece_of(std::string_view name, std::string value) {
  Piece piece{text::to_lower(name), {}, false, std::move(value)};
  if (piece.name.ends_with('*')) {
    piece.extended = true;
    piece.name.pop_back();
  }
  const auto star = piece.name.find('*');
  if (star == std::string::npos) return piece;
  piece.section = text::parse_uint(std::string_view(piece.name).substr(star + 1), limits::kMimeParameters);
  if (piece.section) piece.name.resize(star);
  return piece;
}

// Quoted, a token, or whatever stands before the next ";": senders forget the quotes.
std::string take_value(lex::Cursor& cursor) {
  if (auto quoted = cursor.quoted_string()) {
    (void)cursor.until(";");
    return *std::move(quoted);
  }
  std::string_view raw = text::trim(cursor.until(";"));
  if (raw.starts_with('"')) raw.remove_prefix(1);  // a quote that does not end
  const auto comment = raw.find(" (");             // RFC 2045 §5.1: "charset=us-ascii (Plain text)"
  return std::string(text::trim(raw.substr(0, comment)));
}

std::vector<Piece> take_pieces(lex::Cursor& cursor) {
  std::vector<Piece> pieces;
  while (!cursor.done() && pieces.size() < limits::kMimeParameters) {
    cursor.take(';');
    if (!cursor.skip_cfws()) break;
    const auto name = text::trim(cursor.until("=;"));
    if (!cursor.take('=')) continue;
    if (!cursor.skip_cfws()) break;
    auto value = take_value(cursor);
    if (is_token(name)) pieces.push_back(piece_of(name, std::move(value)));
  }
  return pieces;
}

std::string unpercent(std::string_view text) {
  const auto hex = [](char c) {
    const char low = text::lower(c);
    return text::is_digit(c) ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// charset "'" language "'" rest; the charset is empty where the marks are missing.
std::string take_charset(std::string& value) {
  const auto first = value.find('\'');
  const auto second = first == std::string::npos ? first : value.find('\'', first + 1);
  if (second == std::string::npos) return {};
  std::string charset = value.substr(0, first);
  value.erase(0, second + 1);
  return charset;
}

// The pieces of one name, put together: RFC 2231 §3 and §4.1 (only the first piece names the charset).
std::string join(std::vector<const Piece*> pieces, Charsets& charsets) {
  std::stable_sort(pieces.begin(), pieces.end(), [](auto* a, auto* b) { return a->section.value_or(0) < b->section.value_or(0); });
  std::string charset, bytes;
  bool extended = false;
  std::uint64_t expected = pieces.front()->section.value_or(0);
  for (const Piece* piece : pieces) {
    if (piece->section && *piece->section != expected++) break;  // a gap or a repetition ends it
    std::string value = piece->value;
    if (piece->extended) {
      if (!extended) charset = take_charset(value);
      extended = true;
      value = unpercent(value);
    }
    bytes += value;
    if (!piece->section) break;
  }
  if (extended) return without_controls(charsets.to_utf8(bytes, charset));
  return decode_words(bytes, charsets);  // not allowed by RFC 2047 §5 (3), but common in file names
}

}  // namespace

const std::string* Field::find(std::string_view name) const {
  for (const Parameter& parameter : parameters)
    if (parameter.name == name) return &parameter.value;
  return nullptr;
}

Field parse_field(std::string_view value, Charsets& charsets) {
  lex::Cursor cursor(value);
  Field field;
  if (!cursor.skip_cfws()) return field;
  field.value = take_type(cursor);
  const auto pieces = take_pieces(cursor);
  // RFC 2231 pieces of a name are preferred to its plain form, which is for readers that do not know them (RFC 6266 §4.3).
  std::vector<std::string> order;
  std::map<std::string, std::vector<const Piece*>, std::less<>> plain, marked;
  for (const Piece& piece : pieces) {
    if (!plain.contains(piece.name) && !marked.contains(piece.name)) order.push_back(piece.name);
    (piece.section || piece.extended ? marked : plain)[piece.name].push_back(&piece);
  }
  for (const std::string& name : order) {
    const auto at = marked.find(name);
    const bool usable = at != marked.end() && !at->second.empty();
    field.parameters.push_back({name, join(usable ? at->second : plain.find(name)->second, charsets)});
  }
  return field;
}

}  // namespace postern::mail::mime
