/// Mail addresses: the paths of SMTP (RFC 5321, with RFC 6531 where UTF-8 is allowed) and the address lists of header fields
/// (RFC 5322 with its obsolete forms, RFC 6532).
///
/// Trust: every byte is a stranger's. The SMTP parsers fail closed: what is not exactly of the grammar is an Error, and nothing
/// of a refused address is returned. An address is data; no part of it may ever reach a shell, a path or a format string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mail/limits.h"

namespace postern::mail {

/// Whether bytes above 127 may stand in an address (the client said SMTPUTF8).
enum class Utf8 : std::uint8_t { refused = 0, allowed = 1 };

/// An address as a value: compare these, not texts.
struct Mailbox {
  std::string local_part;  ///< what it means, without quotes and backslashes; case kept; never a control character in SMTP
  std::string domain;      ///< A-labels in lower case, or a literal: "[192.0.2.1]", "[IPv6:2001:db8::1]"

  /// The null reverse-path "<>" (RFC 5321 §4.5.5).
  bool is_null() const { return local_part.empty() && domain.empty(); }
  /// Whether the domain is an address literal.
  bool is_literal() const { return !domain.empty() && domain.front() == '['; }
  /// local-part@domain as SMTP wants it, the local part quoted where it must be; "" for the null path, and the local part
  /// alone where there is no domain ("postmaster").
  std::string to_string() const;
  auto operator<=>(const Mailbox&) const = default;
};

/// local-part@domain, without brackets. Errors: "address.syntax", "address.too-long", "address.utf8" (bytes above 127 where
/// they are refused, or not UTF-8), "address.domain". Source: RFC 5321 §4.1.2, RFC 6531 §3.3.
Result<Mailbox> parse_mailbox(std::string_view text, Utf8 utf8);

/// "<" [source-route ":"] mailbox ">"; the route is checked and ignored (RFC 5321 Appendix C). Errors as parse_mailbox().
Result<Mailbox> parse_path(std::string_view text, Utf8 utf8);

/// The argument of MAIL FROM: a path, or "<>" which gives is_null().
Result<Mailbox> parse_reverse_path(std::string_view text, Utf8 utf8);

/// The argument of RCPT TO: a path, or "<Postmaster>" in any case, whose domain is then empty (RFC 5321 §4.1.1.3).
Result<Mailbox> parse_forward_path(std::string_view text, Utf8 utf8);

/// `local_part` as SMTP writes it: bare where it is a dot-string, otherwise quoted.
std::string quote_local_part(std::string_view local_part);

/// One mailbox of a header field.
struct NamedMailbox {
  std::string display_name;  ///< words joined by one blank, quotes and comments taken off; RFC 2047 words are kept raw
  Mailbox mailbox;           ///< limits of SMTP do not apply; an ASCII domain may be any dot-atom or domain literal
  std::string group;         ///< display name of the group it stands in; empty outside of groups
};

/// What a header field of addresses holds. Members that cannot be read are counted, not guessed.
struct AddressList {
  std::vector<NamedMailbox> mailboxes;
  std::size_t malformed = 0;  ///< members that are not of the grammar; a judge treats such a field as untrustworthy
  std::size_t groups = 0;     ///< groups met, also empty ones
};

/// The addresses of a From, To, Cc, … field's value, folded or unfolded. Total: never fails, never recurses.
/// Source: RFC 5322 §3.4 and §4.4, RFC 6532 §3.2, RFC 6854 (groups in From).
AddressList parse_address_list(std::string_view value);

}  // namespace postern::mail
