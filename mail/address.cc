#include "mail/address.h"

#include <algorithm>

#include "base/ip.h"
#include "base/text.h"
#include "mail/idn.h"

namespace postern::mail {
namespace {

bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// RFC 5322 §3.2.3; RFC 6531 §3.3 adds what is above ASCII.
bool is_atext(char c) {
  return text::is_alpha(c) || text::is_digit(c) || is_high(c) ||
         std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_dot_string(std::string_view text) {
  char before = '.';
  for (char c : text) {
    if (c == '.' ? before == '.' : !is_atext(c)) return false;
    before = c;
  }
  return before != '.';
}

auto syntax(const char* why) { return failure("address.syntax", why); }

// Quoted-string of RFC 5321 §4.1.2: printable ASCII and blanks only; `text` starts at the quote and is moved past the end.
Result<std::string> take_quoted(std::string_view& text) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      text.remove_prefix(i + 1);
      return out;
    }
    if (c == '\\') {
      if (++i == text.size()) break;
      c = text[i];
      if (is_high(c)) return syntax("a backslash quotes ASCII only");
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return syntax("a control character in the local part");
    out += c;
  }
  return syntax("the quoted local part has no end");
}

Result<std::string> take_local_part(std::string_view& text) {
  if (!text.empty() && text.front() == '"') return take_quoted(text);
  std::size_t end = 0;
  while (end < text.size() && (text[end] == '.' || is_atext(text[end]))) ++end;
  const auto local = text.substr(0, end);
  if (!is_dot_string(local)) return syntax("the local part is no dot-string");
  text.remove_prefix(end);
  return std::string(local);
}

// Address-literal of RFC 5321 §4.1.3. General-address-literal has no registered tag but IPv6, so every other is refused.
Result<std::string> read_literal(std::string_view text) {
  if (text.size() < 3 || text.back() != ']') return failure("address.domain", "the address literal has no end");
  text = text.substr(1, text.size() - 2);
  constexpr std::string_view kTag = "IPv6:";
  const bool v6 = text::istarts_with(text, kTag);
  if (v6) text.remove_prefix(kTag.size());
  const auto address = IpAddress::parse(text);
  if (!address || address->is_v6() != v6) return failure("address.domain", "the address literal holds no address");
  return std::string(v6 ? "[IPv6:" : "[") + address->to_string() + "]";
}

// Domain = sub-domain *("." sub-domain); sub-domain = Let-dig [Ldh-str] / U-label.
Result<std::string> read_domain(std::string_view text) {
  if (!text.empty() && text.front() == '[') return read_literal(text);
  if (text.size() > limits::kAddressDomainBytes) return failure("address.too-long", "the domain is too long");
  for (const auto label : text::split(text, '.')) {
    if (label.empty()) return failure("address.domain", "an empty label in the domain");
    if (label.front() == '-' || label.back() == '-') return failure("address.domain", "a label begins or ends with a hyphen");
    for (char c : label)
      if (!text::is_alpha(c) && !text::is_digit(c) && c != '-' && !is_high(c))
        return failure("address.domain", "a character that no domain has");
  }
  auto ascii = idn::to_a_label(text);
  if (!ascii) return failure("address.domain", std::move(ascii).error().message);
  return *std::move(ascii);
}

// A-d-l of RFC 5321 §4.1.2, moved past with its colon: "@a.example,@b.example:".
Result<std::string_view> skip_source_route(std::string_view text) {
  while (!text.empty() && text.front() == '@') {
    const auto end = text.find_first_of(",:");
    if (end == std::string_view::npos) return syntax("the source route has no end");
    TRY(read_domain(text.substr(1, end - 1)));
    const char separator = text[end];
    text.remove_prefix(end + 1);
    if (separator == ':') return text;
    if (text.empty() || text.front() != '@') return syntax("the source route is broken");
  }
  return text;
}

}  // namespace

std::string quote_local_part(std::string_view local_part) {
  if (is_dot_string(local_part)) return std::string(local_part);
  std::string out = "\"";
  for (char c : local_part) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string Mailbox::to_string() const {
  if (is_null()) return {};
  return domain.empty() ? quote_local_part(local_part) : quote_local_part(local_part) + "@" + domain;
}

Result<Mailbox> parse_mailbox(std::string_view text, Utf8 utf8) {
  if (text.size() > limits::kMailboxBytes) return failure("address.too-long", "the address is too long");
  if (!text::is_ascii(text)) {
    if (utf8 == Utf8::refused) return failure("address.utf8", "the address is not ASCII and SMTPUTF8 was not said");
    if (!text::is_utf8(text)) return failure("address.utf8", "the address is not well-formed UTF-8");
  }
  const auto whole = text;
  Mailbox mailbox;
  TRY_ASSIGN(mailbox.local_part, take_local_part(text));
  // The limit is on octets of the wire, quotes and backslashes among them.
  if (whole.size() - text.size() > limits::kLocalPartBytes) return failure("address.too-long", "the local part is too long");
  if (text.empty() || text.front() != '@') return syntax("no @ after the local part");
  TRY_ASSIGN(mailbox.domain, read_domain(text.substr(1)));
  return mailbox;
}

Result<Mailbox> parse_path(std::string_view text, Utf8 utf8) {
  if (text.size() > limits::kPathBytes) return failure("address.too-long", "the path is too long");
  if (text.size() < 2 || text.front() != '<' || text.back() != '>') return syntax("the path is not in angle brackets");
  text = text.substr(1, text.size() - 2);
  if (!text::is_ascii(text) && utf8 == Utf8::refused)
    return failure("address.utf8", "the address is not ASCII and SMTPUTF8 was not said");
  TRY_ASSIGN(const auto rest, skip_source_route(text));
  return parse_mailbox(rest, utf8);
}

Result<Mailbox> parse_reverse_path(std::string_view text, Utf8 utf8) {
  if (text == "<>") return Mailbox{};
  return parse_path(text, utf8);
}

Result<Mailbox> parse_forward_path(std::string_view text, Utf8 utf8) {
  if (text::iequals(text, "<postmaster>")) return Mailbox{"postmaster", ""};
  return parse_path(text, utf8);
}

}  // namespace postern::mail
