#include "mail/smtp_params.h"

#include <algorithm>
#include <bitset>
#include <limits>
#include <span>

#include "base/text.h"

namespace postern::mail::smtp {
namespace {

auto bad_value(std::string_view keyword, const char* why) { return failure("smtp.value", std::string(keyword) + ": " + why); }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }
bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }
bool has_control(std::string_view text) { return std::any_of(text.begin(), text.end(), is_control); }

// Upper-case hex only (RFC 3461 §4: hexchar).
std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

// xchar of RFC 3461 §4, which is also the value character of RFC 5321 §4.1.2 without "+".
bool is_xchar(char c) { return c > ' ' && c < 0x7F && c != '+' && c != '='; }

void append_utf8(std::string& out, unsigned point) {
  const auto byte = [&](unsigned value) { out += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) return byte(0xC0 | point >> 6), byte(0x80 | (point & 0x3F));
  if (point < 0x10000) return byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F));
  byte(0xF0 | point >> 18), byte(0x80 | (point >> 12 & 0x3F)), byte(0x80 | (point >> 6 & 0x3F)), byte(0x80 | (point & 0x3F));
}

// "\x{HEXPOINT}" at the start of `text`, which is moved past it.
std::optional<unsigned> take_embedded(std::string_view& text) {
  constexpr std::size_t kLongest = 6;  // 10FFFF
  if (!text.starts_with("\\x{")) return std::nullopt;
  const auto end = text.find('}');
  if (end == std::string_view::npos || end < 4 || end > 3 + kLongest) return std::nullopt;
  unsigned point = 0;
  for (char c : text.substr(3, end - 3)) {
    const auto digit = hex_digit(c);
    if (!digit) return std::nullopt;
    point = point << 4 | *digit;
  }
  text.remove_prefix(end + 1);
  return point;
}

using Value = std::optional<std::string_view>;  // nullopt: there is no "="

// ---- the parameters, each a row ------------------------------------------------------------------------------------

template <class T>
struct Parameter {
  std::string_view keyword;
  Result<void> (*set)(T& to, Value value, Utf8 utf8);
};

Result<void> set_size(MailParameters& to, Value value, Utf8) {  // RFC 1870 §4
  const auto size = value && value->size() <= 20 ? text::parse_uint(*value, std::numeric_limits<std::uint64_t>::max()) : std::nullopt;
  if (!size) return bad_value("SIZE", "not a number of octets");
  to.size = *size;
  return {};
}

Result<void> set_body(MailParameters& to, Value value, Utf8) {  // RFC 6152 §2, RFC 3030 §3
  static constexpr std::pair<std::string_view, BodyType> kTypes[] = {
      {"7BIT", BodyType::seven_bit}, {"8BITMIME", BodyType::eight_bit_mime}, {"BINARYMIME", BodyType::binary_mime}};
  for (const auto& [name, type] : kTypes)
    if (value && text::iequals(*value, name)) return to.body = type, Result<void>{};
  return bad_value("BODY", "no such type");
}

Result<void> set_smtputf8(MailParameters& to, Value value, Utf8) {  // RFC 6531 §3.1
  if (value) return bad_value("SMTPUTF8", "takes no value");
  to.smtputf8 = true;
  return {};
}

Result<void> set_require_tls(MailParameters& to, Value value, Utf8) {  // RFC 8689 §2
  if (value) return bad_value("REQUIRETLS", "takes no value");
  to.require_tls = true;
  return {};
}

Result<void> set_ret(MailParameters& to, Value value, Utf8) {  // RFC 3461 §4.3
  if (value && text::iequals(*value, "FULL")) return to.ret = Ret::full, Result<void>{};
  if (value && text::iequals(*value, "HDRS")) return to.ret = Ret::headers, Result<void>{};
  return bad_value("RET", "FULL or HDRS");
}

Result<void> set_envid(MailParameters& to, Value value, Utf8) {  // RFC 3461 §4.4
  if (!value || value->empty() || value->size() > limits::kEnvidBytes) return bad_value("ENVID", "1 to 100 characters");
  TRY_ASSIGN(to.envid, decode_xtext(*value));
  if (has_control(to.envid) || !text::is_ascii(to.envid)) return bad_value("ENVID", "printable ASCII only");
  return {};
}

Result<void> set_notify(RcptParameters& to, Value value, Utf8) {  // RFC 3461 §4.1
  static constexpr std::pair<std::string_view, bool NotifyOn::*> kEvents[] = {{"NEVER", &NotifyOn::never},
      {"SUCCESS", &NotifyOn::success}, {"FAILURE", &NotifyOn::failure}, {"DELAY", &NotifyOn::delay}};
  constexpr std::size_t kLongest = 32;  // all four words are shorter
  if (!value || value->size() > kLongest) return bad_value("NOTIFY", "what about?");
  const auto words = text::split(*value, ',');
  for (const auto word : words) {
    const auto event = std::find_if(std::begin(kEvents), std::end(kEvents), [&](const auto& e) { return text::iequals(word, e.first); });
    if (event == std::end(kEvents) || to.notify.*(event->second)) return bad_value("NOTIFY", "no such event, or named twice");
    to.notify.*(event->second) = true;
  }
  if (to.notify.never && words.size() != 1) return bad_value("NOTIFY", "NEVER stands alone");
  to.notify.given = true;
  return {};
}

Result<void> set_orcpt(RcptParameters& to, Value value, Utf8 utf8) {  // RFC 3461 §4.2
  if (!value || value->size() > limits::kOrcptBytes) return bad_value("ORCPT", "at most 500 characters");
  const auto semicolon = value->find(';');
  if (semicolon == std::string_view::npos || semicolon == 0) return bad_value("ORCPT", "type;address");
  const auto type = value->substr(0, semicolon);
  const auto is_atom = [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-'; };
  if (!std::all_of(type.begin(), type.end(), is_atom)) return bad_value("ORCPT", "the type is no word");
  const auto encoded = value->substr(semicolon + 1);
  TRY_ASSIGN(const std::string address,
             text::iequals(type, "utf-8") ? decode_utf8_address(encoded, utf8) : decode_xtext(encoded));
  // What is decoded ends up in a DSN's lines: nothing that could end one may be in it.
  if (address.empty() || has_control(address) || !text::is_utf8(address)) return bad_value("ORCPT", "not an address");
  to.orcpt = std::string(type) + ';' + address;
  return {};
}

constexpr Parameter<MailParameters> kMailParameters[] = {
    {"SIZE", set_size},         {"BODY", set_body}, {"SMTPUTF8", set_smtputf8},
    {"REQUIRETLS", set_require_tls}, {"RET", set_ret},   {"ENVID", set_envid},
};
constexpr Parameter<RcptParameters> kRcptParameters[] = {
    {"NOTIFY", set_notify},
    {"ORCPT", set_orcpt},
};

template <class T, std::size_t n>
Result<T> parse_parameters(std::string_view text, const Parameter<T> (&table)[n], Utf8 utf8) {
  T out;
  std::bitset<n> seen;
  for (std::size_t count = 0;; ++count) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    if (text.empty()) return out;
    if (count == limits::kEsmtpParameters) return failure("smtp.parameter", "too many parameters");
    const auto word = text.substr(0, text.find(' '));
    text.remove_prefix(word.size());
    const auto equals = word.find('=');
    const auto keyword = word.substr(0, equals);
    const Value value = equals == std::string_view::npos ? Value{} : word.substr(equals + 1);
    const auto row = std::find_if(std::begin(table), std::end(table), [&](const auto& p) { return text::iequals(keyword, p.keyword); });
    if (row == std::end(table)) return failure("smtp.parameter", "unknown parameter");
    const auto index = static_cast<std::size_t>(row - std::begin(table));
    if (seen.test(index)) return bad_value(row->keyword, "given twice");
    seen.set(index);
    TRY(row->set(out, value, utf8));
  }
}

}  // namespace

Result<MailParameters> parse_mail_parameters(std::string_view text) {
  return parse_parameters(text, kMailParameters, Utf8::refused);
}

Result<RcptParameters> parse_rcpt_parameters(std::string_view text, Utf8 utf8) {
  return parse_parameters(text, kRcptParameters, utf8);
}

Result<std::string> decode_xtext(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_xchar(text[i])) {
      out += text[i];
      continue;
    }
    if (text[i] != '+' || text.size() - i < 3) return bad_value("xtext", "a character that must be encoded");
    const auto high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
    if (!high || !low) return bad_value("xtext", "two upper-case hex digits follow a plus");
    out += static_cast<char>(*high << 4 | *low);
    i += 2;
  }
  return out;
}

std::string encode_xtext(std::string_view bytes) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (char c : bytes) {
    const auto value = static_cast<unsigned char>(c);
    if (is_xchar(c)) out += c;
    else out += {'+', kHex[value >> 4], kHex[value & 15]};
  }
  return out;
}

Result<std::string> decode_utf8_address(std::string_view text, Utf8 utf8) {
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    if (c == '\\') {
      const auto point = take_embedded(text);
      // Surrogates and what lies beyond Unicode are no characters; controls would break lines of a DSN.
      if (!point || *point < 0x20 || (*point >= 0x7F && *point < 0xA0) || (*point >= 0xD800 && *point < 0xE000) || *point > 0x10FFFF)
        return bad_value("utf-8 address", "no such character");
      append_utf8(out, *point);
      continue;
    }
    if (!is_high(c) && !is_xchar(c)) return bad_value("utf-8 address", "a character that must be encoded");
    if (is_high(c) && utf8 == Utf8::refused) return bad_value("utf-8 address", "UTF-8 without SMTPUTF8");
    out += c;
    text.remove_prefix(1);
  }
  if (!text::is_utf8(out)) return bad_value("utf-8 address", "not UTF-8");
  return out;
}

std::string encode_utf8_address(std::string_view address) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < address.size();) {
    const auto lead = static_cast<unsigned char>(address[i]);
    if (is_xchar(address[i]) && address[i] != '\\') {
      out += address[i++];
      continue;
    }
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    unsigned point = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t k = 1; k < length && i + k < address.size(); ++k) point = point << 6 | (static_cast<unsigned char>(address[i + k]) & 0x3F);
    i += length;
    std::string digits;
    do {
      digits.insert(digits.begin(), kHex[point & 15]);
      point >>= 4;
    } while (point != 0);
    if (digits.size() < 2) digits.insert(digits.begin(), '0');
    out += "\\x{" + digits + '}';
  }
  return out;
}

}  // namespace postern::mail::smtp
