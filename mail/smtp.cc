#include "mail/smtp.h"

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace postern::mail::smtp {
namespace {

// In the order of Verb.
constexpr std::array<std::string_view, kVerbs> kVerbNames{"HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET",
                                                           "NOOP", "VRFY", "EXPN", "HELP", "QUIT", "STARTTLS"};

std::string_view without_blanks_in_front(std::string_view text) {
  while (!text.empty() && text::is_space(text.front())) text.remove_prefix(1);
  return text;
}

// Where the path at the start of `text` ends: past the first ">" that is not quoted, or npos.
std::size_t path_end(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') ++i;
    else if (text[i] == '"') quoted = !quoted;
    else if (!quoted && text[i] == '>') return i + 1;
  }
  return std::string_view::npos;
}

struct PathAndRest {
  std::string_view path;
  std::string_view rest;
};

// "FROM:" or "TO:", the path, and the parameters. Blanks after the colon are not of the grammar (RFC 5321 §3.3) but harmless and
// common; all else is refused.
Result<PathAndRest> take_path(std::string_view argument, std::string_view keyword) {
  if (!text::istarts_with(argument, keyword)) return failure("smtp.syntax", std::string(keyword) + "<address> is wanted");
  const auto text = without_blanks_in_front(argument.substr(keyword.size()));
  if (text.empty() || text.front() != '<') return failure("smtp.syntax", "the address stands in angle brackets");
  const auto end = path_end(text);
  if (end == std::string_view::npos) return failure("smtp.syntax", "the address has no closing bracket");
  const auto rest = text.substr(end);
  if (!rest.empty() && rest.front() != ' ') return failure("smtp.syntax", "a blank stands between address and parameters");
  return PathAndRest{text.substr(0, end), rest};
}

tl::unexpected<Error> path_error(const Error& error) {
  return failure(error.code == "address.utf8" ? "smtp.utf8" : "smtp.path", error.message);
}

}  // namespace

std::string_view name_of(Verb verb) { return verb == Verb::unknown ? std::string_view{} : kVerbNames[static_cast<std::size_t>(verb)]; }

Result<CommandView> split_command(std::string_view line) {
  const auto is_control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; };
  if (std::any_of(line.begin(), line.end(), is_control)) return failure("smtp.control", "a control character in a command");
  while (!line.empty() && text::is_space(line.back())) line.remove_suffix(1);
  const auto word = line.substr(0, line.find_first_of(" \t"));
  CommandView out;
  for (std::size_t i = 0; i < kVerbs; ++i)
    if (text::iequals(word, kVerbNames[i])) out.verb = static_cast<Verb>(i);
  out.argument = without_blanks_in_front(line.substr(word.size()));
  return out;
}

Result<Mail> parse_mail(std::string_view argument) {
  TRY_ASSIGN(const PathAndRest split, take_path(argument, "FROM:"));
  Mail out;
  TRY_ASSIGN(out.parameters, parse_mail_parameters(split.rest));
  auto path = parse_reverse_path(split.path, out.parameters.smtputf8 ? Utf8::allowed : Utf8::refused);
  if (!path) return path_error(path.error());
  out.reverse_path = std::move(*path);
  return out;
}

Result<Rcpt> parse_rcpt(std::string_view argument, Utf8 utf8) {
  TRY_ASSIGN(const PathAndRest split, take_path(argument, "TO:"));
  Rcpt out;
  TRY_ASSIGN(out.parameters, parse_rcpt_parameters(split.rest, utf8));
  auto path = parse_forward_path(split.path, utf8);
  if (!path) return path_error(path.error());
  out.forward_path = std::move(*path);
  return out;
}

Result<Bdat> parse_bdat(std::string_view argument) {
  const auto number = argument.substr(0, argument.find(' '));
  const auto rest = without_blanks_in_front(argument.substr(number.size()));
  const auto octets = text::parse_uint(number, std::numeric_limits<std::uint64_t>::max());
  if (!octets) return failure("smtp.syntax", "BDAT wants a number of octets");
  if (!rest.empty() && !text::iequals(rest, "LAST")) return failure("smtp.syntax", "only LAST may follow the number");
  return Bdat{.octets = *octets, .last = !rest.empty()};
}

Result<Helo> parse_helo(std::string_view argument) {
  if (argument.empty()) return failure("smtp.syntax", "a host name is wanted");
  if (argument.size() > limits::kHeloBytes) return failure("smtp.syntax", "the name is too long");
  if (argument.find_first_of(" \t") != std::string_view::npos) return failure("smtp.syntax", "one name is wanted");
  return Helo{text::printable(argument, limits::kHeloBytes)};
}

Result<Nothing> parse_nothing(std::string_view argument) {
  if (!argument.empty()) return failure("smtp.syntax", "this command takes no argument");
  return Nothing{};
}

Result<Nothing> parse_anything(std::string_view) { return Nothing{}; }

Result<Nothing> parse_something(std::string_view argument) {
  if (argument.empty()) return failure("smtp.syntax", "an argument is wanted");
  return Nothing{};
}

}  // namespace postern::mail::smtp
