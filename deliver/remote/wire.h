/// What is said to a server for one message: its commands, and the body as DATA or BDAT wants it. Pure.
///
/// Trust: addresses and parameters come from the queue and are checked again here: nothing that could end a line is ever written.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "deliver/remote/reply.h"
#include "privsep/content.h"
#include "privsep/messages.h"

namespace postern::remote {

/// What must be known of a message's bytes before they are sent.
struct BodyFacts {
  bool canonical = true;      ///< every CR and LF is half of a CRLF
  bool eight_bit = false;
  bool header_utf8 = false;   ///< bytes above 127 in the header (RFC 6532)
  bool ends_in_line = true;   ///< the last bytes are CRLF, or there are none
};
BodyFacts examine(const privsep::AssembledContent& content);

/// One message on its way to one destination.
struct Job {
  privsep::RemoteDelivery request;
  std::shared_ptr<const privsep::AssembledContent> content;
  BodyFacts facts;
  std::size_t text_bytes = 256;   ///< of a reply's words that are kept
};

/// `address` as a path, in brackets. Errors: those of mail::parse_mailbox(); the null path is "<>".
Result<std::string> path_of(std::string_view address);

/// Why this server cannot be given this message, whoever the recipients are: 552 5.3.4, 554 5.6.3, 550 5.6.7, 554 5.6.0.
std::optional<privsep::SmtpReply> refusal(const Job& job, const Extensions& offered);

/// MAIL FROM with the parameters that are offered, with its CRLF. Errors: "wire.address".
Result<std::string> mail_command(const Job& job, const Extensions& offered);
/// RCPT TO likewise. Errors: "wire.address", "wire.utf8" (the address needs SMTPUTF8).
Result<std::string> rcpt_command(const privsep::RemoteDelivery::Target& target, const Extensions& offered);
/// AUTH PLAIN (RFC 4616 §2).
std::string auth_command(std::string_view user, std::string_view password);

/// How the end of a message is told: by a dot (RFC 5321 §4.1.1.4), or by counting (RFC 3030 §2).
enum class Framing : std::uint8_t { dot, counted };

/// Writes a message piece by piece, without joining it.
class BodyWriter {
 public:
  BodyWriter() = default;   ///< nothing to write
  BodyWriter(std::shared_ptr<const Job> job, Framing framing) : job_(std::move(job)), framing_(framing), done_(false) {}
  /// Gives some `most` bytes to `sink`, views that live during the call. True: the end was given too.
  template <class Sink>
  bool write(std::size_t most, Sink sink);
  bool done() const { return done_; }

 private:
  std::string_view next(std::size_t most);

  std::shared_ptr<const Job> job_;
  Framing framing_ = Framing::dot;
  bool done_ = true;
  std::size_t piece_ = 0, at_ = 0;
  bool line_start_ = true;
};

/// Bytes of the message when it is counted (SIZE, BDAT): a missing last CRLF is added.
std::uint64_t counted_size(const Job& job);

template <class Sink>
bool BodyWriter::write(std::size_t most, Sink sink) {
  while (!done_ && most > 0) {
    const bool stuff = line_start_;
    const std::string_view part = next(most);
    if (part.empty()) {  // all pieces were given
      if (!job_->facts.ends_in_line) sink(std::string_view("\r\n"));
      if (framing_ == Framing::dot) sink(std::string_view(".\r\n"));
      done_ = true;
      break;
    }
    // RFC 5321 §4.5.2: a line that begins with a dot gets another.
    if (stuff && framing_ == Framing::dot && part.front() == '.') sink(std::string_view("."));
    sink(part);
    most -= part.size();
  }
  return done_;
}

}  // namespace postern::remote
