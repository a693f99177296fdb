#include "mail/transfer.h"

#include <array>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/text.h"

namespace postern::mail {
namespace {

constexpr std::size_t kLineCharacters = 76;  // RFC 2045 §6.7 rule 5 and §6.8

constexpr std::array<std::uint8_t, 256> make_base64_table() {
  std::array<std::uint8_t, 256> table{};
  for (auto& value : table) value = 0xFF;
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  return table;
}
constexpr auto kBase64 = make_base64_table();

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = text::lower(c);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

void append_hex(std::string& out, char c) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += '=';
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

TransferEncoding transfer_encoding_of(std::string_view value) {
  value = text::trim(value);
  if (value.empty() || text::iequals(value, "7bit") || text::iequals(value, "8bit") || text::iequals(value, "binary"))
    return TransferEncoding::identity;
  if (text::iequals(value, "base64")) return TransferEncoding::base64;
  if (text::iequals(value, "quoted-printable")) return TransferEncoding::quoted_printable;
  return TransferEncoding::unknown;
}

std::string decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned held = 0;  // bits in `bits` not yet written
  for (char c : text) {
    const std::uint8_t value = kBase64[static_cast<unsigned char>(c)];
    if (value != 0xFF) {
      bits = (bits << 6 | value) & 0xFFFF;
      held += 6;
      if (held >= 8) {
        held -= 8;
        out += static_cast<char>(bits >> held & 0xFF);
      }
    } else if (c == '=' && held != 0) {
      break;  // the end: at most two bits are left, which pad
    }
  }
  return out;
}

std::string decode_quoted_printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '=') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = high >= 0 ? hex_value(text[i + 2]) : -1;
      if (low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
      std::size_t end = i + 1;  // a soft line break may carry blanks (rule 3)
      while (end < text.size() && text::is_space(text[end])) ++end;
      if (end == text.size()) break;
      if (text[end] == '\n' || (text[end] == '\r' && end + 1 < text.size() && text[end + 1] == '\n')) {
        i = text[end] == '\r' ? end + 1 : end;
        continue;
      }
      out += c;
    } else if (text::is_space(c)) {
      std::size_t end = i;
      while (end < text.size() && text::is_space(text[end])) ++end;
      const bool trailing = end == text.size() || text[end] == '\n' || text[end] == '\r';
      if (!trailing) out += text.substr(i, end - i);
      i = end - 1;
    } else {
      out += c;
    }
  }
  return out;
}

std::string encode_base64_lines(std::string_view bytes) {
  const std::string whole = crypto::base64(bytes_of(bytes));
  std::string out;
  for (std::size_t at = 0; at < whole.size(); at += kLineCharacters) {
    out.append(whole, at, kLineCharacters);
    out += "\r\n";
  }
  return out;
}

std::string encode_quoted_printable(std::string_view text) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool crlf = c == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if (c == '\n' || crlf) {
      out += "\r\n";
      column = 0;
      if (crlf) ++i;
      continue;
    }
    const bool line_ends = i + 1 == text.size() || text[i + 1] == '\n' || text[i + 1] == '\r';
    const bool starts_oddly = column == 0 && (c == '.' || (c == 'F' && text.substr(i, 5) == "From "));
    const bool plain = ((c >= '!' && c <= '~' && c != '=') || (text::is_space(c) && !line_ends)) && !starts_oddly;
    const std::size_t need = plain ? 1 : 3;
    if (column + need >= kLineCharacters) {
      out += "=\r\n";
      column = 0;
      // The break made a new line start: judge this character again there.
      if (c == '.' || text.substr(i, 5) == "From ") {
        append_hex(out, c);
        column = 3;
        continue;
      }
    }
    if (plain) out += c;
    else append_hex(out, c);
    column += need;
  }
  return out;
}

}  // namespace postern::mail
