/// The replies of an SMTP server (RFC 5321 §4.2).
///
/// Trust: every byte is a stranger's. Lines, their number and their sum are bounded; a reply that is not of the grammar ends the
/// session; words leave this file printable and on one line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "privsep/envelope.h"

namespace postern::remote {

struct ServerReply {
  std::uint16_t code = 0;           ///< 200–599
  std::vector<std::string> lines;   ///< what follows the code, raw; at least one

  bool is(int hundreds) const { return code / 100 == hundreds; }
  /// Code, enhanced code (RFC 2034; one of our own where there is none or it contradicts) and the words, printable, cut to `most`.
  /// A code that ends no delivery (3xx) is told as 451 4.5.0.
  privsep::SmtpReply told(std::size_t most) const;
};

/// Cuts the words of `reply`, which are printable already, to `most` bytes.
void shorten(privsep::SmtpReply& reply, std::size_t most);

/// Reads replies from a stream of bytes, in pieces of any size.
class ReplyReader {
 public:
  /// Takes bytes from the front of `input` until a reply is complete; the rest stays in `input`. No reply: all was taken.
  /// Errors, after which the session is over: "reply.long" (a bound was passed), "reply.syntax".
  Result<std::optional<ServerReply>> read(std::string_view& input);
  /// Whether a reply has begun and not ended.
  bool inside() const { return !line_.empty() || !reply_.lines.empty(); }

 private:
  Result<bool> take_line(std::string_view line);

  std::string line_;      // the begun line
  ServerReply reply_;
  std::size_t bytes_ = 0; // of the begun reply
};

/// What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1). Keywords we do not know are ignored.
struct Extensions {
  bool starttls = false;      ///< RFC 3207
  bool pipelining = false;    ///< RFC 2920
  bool chunking = false;      ///< RFC 3030
  bool binary_mime = false;   ///< RFC 3030
  bool eight_bit_mime = false;///< RFC 6152
  bool smtputf8 = false;      ///< RFC 6531
  bool dsn = false;           ///< RFC 3461
  bool size = false;          ///< RFC 1870
  bool require_tls = false;   ///< RFC 8689
  bool auth_plain = false;    ///< RFC 4954, RFC 4616
  std::uint64_t most_bytes = 0;  ///< with size: the largest message; 0: not said
};
Extensions parse_extensions(const ServerReply& reply);

}  // namespace postern::remote
