/// Macros of SPF: the text with %{…} in it that names a domain to ask or explains a refusal (RFC 7208 §7).
///
/// Trust: the text comes from a stranger's record, the values from a stranger's session. A macro never expands to another
/// macro, and what an expansion can cost is bounded however long both are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"

namespace postern::mail::spf {

/// One piece of a macro-string.
struct MacroPart {
  enum class Kind : std::uint8_t {
    literal = 1,  ///< text that stands for itself
    escape = 2,   ///< %% %_ %-: `text` is what it stands for
    letter = 3,   ///< %{…}
  };
  Kind kind = Kind::literal;
  std::string text;        ///< literal and escape
  char letter = 0;         ///< lower case: one of s l o d i p v h c r t
  bool url_escape = false;  ///< the letter was written in upper case (§7.3)
  std::size_t keep = 0;    ///< how many right-hand parts; 0: all
  bool reverse = false;
  std::string delimiters;  ///< empty: "." if there is a transformer, else the value is not split
};

/// A parsed macro-string. Whoever holds one knows that its syntax was right.
struct MacroString {
  std::vector<MacroPart> parts;
  bool uses(char letter) const;  ///< whether %{letter} stands in it, in either case
};

/// Which letters may stand in the text: c, r and t mean something only in an explanation (§7.2).
enum class Letters : std::uint8_t { domain = 1, explanation = 2 };

/// A macro-string; may be empty. Errors: "spf.syntax". Source: RFC 7208 §7.1.
Result<MacroString> parse_macro_string(std::string_view text, Letters letters);

/// A macro-string that can name a domain: it ends in a macro or in "." and a top label. Errors: "spf.syntax".
/// Source: RFC 7208 §7.1 (domain-spec).
Result<MacroString> parse_domain_spec(std::string_view text);

/// The text found at exp=: macro-strings and blanks. Errors: "spf.syntax". Source: RFC 7208 §6.2 (explain-string).
Result<MacroString> parse_explanation(std::string_view text);

/// What the letters stand for. Source: RFC 7208 §7.2, §7.3.
struct MacroValues {
  std::string sender;         ///< s: local-part@domain
  std::string local_part;     ///< l
  std::string sender_domain;  ///< o
  std::string domain;         ///< d: the domain whose record is read
  IpAddress client;           ///< i, c and v
  std::string validated;      ///< p: a validated name of the client, or "unknown"
  std::string helo;           ///< h
  std::string receiver;       ///< r: who judges, or "unknown"
  std::uint64_t time = 0;     ///< t: seconds since 1970
};

/// The domain a macro-string names: without a final dot, at most 253 octets, left labels dropped to fit (§7.3). What it holds
/// otherwise is not judged: see dns::is_askable().
std::string expand_domain(const MacroString& macro, const MacroValues& values);

/// The explanation, or "" where it would be longer than limits::kSpfExplanationBytes or hold anything but printable ASCII:
/// a client would get it in a reply line.
std::string expand_explanation(const MacroString& macro, const MacroValues& values);

}  // namespace postern::mail::spf
