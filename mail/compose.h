/// Writing messages: header fields that cannot be broken out of, and MIME parts.
///
/// Trust: names, texts and file names come from users and from strangers. Nothing that is passed in can begin another field:
/// CR, LF, NUL and every other control are refused, never repaired. What is returned uses CRLF and lines of at most 998 bytes.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"
#include "mail/address.h"
#include "mail/mime.h"

namespace postern::mail::compose {

inline constexpr std::size_t kLineWish = 78;    ///< RFC 5322 §2.1.1: should
inline constexpr std::size_t kLineMost = 998;   ///< RFC 5322 §2.1.1: must

/// Collects header fields in order. After an error nothing of the refused field is kept.
/// Errors of all: "compose.control" (a control character), "compose.utf8" (not UTF-8, or not ASCII where that is refused),
/// "compose.name" (not a field or parameter name), "compose.too-long" (a word that no line can hold), "compose.address".
class Header {
 public:
  /// Whether addresses may have local parts beyond ASCII: the message then needs SMTPUTF8.
  explicit Header(Utf8 addresses = Utf8::refused) : addresses_(addresses) {}

  /// An unstructured field (Subject, Comments, a display of ours): any UTF-8, encoded by RFC 2047 where it must be.
  Result<void> add_text(std::string_view name, std::string_view utf8);

  /// A structured field whose value is already as the wire wants it: ASCII, folded here at its blanks.
  Result<void> add_structured(std::string_view name, std::string_view ascii);

  /// From, To, Cc, …: display names quoted or encoded as needed. The group of a mailbox is not written.
  Result<void> add_mailboxes(std::string_view name, std::span<const NamedMailbox> mailboxes);

  /// Content-Type or Content-Disposition: `value` is ASCII ("text/plain"); parameter values are UTF-8, written bare, quoted or
  /// by RFC 2231.
  Result<void> add_parameterized(std::string_view name, std::string_view value, std::span<const mime::Parameter> parameters);

  /// The fields so far, each ended by CRLF; the empty line is the caller's.
  const std::string& text() const { return text_; }

 private:
  Result<void> append(std::string_view name, std::span<const std::string> words);
  std::string text_;
  Utf8 addresses_;
};

/// "Tue, 24 Nov 2026 09:00:00 +0000". Source: RFC 5322 §3.3.
std::string format_date(WallTime time);

/// "<random.time@host>". `host` is ours. Source: RFC 5322 §3.6.4.
std::string make_message_id(crypto::Entropy& entropy, WallTime time, std::string_view host);

/// A leaf part to be.
struct Leaf {
  std::string type = "text/plain";  ///< with charset=utf-8 added for text/*
  std::string bytes;                ///< text is UTF-8 with LF or CRLF line ends
  std::string filename;             ///< UTF-8; not empty: an attachment
};

/// A leaf with its header: quoted-printable for text, base64 for the rest, as it is for message/*. Errors as Header's.
Result<std::string> make_leaf(const Leaf& leaf);

/// Content-Type field, empty line and body of a multipart of finished parts (each with its header and empty line).
/// `subtype` may carry parameters of its own ("report; report-type=delivery-status"). The boundary is random.
Result<std::string> make_multipart(std::string_view subtype, std::span<const std::string> parts, crypto::Entropy& entropy);

}  // namespace postern::mail::compose
