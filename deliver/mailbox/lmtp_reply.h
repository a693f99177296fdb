/// Replies of an LMTP server (RFC 2033, RFC 5321 §4.2), read from a stream of bytes.
///
/// Trust: the server may be any program an administrator named; lines, lines a reply and text kept are bounded, and what is not of the
/// grammar ends the connection.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "privsep/envelope.h"

namespace postern::mailbox {

struct LmtpReply {
  std::uint16_t code = 0;             ///< 200 to 599
  std::string enhanced;               ///< "2.1.5", or empty
  std::vector<std::string> lines;     ///< what follows the codes, as it came
  bool is(int hundreds) const { return code / 100 == hundreds; }
  /// For a log and a DSN: one printable line; an enhanced code made up where there was none.
  privsep::SmtpReply to_smtp() const;
};

class LmtpReplyReader {
 public:
  /// Takes bytes off the stream. Errors: "lmtp.reply" (not of the grammar, or beyond a limit); then the reader is of no more use.
  Result<void> feed(std::string_view bytes);
  /// The next whole reply.
  std::optional<LmtpReply> next();
  /// Whether bytes of a reply that is not whole are left, or whole ones not taken.
  bool has_rest() const { return !line_.empty() || !open_.lines.empty() || !ready_.empty(); }

 private:
  Result<void> take_line(std::string_view line);
  std::string line_;
  LmtpReply open_;
  std::size_t open_bytes_ = 0;
  std::deque<LmtpReply> ready_;
};

}  // namespace postern::mailbox
