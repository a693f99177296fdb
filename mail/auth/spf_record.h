/// SPF records: from the text of a TXT record to directives and modifiers (RFC 7208 §4.5, §4.6, §5, §6, §12).
///
/// Trust: the text is a stranger's. A record that is wrong anywhere is an error as a whole, as §4.6 wants.
/// Cost: linear in the text, at most limits::kSpfRecordBytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "mail/auth/spf_macro.h"

namespace postern::mail::spf {

enum class Qualifier : std::uint8_t { pass = '+', fail = '-', softfail = '~', neutral = '?' };

enum class Mechanism : std::uint8_t { all = 1, include = 2, a = 3, mx = 4, ptr = 5, ip4 = 6, ip6 = 7, exists = 8 };

/// One mechanism with its qualifier.
struct Directive {
  Qualifier qualifier = Qualifier::pass;
  Mechanism mechanism = Mechanism::all;
  std::string text;                   ///< as the record writes it
  std::optional<MacroString> domain;  ///< absent: the domain the record stands at
  IpAddress network;                  ///< of ip4 and ip6
  unsigned bits4 = 32;                ///< prefix lengths of a, mx, ip4 …
  unsigned bits6 = 128;               ///< … and of a, mx, ip6
};

/// A record whose syntax is right.
struct Record {
  std::vector<Directive> directives;
  std::optional<MacroString> redirect;
  std::optional<MacroString> explanation;
  std::string redirect_text;  ///< the redirect modifier as the record writes it
};

/// Whether a TXT record is one of SPF: "v=spf1", then a blank or the end. Source: RFC 7208 §4.5.
bool is_record(std::string_view txt);

/// Parses a text for which is_record() holds.
/// Errors: "spf.syntax" (names the term), "spf.too-long". Source: RFC 7208 §4.6.1, §12.
Result<Record> parse_record(std::string_view txt);

}  // namespace postern::mail::spf
