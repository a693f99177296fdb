/// The ESMTP parameters of MAIL and RCPT (RFC 5321 §4.1.2), and xtext (RFC 3461 §4).
///
/// Trust: every byte is a stranger's. Decoded values hold no control character, so that none can break a line of a DSN or a log.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mail/address.h"

namespace postern::mail::limits {
inline constexpr std::size_t kEnvidBytes = 100;   ///< octets of ENVID, encoded; RFC 3461 §4.4
inline constexpr std::size_t kOrcptBytes = 500;   ///< octets of ORCPT, encoded; RFC 3461 §4.2
inline constexpr std::size_t kEsmtpParameters = 16;  ///< of one command; more than there are known ones
}  // namespace postern::mail::limits

namespace postern::mail::smtp {

enum class BodyType : std::uint8_t { absent = 0, seven_bit = 1, eight_bit_mime = 2, binary_mime = 3 };  ///< RFC 6152, RFC 3030 §3
enum class Ret : std::uint8_t { absent = 0, full = 1, headers = 2 };                                    ///< RFC 3461 §4.3

struct MailParameters {
  std::optional<std::uint64_t> size;     ///< RFC 1870
  BodyType body = BodyType::absent;
  bool smtputf8 = false;                 ///< RFC 6531
  bool require_tls = false;              ///< RFC 8689
  Ret ret = Ret::absent;
  std::string envid;                     ///< decoded, printable ASCII
};

/// NOTIFY of RFC 3461 §4.1.
struct NotifyOn {
  bool given = false;
  bool never = false, success = false, failure = false, delay = false;
};

struct RcptParameters {
  NotifyOn notify;
  std::string orcpt;                     ///< decoded: type ";" address (RFC 3461 §4.2, RFC 6533 §3), or empty
};

/// `text`: what follows the path, parameters separated by blanks.
/// Errors: "smtp.parameter" (unknown here: 555 of RFC 5321 §4.1.1.11), "smtp.value" (no such value, or given twice).
Result<MailParameters> parse_mail_parameters(std::string_view text);
Result<RcptParameters> parse_rcpt_parameters(std::string_view text, Utf8 utf8);

/// Decodes xtext. Errors: "smtp.value" (a "+" without two upper-case hex digits, or a character that must be encoded).
Result<std::string> decode_xtext(std::string_view text);
/// Encodes any bytes as xtext.
std::string encode_xtext(std::string_view bytes);

/// The address of an ORCPT of type "utf-8", in any of its three forms. Errors: "smtp.value". Source: RFC 6533 §3.
Result<std::string> decode_utf8_address(std::string_view text, Utf8 utf8);
/// `address` (UTF-8) as utf-8-addr-xtext, which is ASCII.
std::string encode_utf8_address(std::string_view address);

}  // namespace postern::mail::smtp
