#include "mail/compose.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "mail/encoded_word.h"
#include "mail/lex.h"

namespace postern::mail::compose {
namespace {

Result<void> check_text(std::string_view text) {
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7F) return failure("compose.control", "a control character in a header value");
  }
  if (!text::is_utf8(text)) return failure("compose.utf8", "a header value is not UTF-8");
  return {};
}

// RFC 5322 §3.6.8: printable ASCII without the colon.
Result<void> check_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  const bool good = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < '\x7f' && c != ':'; });
  if (name.empty() || name.size() > kLongest || !good) return failure("compose.name", "this is no name of a header field");
  return {};
}

bool all_of_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), lex::is_token_char);
}

std::string quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// The words of a text with the blanks before each kept in front of it. A word of blanks alone never stands by itself, so
// that folding never makes a line of blanks (RFC 5322 §3.2.2).
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t end = at;
    while (end < text.size() && text::is_space(text[end])) ++end;
    while (end < text.size() && !text::is_space(text[end])) ++end;
    if (text::trim(text.substr(at, end - at)).empty()) break;  // trailing blanks
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<std::string> encoded(std::string_view text) {
  auto words = encode_words(text);
  for (auto& word : words) word.insert(0, " ");
  return words;
}

// phrase of RFC 5322 §3.2.5.
std::vector<std::string> phrase(std::string_view name) {
  if (needs_encoding(name)) return encoded(name);
  const bool atoms = std::all_of(name.begin(), name.end(), [](char c) { return lex::is_atext(c) || c == ' '; });
  const bool single = name.find("  ") == std::string_view::npos && text::trim(name) == name;
  std::string whole = atoms && single ? std::string(name) : quote(name);
  // A quoted string is folded at its blanks too; it means the same afterwards.
  auto words = words_of(whole);
  if (!words.empty()) words.front().insert(0, " ");
  return words;
}

std::string percent(std::string_view text) {
  std::string out;
  for (char c : text) {
    const bool plain = text::is_alpha(c) || text::is_digit(c) || c == '.' || c == '-' || c == '_';
    if (plain) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

// RFC 2231 §3 and §4: in pieces of a size that fits a line.
std::vector<std::string> extended_parameter(std::string_view name, std::string_view value) {
  constexpr std::size_t kPiece = 50;
  std::string all = percent(value);
  if (all.size() <= kPiece) return {fmt::format(" {}*=utf-8''{}", name, all)};
  std::vector<std::string> words;
  for (std::string_view rest = all; !rest.empty();) {
    std::size_t take = std::min(kPiece, rest.size());
    if (take < rest.size())  // not inside a %XX
      for (std::size_t back = 1; back <= 2; ++back)
        if (rest[take - back] == '%') {
          take -= back;
          break;
        }
    words.push_back(fmt::format(" {}*{}*={}{}", name, words.size(), words.empty() ? "utf-8''" : "", rest.substr(0, take)));
    rest.remove_prefix(take);
    if (!rest.empty()) words.back() += ';';
  }
  return words;
}

}  // namespace

Result<void> Header::append(std::string_view name, std::span<const std::string> words) {
  TRY(check_name(name));
  std::string field(name);
  field += ':';
  std::size_t column = field.size();
  for (const std::string& word : words) {
    if (word.size() > kLineMost - 2) return failure("compose.too-long", "a word is longer than a line may be");
    const bool can_fold = text::is_space(word.front()) && column > name.size() + 1;
    if (can_fold && column + word.size() > kLineWish) {
      field += "\r\n";
      column = 0;
    }
    if (column + word.size() > kLineMost) return failure("compose.too-long", "the field does not fit its lines");
    field += word;
    column += word.size();
  }
  text_ += field + "\r\n";
  return {};
}

Result<void> Header::add_text(std::string_view name, std::string_view utf8) {
  TRY(check_text(utf8));
  auto words = words_of(utf8);
  const auto overlong = std::any_of(words.begin(), words.end(), [](const auto& word) { return word.size() > kLineMost - 100; });
  if (needs_encoding(utf8) || overlong) words = encoded(utf8);
  else if (!words.empty()) words.front().insert(0, " ");
  return append(name, words);
}

Result<void> Header::add_structured(std::string_view name, std::string_view ascii) {
  TRY(check_text(ascii));
  if (!text::is_ascii(ascii)) return failure("compose.utf8", "a structured field is ASCII");
  auto words = words_of(ascii);
  if (!words.empty() && !text::is_space(words.front().front())) words.front().insert(0, " ");
  return append(name, words);
}

Result<void> Header::add_mailboxes(std::string_view name, std::span<const NamedMailbox> mailboxes) {
  std::vector<std::string> words;
  for (const NamedMailbox& named : mailboxes) {
    TRY(check_text(named.display_name));
    const std::string address = named.mailbox.to_string();
    TRY(check_text(address));
    if (named.mailbox.local_part.empty() || named.mailbox.domain.empty()) return failure("compose.address", "an address without a part");
    if (named.mailbox.domain.find_first_of(" \t<>,;:\"@()") != std::string::npos && !named.mailbox.is_literal())
      return failure("compose.address", "a domain that is none");
    if (!text::is_ascii(address) && addresses_ == Utf8::refused) return failure("compose.utf8", "an address that needs SMTPUTF8");
    if (!words.empty()) words.back() += ',';
    if (named.display_name.empty()) {
      words.push_back(" " + address);
      continue;
    }
    for (auto& word : phrase(named.display_name)) words.push_back(std::move(word));
    words.push_back(" <" + address + ">");
  }
  return append(name, words);
}

Result<void> Header::add_parameterized(std::string_view name, std::string_view value, std::span<const mime::Parameter> parameters) {
  TRY(check_text(value));
  if (!text::is_ascii(value) || value.empty()) return failure("compose.utf8", "the value of the field is ASCII");
  std::vector<std::string> words{" " + std::string(value)};
  for (const auto& parameter : parameters) {
    TRY(check_text(parameter.value));
    if (!all_of_token(parameter.name) || parameter.name.find_first_of("*'%") != std::string::npos)
      return failure("compose.name", "this is no name of a parameter");
    constexpr std::size_t kPlainMost = 60;
    words.back() += ';';
    const bool plain = parameter.value.size() <= kPlainMost && !needs_encoding(parameter.value) &&
                       parameter.value.find('\t') == std::string::npos;
    if (plain) {
      words.push_back(" " + parameter.name + "=" + (all_of_token(parameter.value) ? parameter.value : quote(parameter.value)));
      continue;
    }
    for (auto& word : extended_parameter(parameter.name, parameter.value)) words.push_back(std::move(word));
  }
  return append(name, words);
}

std::string format_date(WallTime time) {
  using namespace std::chrono;
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<seconds>(time - day));
  return fmt::format("{}, {} {} {} {:02}:{:02}:{:02} +0000", kDays[weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                     kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

std::string make_message_id(crypto::Entropy& entropy, WallTime time, std::string_view host) {
  std::array<std::byte, 12> random{};
  entropy.fill(random);
  return fmt::format("<{}.{}@{}>", crypto::hex(random), time.time_since_epoch().count(), host);
}

Result<std::string> make_leaf(const Leaf& leaf) {
  Header header;
  const bool is_text = leaf.type.starts_with("text/"), is_message = leaf.type.starts_with("message/");
  std::vector<mime::Parameter> parameters;
  if (is_text) parameters.push_back({"charset", "utf-8"});
  TRY(header.add_parameterized("Content-Type", leaf.type, parameters));
  if (!leaf.filename.empty()) {
    const mime::Parameter filename{"filename", leaf.filename};
    TRY(header.add_parameterized("Content-Disposition", "attachment", {&filename, 1}));
  }
  std::string body = leaf.bytes;
  if (is_message) {
    if (!text::is_ascii(body)) TRY(header.add_structured("Content-Transfer-Encoding", "8bit"));
  } else {
    TRY(header.add_structured("Content-Transfer-Encoding", is_text ? "quoted-printable" : "base64"));
    body = is_text ? encode_quoted_printable(leaf.bytes) : encode_base64_lines(leaf.bytes);
  }
  return header.text() + "\r\n" + body;
}

Result<std::string> make_multipart(std::string_view subtype, std::span<const std::string> parts, crypto::Entropy& entropy) {
  std::array<std::byte, 16> random{};
  entropy.fill(random);
  const std::string boundary = "=_" + crypto::hex(random);  // "=_" stands in no base64 or quoted-printable line
  Header header;
  const auto semicolon = subtype.find(';');
  std::string value = "multipart/" + std::string(subtype.substr(0, semicolon));
  if (semicolon != std::string_view::npos) value += subtype.substr(semicolon);
  TRY(header.add_structured("Content-Type", value + "; boundary=\"" + boundary + "\""));
  std::string out = header.text() + "\r\n";
  for (const std::string& part : parts) {
    out += "--" + boundary + "\r\n" + part + "\r\n";  // this line end belongs to the next delimiter
  }
  return out + "--" + boundary + "--\r\n";
}

}  // namespace postern::mail::compose
