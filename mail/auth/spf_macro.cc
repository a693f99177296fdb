#include "mail/auth/spf_macro.h"

#include <algorithm>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

constexpr std::string_view kDelimiters = ".-+,/_=";                // RFC 7208 §7.1
constexpr std::string_view kDomainLetters = "slodiphv";
constexpr std::string_view kExplanationLetters = "slodiphvcrt";
constexpr std::size_t kNameBytes = 253;                            // RFC 1035 §2.3.4 in text form
constexpr std::size_t kMaxKeep = 1'000'000;                        // more parts than any value has

bool contains(std::string_view set, char c) { return set.find(c) != std::string_view::npos; }

tl::unexpected<Error> syntax(std::string message) { return failure("spf.syntax", std::move(message)); }

// "%{" has been read: macro-letter transformers *delimiter "}". Takes it from the front of `text`.
Result<MacroPart> take_letter(std::string_view& text, Letters letters) {
  MacroPart part{.kind = MacroPart::Kind::letter, .text = {}, .delimiters = {}};
  if (text.empty()) return syntax("macro without a letter");
  part.letter = text::lower(text.front());
  part.url_escape = part.letter != text.front();
  const auto allowed = letters == Letters::explanation ? kExplanationLetters : kDomainLetters;
  if (!contains(allowed, part.letter)) return syntax("macro letter not allowed here");
  text.remove_prefix(1);

  bool counted = false;
  while (!text.empty() && text::is_digit(text.front())) {
    counted = true;
    part.keep = std::min(part.keep * 10 + static_cast<std::size_t>(text.front() - '0'), kMaxKeep);
    text.remove_prefix(1);
  }
  if (counted && part.keep == 0) return syntax("macro keeps zero parts");  // RFC 7208 §7.3: must be nonzero
  if (!text.empty() && text::lower(text.front()) == 'r') {
    part.reverse = true;
    text.remove_prefix(1);
  }
  const auto end = std::min(text.find_first_not_of(kDelimiters), text.size());
  part.delimiters = text.substr(0, end);
  text.remove_prefix(end);
  if (!text.starts_with('}')) return syntax("macro not closed");
  text.remove_prefix(1);
  return part;
}

// A "%" has been read.
Result<MacroPart> take_macro(std::string_view& text, Letters letters) {
  const char kind = text.empty() ? '\0' : text.front();
  if (!text.empty()) text.remove_prefix(1);
  switch (kind) {
    case '{': return take_letter(text, letters);
    case '%': return MacroPart{.kind = MacroPart::Kind::escape, .text = "%", .delimiters = {}};
    case '_': return MacroPart{.kind = MacroPart::Kind::escape, .text = " ", .delimiters = {}};
    case '-': return MacroPart{.kind = MacroPart::Kind::escape, .text = "%20", .delimiters = {}};
  }
  return syntax("\"%\" without a macro");  // RFC 7208 §7.1
}

Result<MacroString> parse(std::string_view text, Letters letters, std::string_view also_literal) {
  MacroString out;
  while (!text.empty()) {
    const auto is_literal = [&](char c) { return (c >= 0x21 && c <= 0x7E && c != '%') || contains(also_literal, c); };
    const auto end = std::find_if_not(text.begin(), text.end(), is_literal);
    const auto length = static_cast<std::size_t>(end - text.begin());
    if (length != 0) {
      out.parts.push_back({.kind = MacroPart::Kind::literal, .text = std::string(text.substr(0, length)), .delimiters = {}});
      text.remove_prefix(length);
    } else if (text.front() == '%') {
      text.remove_prefix(1);
      TRY_ASSIGN(auto part, take_macro(text, letters));
      out.parts.push_back(std::move(part));
    } else {
      return syntax("character not allowed");
    }
  }
  return out;
}

// RFC 7208 §7.1: toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
bool is_top_label(std::string_view label) {
  const auto alphanum = [](char c) { return text::is_alpha(c) || text::is_digit(c); };
  if (label.empty() || !alphanum(label.front()) || !alphanum(label.back())) return false;
  if (!std::all_of(label.begin(), label.end(), [&](char c) { return alphanum(c) || c == '-'; })) return false;
  return !std::all_of(label.begin(), label.end(), text::is_digit);
}

// RFC 7208 §7.3: all but unreserved characters (RFC 3986 §2.3) become %XX.
std::string url_escaped(std::string_view value) {
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr std::string_view kUnreserved = "-._~";
  std::string out;
  for (const char c : value) {
    const auto octet = static_cast<unsigned char>(c);
    if (text::is_alpha(c) || text::is_digit(c) || contains(kUnreserved, c))
      out += c;
    else
      out += {'%', kHex[octet >> 4], kHex[octet & 15]};
  }
  return out;
}

// RFC 7208 §7.3: "i" is the dotted quad of a v4 address; for v6 the 32 nibbles with dots between.
std::string dotted(const IpAddress& client) {
  if (!client.is_v6()) return client.to_string();
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : client.octets()) {
    const auto octet = static_cast<unsigned char>(c);
    out += {kHex[octet >> 4], '.', kHex[octet & 15], '.'};
  }
  out.pop_back();
  return out;
}

std::string value_of(char letter, const MacroValues& values) {
  switch (letter) {
    case 's': return values.sender;
    case 'l': return values.local_part;
    case 'o': return values.sender_domain;
    case 'd': return values.domain;
    case 'i': return dotted(values.client);
    case 'p': return values.validated;
    case 'v': return values.client.is_v6() ? "ip6" : "in-addr";
    case 'h': return values.helo;
    case 'c': return values.client.to_string();
    case 'r': return values.receiver;
    case 't': return std::to_string(values.time);
  }
  return {};  // unreachable: take_letter() lets no other letter in
}

// RFC 7208 §7.3: split, turn round, keep the right-hand parts, join with dots. Consecutive delimiters give empty parts.
std::string transformed(const MacroPart& part, const std::string& value) {
  if (part.keep == 0 && !part.reverse && part.delimiters.empty()) return value;
  const std::string_view delimiters = part.delimiters.empty() ? "." : std::string_view(part.delimiters);
  std::vector<std::string_view> pieces;
  std::string_view rest = value;
  for (auto at = rest.find_first_of(delimiters); at != std::string_view::npos; at = rest.find_first_of(delimiters)) {
    pieces.push_back(rest.substr(0, at));
    rest.remove_prefix(at + 1);
  }
  pieces.push_back(rest);
  if (part.reverse) std::reverse(pieces.begin(), pieces.end());
  const std::size_t skip = part.keep != 0 && part.keep < pieces.size() ? pieces.size() - part.keep : 0;
  std::string out;
  for (std::size_t i = skip; i < pieces.size(); ++i) {
    if (i != skip) out += '.';
    out += pieces[i];
  }
  return out;
}

std::string expanded(const MacroPart& part, const MacroValues& values) {
  if (part.kind != MacroPart::Kind::letter) return part.text;
  // RFC 7208 §7.3: an upper-case letter expands exactly as its lower-case one and is escaped then.
  const std::string value = transformed(part, value_of(part.letter, values));
  return part.url_escape ? url_escaped(value) : value;
}

}  // namespace

bool MacroString::uses(char letter) const {
  return std::any_of(parts.begin(), parts.end(), [&](const MacroPart& part) { return part.letter == letter; });
}

Result<MacroString> parse_macro_string(std::string_view text, Letters letters) { return parse(text, letters, ""); }

Result<MacroString> parse_explanation(std::string_view text) { return parse(text, Letters::explanation, " "); }

Result<MacroString> parse_domain_spec(std::string_view text) {
  TRY_ASSIGN(auto macro, parse(text, Letters::domain, ""));
  if (macro.parts.empty()) return syntax("domain is empty");
  const MacroPart& last = macro.parts.back();
  if (last.kind != MacroPart::Kind::literal) return macro;  // domain-end = macro-expand: also %%, %_ and %-
  std::string_view end = last.text;
  if (end.ends_with('.')) end.remove_suffix(1);
  const auto dot = end.rfind('.');
  if (dot == std::string_view::npos || !is_top_label(end.substr(dot + 1)))
    return syntax("domain does not end in a top label or a macro");
  return macro;
}

std::string expand_domain(const MacroString& macro, const MacroValues& values) {
  std::string name;
  for (const MacroPart& part : macro.parts) {
    name += expanded(part, values);
    // Only the end can stay; cutting early bounds the memory. Twice the length keeps the dot the last cut is made at.
    if (name.size() > limits::kSpfExpansionBytes) name.erase(0, name.size() - 2 * (kNameBytes + 1));
  }
  if (name.ends_with('.')) name.pop_back();
  // RFC 7208 §7.3: successive left labels are removed until the name fits.
  while (name.size() > kNameBytes) {
    const auto dot = name.find('.', name.size() - kNameBytes - 1);
    if (dot == std::string::npos) return {};
    name.erase(0, dot + 1);
  }
  return name;
}

std::string expand_explanation(const MacroString& macro, const MacroValues& values) {
  std::string out;
  for (const MacroPart& part : macro.parts) {
    out += expanded(part, values);
    if (out.size() > limits::kSpfExplanationBytes) return {};
  }
  // RFC 7208 §6.2: the text is US-ASCII.
  if (!std::all_of(out.begin(), out.end(), [](char c) { return c >= 0x20 && c <= 0x7E; })) return {};
  return out;
}

}  // namespace postern::mail::spf
