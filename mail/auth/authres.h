/// Authentication-Results (RFC 8601): written for our own results, read for the chain's, and found where a stranger forged ours.
///
/// Trust: a field that names our authserv-id and came from outside is a lie and must go before the message is kept (§5). Values
/// that are written may be strangers' bytes: they are quoted, and nothing in them can end a line, a comment or a value.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mail/header.h"

namespace postern::mail::authres {

/// ptype "." property "=" pvalue, such as smtp.mailfrom=a@b.
struct Property {
  std::string type;   ///< a keyword: smtp, header, body, policy, dns, polrec
  std::string name;   ///< a keyword
  std::string value;  ///< any text
};

/// method "=" result and what belongs to it.
struct MethodResult {
  std::string method;   ///< a keyword: spf, dkim, dmarc, …
  std::string result;   ///< a keyword: pass, fail, …
  std::string comment;  ///< any text, for a person; empty: none
  std::string reason;   ///< any text; empty: none
  std::vector<Property> properties;
  /// The value of the first such property, or "".
  std::string_view find(std::string_view type, std::string_view name) const;
};

/// The value of an Authentication-Results field: authserv-id, then a line a result ("none" where there is none), folded by CRLF
/// and a tab within 78 characters where that can be. Without the field's name and the last line end.
/// Values longer than limits::kAuthresValueBytes are cut. Source: RFC 8601 §2.2.
std::string write(std::string_view authserv_id, std::span<const MethodResult> results);

struct Parsed {
  std::string authserv_id;
  std::vector<MethodResult> results;  ///< empty for "none"
};

/// Reads a field's value, folded or not. At most limits::kAuthresResults results and limits::kAuthresProperties properties each.
/// Errors: "authres.syntax", "authres.too-many". Source: RFC 8601 §2.2, RFC 8617 §4.1.1 (the payload after "i=N;").
Result<Parsed> parse(std::string_view value);

/// Indices into header.fields of the Authentication-Results fields that claim to be ours, or whose authserv-id cannot be read:
/// what is not plainly another's is not kept. Names are compared without case and final dot, in A-labels.
/// Source: RFC 8601 §5.
std::vector<std::size_t> to_strip(const HeaderBlockView& header, std::string_view authserv_id);

/// to_strip() and the other fields that only we may add: Return-Path, X-Spam-*, BIMI-Location, BIMI-Indicator. Ascending.
/// Source: RFC 5321 §4.4 (one Return-Path, by the final delivery), draft-brand-indicators-for-message-identification §7.
std::vector<std::size_t> forged_fields(const HeaderBlockView& header, std::string_view authserv_id);

}  // namespace postern::mail::authres
