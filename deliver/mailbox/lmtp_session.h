/// One conversation with an LMTP server, without the connection: bytes in, bytes out, results. Source: RFC 2033.
///
/// Trust: the server's replies are checked by lmtp_reply.h; a reply nobody asked for, or one out of place, ends the session.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deliver/mailbox/content.h"
#include "deliver/mailbox/lmtp_reply.h"

namespace postern::mailbox {

/// A message for some recipients of one LMTP server.
struct LmtpMessage {
  std::string reverse_path;
  std::vector<std::string> recipients;  ///< at most limits::kLmtpRecipients
  bool smtputf8 = false;
  std::string extra;                    ///< a field put in front, with its line end, or empty
  MessageBytesPtr bytes;
};

/// One reply for each recipient, in their order.
using LmtpOutcome = std::vector<privsep::SmtpReply>;

/// The text of DATA: dots doubled at the start of lines, ended by CRLF.CRLF (RFC 5321 §4.5.2), made piece by piece.
class DataWriter {
 public:
  DataWriter(std::string_view extra, MessageBytesPtr bytes);
  /// The next stretch, at most about `most` bytes; empty: all is written.
  std::string next(std::size_t most);

 private:
  std::string extra_;
  MessageBytesPtr bytes_;
  PieceReader reader_;
  bool started_ = false, ended_ = false;
  char last_ = '\n', before_last_ = '\r';
};

class LmtpSession {
 public:
  explicit LmtpSession(std::string client_name) : client_name_(std::move(client_name)) {}

  /// Takes bytes of the server. Errors: "lmtp.reply", "lmtp.refused" (the greeting or LHLO was not granted), "lmtp.protocol".
  /// After an error the session is over; fail() tells what to answer for the message at work.
  Result<void> feed(std::string_view bytes);

  /// Whether a message can be given to it.
  bool ready() const { return state_ == State::idle; }
  /// Nothing was ever asked of this message's server in vain: it can be given to another session without a risk of a double.
  bool may_retry_elsewhere() const { return !sent_data_; }
  /// Begins a message. POSTERN_CHECK: ready().
  void deliver(LmtpMessage message);
  /// The result of the message, once; then the session is ready again, unless it must be closed.
  std::optional<LmtpOutcome> take_outcome();
  /// The result when the connection ends now: what was answered already, and a 4xx for the others.
  LmtpOutcome fail(const Error& error);
  bool must_close() const { return must_close_; }
  bool at_work() const { return state_ >= State::mail; }
  /// Whether the body is being written or its replies are awaited: a longer wait is in order.
  bool in_data() const { return state_ == State::data; }

  /// Bytes for the server; empty: nothing at present. Call again until it is empty.
  std::string output();

 private:
  enum class State : std::uint8_t { greeting = 0, lhlo = 1, idle = 2, mail = 3, rcpt = 4, data_command = 5, data = 6 };
  Result<void> take(const LmtpReply& reply);
  Result<void> take_lhlo(const LmtpReply& reply);
  void take_mail(const LmtpReply& reply);
  void take_rcpt(const LmtpReply& reply);
  Result<void> take_data_command(const LmtpReply& reply);
  void take_data(const LmtpReply& reply);
  void fill(const privsep::SmtpReply& reply);
  void finish();
  std::string mail_command() const;

  std::string client_name_;
  LmtpReplyReader reader_;
  State state_ = State::greeting;
  bool pipelining_ = false, eight_bit_ = false, smtputf8_ = false, size_ = false;
  bool must_close_ = false, sent_data_ = false;
  std::string out_;
  std::optional<DataWriter> data_;
  LmtpMessage message_;
  std::vector<std::optional<privsep::SmtpReply>> results_;
  std::vector<std::size_t> accepted_;  // recipients whose RCPT was granted, in order: each gets a reply after the data
  std::size_t next_ = 0;               // recipient (state rcpt) or accepted_ (state data) the next reply is about
  std::optional<LmtpOutcome> outcome_;
};

}  // namespace postern::mailbox
