/// The header block of a message, split into its fields without copying. Every reader of a header (DKIM, DMARC,
/// Authentication-Results, MIME, the queue) starts here, so that all of them see the same fields.
///
/// Trust: the bytes are a stranger's. Lines are expected to end in CRLF; a bare LF ends a line too, a bare CR does not.
/// Cost: linear; at most limits::kHeaderBytes, limits::kHeaderFields fields, limits::kHeaderFieldBytes a field.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace postern::mail {

/// One field, as views into the message's bytes.
struct FieldView {
  std::string_view name;   ///< as written, without the colon; empty for a line that is no field ("From " of mbox, no colon)
  std::string_view raw;    ///< the whole field with its folding and its last line end (which the last line may lack)
  std::string_view value;  ///< what follows the colon, still folded, without the last line end; all of a line that is no field

  bool is(std::string_view other) const;  ///< whether the name is `other`, without case
};

/// The fields of a message in their order. The message's bytes must outlive it.
struct HeaderBlockView {
  std::vector<FieldView> fields;
  std::size_t body = 0;          ///< offset of the body: after the empty line, or the message's size where there is none
  bool has_separator = false;    ///< whether the empty line is there
  std::size_t malformed = 0;     ///< how many of `fields` have no name

  /// All fields of that name (no case), in the order of the message. Pointers live as long as `fields`.
  std::vector<const FieldView*> all(std::string_view name) const;
  /// The first of that name, or nullptr.
  const FieldView* first(std::string_view name) const;
};

/// Splits the header block off `message`. A line that is neither a field nor a continuation stays in `fields` with an
/// empty name, so the body never begins at a place the sender chose by a broken line.
/// Errors: header.too_large, header.too_many_fields, header.field_too_large. Source: RFC 5322 §2.1, §2.2, §3.6.8.
Result<HeaderBlockView> parse_header(ByteView message);

/// `value` without the line ends of its folding (RFC 5322 §2.2.3) and without blanks at both ends.
std::string unfold(std::string_view value);

}  // namespace postern::mail
