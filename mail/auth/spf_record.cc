#include "mail/auth/spf_record.h"

#include <algorithm>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

constexpr std::string_view kVersion = "v=spf1";

tl::unexpected<Error> syntax(std::string message) { return failure("spf.syntax", std::move(message)); }

// RFC 7208 §5.6: a number of at most `width` without leading zeros. The "/" has been taken off.
std::optional<unsigned> prefix_length(std::string_view digits, unsigned width) {
  if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
  const auto bits = text::parse_uint(digits, width);
  if (!bits) return std::nullopt;
  return static_cast<unsigned>(*bits);
}

// The digits at the end of `text` with `slashes` before them, taken off; nullopt where there are none.
std::optional<std::string_view> take_length(std::string_view& text, std::string_view slashes) {
  auto start = text.size();
  while (start > 0 && text::is_digit(text[start - 1])) --start;
  const std::string_view head = text.substr(0, start);
  if (start == text.size() || !head.ends_with(slashes)) return std::nullopt;
  const std::string_view digits = text.substr(start);
  text = head.substr(0, head.size() - slashes.size());
  return digits;
}

// RFC 7208 §5.3: [ ip4-cidr-length ] [ "/" ip6-cidr-length ] at the end of the argument, read from the right because "/"
// may also stand in a domain-spec. What is not taken here is no top label, so nothing is ambiguous.
Result<void> take_dual_length(std::string_view& argument, Directive& directive) {
  if (const auto digits = take_length(argument, "//")) {
    const auto bits = prefix_length(*digits, 128);
    if (!bits) return syntax("bad IPv6 prefix length");
    directive.bits6 = *bits;
  }
  if (const auto digits = take_length(argument, "/")) {
    const auto bits = prefix_length(*digits, 32);
    if (!bits) return syntax("bad IPv4 prefix length");
    directive.bits4 = *bits;
  }
  return {};
}

// `argument` is what follows the mechanism's name: with the colon, or empty.
Result<void> read_domain(std::string_view argument, Directive& directive) {
  if (!argument.starts_with(':')) return syntax("a colon and a domain are missing");
  TRY_ASSIGN(directive.domain, parse_domain_spec(argument.substr(1)));
  return {};
}

Result<void> read_optional_domain(std::string_view argument, Directive& directive) {
  if (argument.empty()) return {};
  return read_domain(argument, directive);
}

Result<void> read_nothing(std::string_view argument, Directive&) {
  if (!argument.empty()) return syntax("\"all\" takes no argument");
  return {};
}

Result<void> read_host(std::string_view argument, Directive& directive) {
  TRY(take_dual_length(argument, directive));
  return read_optional_domain(argument, directive);
}

// RFC 7208 §5.6: ":" network [ "/" length ]
Result<void> read_network(std::string_view argument, Directive& directive) {
  const bool v6 = directive.mechanism == Mechanism::ip6;
  if (!argument.starts_with(':')) return syntax("a colon and a network are missing");
  argument.remove_prefix(1);
  const auto slash = argument.find('/');
  const auto network = IpAddress::parse(argument.substr(0, slash));
  if (!network || network->is_v6() != v6) return syntax("not an address");
  directive.network = *network;
  if (slash == std::string_view::npos) return {};
  const auto bits = prefix_length(argument.substr(slash + 1), v6 ? 128 : 32);
  if (!bits) return syntax("bad prefix length");
  (v6 ? directive.bits6 : directive.bits4) = *bits;
  return {};
}

struct MechanismRow {
  std::string_view name;
  Mechanism mechanism;
  Result<void> (*read)(std::string_view argument, Directive& directive);
};

constexpr MechanismRow kMechanisms[] = {
    {"all", Mechanism::all, read_nothing},             // RFC 7208 §5.1
    {"include", Mechanism::include, read_domain},      // §5.2
    {"a", Mechanism::a, read_host},                    // §5.3
    {"mx", Mechanism::mx, read_host},                  // §5.4
    {"ptr", Mechanism::ptr, read_optional_domain},     // §5.5
    {"ip4", Mechanism::ip4, read_network},             // §5.6
    {"ip6", Mechanism::ip6, read_network},             // §5.6
    {"exists", Mechanism::exists, read_domain},        // §5.7
};

Result<Directive> parse_directive(std::string_view term) {
  Directive directive;
  directive.text = term;
  constexpr std::string_view kQualifiers = "+-~?";
  if (kQualifiers.find(term.front()) != std::string_view::npos) {
    directive.qualifier = static_cast<Qualifier>(term.front());
    term.remove_prefix(1);
  }
  const auto end = std::min(term.find_first_of(":/"), term.size());
  for (const MechanismRow& row : kMechanisms) {
    if (!text::iequals(term.substr(0, end), row.name)) continue;
    directive.mechanism = row.mechanism;
    TRY(row.read(term.substr(end), directive));
    return directive;
  }
  return syntax("unknown mechanism");
}

// RFC 7208 §12: name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ), then "=". The length of the name; 0: not a modifier.
std::size_t modifier_name(std::string_view term) {
  const auto is_name = [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '_' || c == '.'; };
  if (!text::is_alpha(term.front())) return 0;
  const auto end = std::find_if_not(term.begin(), term.end(), is_name);
  return end != term.end() && *end == '=' ? static_cast<std::size_t>(end - term.begin()) : 0;
}

Result<void> read_modifier(std::string_view term, std::size_t name_length, Record& record) {
  const std::string_view name = term.substr(0, name_length);
  const std::string_view value = term.substr(name_length + 1);
  const bool redirect = text::iequals(name, "redirect");
  if (!redirect && !text::iequals(name, "exp")) {
    // RFC 7208 §6: unknown modifiers are ignored, but their value has to be a macro-string.
    TRY(parse_macro_string(value, Letters::explanation));
    return {};
  }
  std::optional<MacroString>& place = redirect ? record.redirect : record.explanation;
  if (place) return syntax("modifier given twice");  // RFC 7208 §6
  TRY_ASSIGN(place, parse_domain_spec(value));
  if (redirect) record.redirect_text = term;
  return {};
}

Result<void> read_term(std::string_view term, Record& record) {
  if (const auto length = modifier_name(term)) return read_modifier(term, length, record);
  TRY_ASSIGN(auto directive, parse_directive(term));
  record.directives.push_back(std::move(directive));
  return {};
}

}  // namespace

bool is_record(std::string_view txt) {
  if (!text::istarts_with(txt, kVersion)) return false;
  return txt.size() == kVersion.size() || txt[kVersion.size()] == ' ';
}

Result<Record> parse_record(std::string_view txt) {
  if (txt.size() > limits::kSpfRecordBytes) return failure("spf.too-long", "record too long");
  if (!is_record(txt)) return syntax("not an SPF record");
  Record record;
  for (const std::string_view term : text::split(txt.substr(kVersion.size()), ' ')) {
    if (term.empty()) continue;  // RFC 7208 §4.6.1: one blank or more between terms, any number at the end
    if (auto read = read_term(term, record); !read)
      return within("\"" + text::printable(term, 80) + "\"", std::move(read).error());
  }
  return record;
}

}  // namespace postern::mail::spf
