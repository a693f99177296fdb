/// The structure of a message: its parts, what each is, and its content decoded when asked for (RFC 2045–2049, RFC 2231,
/// RFC 2183).
///
/// Trust: the message is a stranger's. One pass over its lines, no recursion, a part's text is never copied; at most
/// limits::kMimeDepth deep, limits::kMimeParts parts, limits::kMimeHeaderBytes of headers. Whatever is malformed still gives a
/// tree; what was odd is listed in `problems`, so that a policy can act on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "mail/charset.h"
#include "mail/transfer.h"

namespace postern::mail::mime {

struct Parameter {
  std::string name;   ///< lower case, without the marks of RFC 2231
  std::string value;  ///< UTF-8 without controls, RFC 2231 and stray RFC 2047 decoded
};

/// A Content-Type or Content-Disposition: a value and its parameters.
struct Field {
  std::string value;  ///< lower case: "text/plain", "attachment"; empty when absent or unreadable
  std::vector<Parameter> parameters;
  /// The first parameter of that name (lower case), or nullptr.
  const std::string* find(std::string_view name) const;
};

/// Reads a field's value, tolerantly. At most limits::kMimeParameters parameters.
/// Source: RFC 2045 §5.1, RFC 2231 §3 and §4, RFC 2183 §2.
Field parse_field(std::string_view value, Charsets& charsets);

/// How a part's sender wants it shown.
enum class Disposition : std::uint8_t { unsaid = 1, inline_ = 2, attachment = 3 };

/// What was odd about a message; a policy may refuse by it.
enum class Problem : std::uint8_t {
  too_deep = 1,        ///< a part past limits::kMimeDepth stays unopened
  too_many_parts = 2,  ///< what follows part limits::kMimeParts is not split
  headers_too_large = 3,
  no_boundary = 4,     ///< a multipart without a usable boundary parameter
  no_end = 5,          ///< a multipart whose close-delimiter is missing
  bad_header = 6,      ///< lines in a header block that are no fields
  no_separator = 7,    ///< a part that ends inside its header block
  duplicate_field = 8, ///< two Content-Type, -Transfer-Encoding or -Disposition fields; the first counts
  encoded_container = 9,  ///< a multipart or message/* in base64 or quoted-printable (RFC 2045 §6.4 forbids it)
  unknown_encoding = 10,
};
std::string_view name_of(Problem problem);

/// One part. Offsets are into the message the tree was parsed from.
struct Part {
  /// As IMAP numbers it: "1", "2.1"; "" for a message that is a multipart, and the number of the message/rfc822 part for the
  /// multipart inside it (RFC 9051 §6.4.5.1).
  std::string section;
  std::size_t parent = 0;        ///< index in Tree::parts; the root is its own parent
  std::size_t depth = 0;         ///< 0 for the message itself
  std::size_t begin = 0;         ///< of its header block
  std::size_t body = 0;          ///< of its content
  std::size_t end = 0;           ///< of its content, without the line end that belongs to the boundary
  Field type;                    ///< Content-Type, "text/plain" where none is said
  Field disposition_field;
  Disposition disposition = Disposition::unsaid;
  TransferEncoding encoding = TransferEncoding::identity;
  std::string filename;          ///< as said by its sender, decoded, without controls; never use it as a path
  std::string content_id;        ///< without angle brackets
  std::vector<std::size_t> children;

  bool is_multipart() const { return type.value.starts_with("multipart/"); }
  bool is_message() const { return type.value == "message/rfc822" || type.value == "message/global"; }
};

struct Tree {
  std::vector<Part> parts;  ///< in the order of the message; parts[0] is the message, there always is one
  std::vector<Problem> problems;  ///< each at most once
  std::size_t longest_line = 0;   ///< bytes without the line end
  bool has(Problem problem) const;
};

/// Takes a message apart. Total.
Tree parse(ByteView message, Charsets& charsets);

/// The content of a part with its transfer encoding taken off; `message` as given to parse().
std::string content(const Part& part, ByteView message);

/// The content of a text part as UTF-8.
std::string text_content(const Part& part, ByteView message, Charsets& charsets);

/// Whether a part is something to save: a leaf that is no text to read, or is said to be an attachment, or has a file name.
bool is_attachment(const Part& part);

/// A file name that is safe to offer for saving: the last component, without controls, leading dots, or characters that mean
/// something to a file system or shell; never empty, at most 255 bytes of whole characters.
std::string safe_filename(std::string_view filename);

}  // namespace postern::mail::mime
