/// SMTP command lines and the xtext codec: what a client says, as values.
///
/// Trust: every byte is a stranger's. The parsers are pure, go forward only, never recurse, and fail closed: a line that is not of
/// the grammar, a parameter that is unknown or given twice, and a value with a control character in it are Errors.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mail/address.h"
#include "mail/smtp_params.h"

namespace postern::mail::limits {
/// Octets of a command line with its CRLF. RFC 5321 §4.5.3.1.4 says 512; SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET,
/// ENVID, NOTIFY and ORCPT (RFC 3461 §4) and our 1,024-octet paths add to it.
inline constexpr std::size_t kCommandLineBytes = 4096;
inline constexpr std::size_t kHeloBytes = 255;  ///< octets of the name given with HELO or EHLO; RFC 5321 §4.5.3.1.2
}  // namespace postern::mail::limits

namespace postern::mail::smtp {

enum class Verb : std::uint8_t { helo, ehlo, mail, rcpt, data, bdat, rset, noop, vrfy, expn, help, quit, starttls, unknown };
inline constexpr std::size_t kVerbs = static_cast<std::size_t>(Verb::unknown);

/// The verb as it is written ("MAIL"); "" for unknown.
std::string_view name_of(Verb verb);

/// A command line taken apart. Views into the line, which must outlive it.
struct CommandView {
  Verb verb = Verb::unknown;
  std::string_view argument;  ///< what follows the verb and its blanks, without blanks at the end (RFC 5321 §4.1.1 lets those pass)
};

/// Finds the verb of `line` (without its CRLF), in any case. Errors: "smtp.control" (a control character stands in the line; CR, LF
/// and NUL are such). An unknown verb is no error.
Result<CommandView> split_command(std::string_view line);

/// MAIL FROM (RFC 5321 §4.1.1.2).
struct Mail {
  Mailbox reverse_path;                  ///< is_null() for "<>"
  MailParameters parameters;
};
/// RCPT TO (RFC 5321 §4.1.1.3).
struct Rcpt {
  Mailbox forward_path;                  ///< no domain for <Postmaster>
  RcptParameters parameters;
};
/// BDAT (RFC 3030 §2).
struct Bdat {
  std::uint64_t octets = 0;
  bool last = false;
};
struct Helo {
  std::string name;                      ///< as given, but printable: odd bytes are written \xNN
};
struct Nothing {};

// The arguments of the commands. Errors of all: "smtp.syntax". Of MAIL and RCPT also those of parse_reverse_path() with the code
// "smtp.utf8" (UTF-8 without SMTPUTF8) or "smtp.path", and those of smtp_params.h.
Result<Mail> parse_mail(std::string_view argument);
Result<Rcpt> parse_rcpt(std::string_view argument, Utf8 utf8);  ///< `utf8`: whether MAIL said SMTPUTF8
Result<Bdat> parse_bdat(std::string_view argument);
/// A name or address literal of at most kHeloBytes; any printable word passes, since RFC 5321 §4.1.4 forbids to refuse a false name.
Result<Helo> parse_helo(std::string_view argument);
Result<Nothing> parse_nothing(std::string_view argument);       ///< the command takes no argument
Result<Nothing> parse_anything(std::string_view argument);      ///< NOOP, HELP: whatever stands there is ignored
Result<Nothing> parse_something(std::string_view argument);     ///< VRFY, EXPN: there must be an argument

}  // namespace postern::mail::smtp
