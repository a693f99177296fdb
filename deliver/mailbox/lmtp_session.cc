#include "deliver/mailbox/lmtp_session.h"

#include "base/check.h"
#include "base/text.h"
#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/replies.h"

namespace postern::mailbox {

DataWriter::DataWriter(std::string_view extra, MessageBytesPtr bytes) : extra_(extra), bytes_(std::move(bytes)), reader_(*bytes_) {}

std::string DataWriter::next(std::size_t most) {
  if (ended_) return {};
  std::string raw;
  if (!started_) raw = extra_;
  started_ = true;
  const std::size_t before = raw.size();
  raw.resize(before + most);
  const std::size_t read = reader_.read(std::as_writable_bytes(std::span(raw).subspan(before)));
  raw.resize(before + read);
  std::string out;
  out.reserve(raw.size() + 16);
  for (const char c : raw) {
    if (c == '.' && last_ == '\n') out += '.';  // RFC 5321 §4.5.2
    out += c;
    before_last_ = last_;
    last_ = c;
  }
  if (read < most) {
    ended_ = true;
    out += last_ == '\n' && before_last_ == '\r' ? ".\r\n" : "\r\n.\r\n";
  }
  return out;
}

Result<void> LmtpSession::feed(std::string_view bytes) {
  TRY(reader_.feed(bytes));
  while (const auto reply = reader_.next()) {
    TRY(take(*reply));
  }
  return {};
}

Result<void> LmtpSession::take(const LmtpReply& reply) {
  if (reply.code == 421) {  // RFC 5321 §3.8: the server closes, whatever was asked
    must_close_ = true;
    if (!at_work()) return failure("lmtp.refused", "the server closes the connection");
  }
  switch (state_) {
    case State::greeting:
      if (reply.code != 220) return failure("lmtp.refused", "greeting: " + reply.to_smtp().text);
      out_ += "LHLO " + client_name_ + "\r\n";
      state_ = State::lhlo;
      return {};
    case State::lhlo: return take_lhlo(reply);
    case State::idle: return failure("lmtp.protocol", "a reply to nothing");
    case State::mail: take_mail(reply); return {};
    case State::rcpt: take_rcpt(reply); return {};
    case State::data_command: return take_data_command(reply);
    case State::data: take_data(reply); return {};
  }
  return failure("lmtp.protocol", "a reply in no state");
}

Result<void> LmtpSession::take_lhlo(const LmtpReply& reply) {
  if (!reply.is(2)) return failure("lmtp.refused", "LHLO: " + reply.to_smtp().text);
  for (const auto& line : reply.lines) {
    const auto word = std::string_view(line).substr(0, line.find(' '));
    pipelining_ |= text::iequals(word, "PIPELINING");
    eight_bit_ |= text::iequals(word, "8BITMIME");
    smtputf8_ |= text::iequals(word, "SMTPUTF8");
    size_ |= text::iequals(word, "SIZE");
  }
  state_ = State::idle;
  return {};
}

std::string LmtpSession::mail_command() const {
  std::string command = "MAIL FROM:<" + message_.reverse_path + ">";
  if (size_) command += " SIZE=" + std::to_string(message_.bytes->size() + message_.extra.size());
  if (eight_bit_) command += " BODY=8BITMIME";
  if (message_.smtputf8 && smtputf8_) command += " SMTPUTF8";
  return command + "\r\n";
}

void LmtpSession::deliver(LmtpMessage message) {
  POSTERN_CHECK(ready() && !message.recipients.empty() && message.recipients.size() <= limits::kLmtpRecipients);
  message_ = std::move(message);
  results_.assign(message_.recipients.size(), std::nullopt);
  accepted_.clear();
  next_ = 0;
  sent_data_ = false;
  outcome_.reset();
  if (message_.smtputf8 && !smtputf8_) {
    // RFC 6531 §3.2: a server without SMTPUTF8 must not be sent such a message.
    fill(make_reply(554, "5.6.7", "the local delivery server takes no internationalized mail"));
    state_ = State::mail;
    return finish();
  }
  out_ += mail_command();
  state_ = State::mail;
  if (!pipelining_) return;
  for (const auto& recipient : message_.recipients) out_ += "RCPT TO:<" + recipient + ">\r\n";
  out_ += "DATA\r\n";
}

void LmtpSession::take_mail(const LmtpReply& reply) {
  if (!reply.is(2)) {
    fill(reply.to_smtp());
    // What was sent ahead is still answered; a session with an open end is not worth keeping.
    must_close_ |= pipelining_;
    return finish();
  }
  state_ = State::rcpt;
  if (!pipelining_) out_ += "RCPT TO:<" + message_.recipients.front() + ">\r\n";
}

void LmtpSession::take_rcpt(const LmtpReply& reply) {
  if (reply.is(2)) {
    accepted_.push_back(next_);
  } else {
    results_[next_] = reply.to_smtp();
  }
  ++next_;
  if (next_ < message_.recipients.size()) {
    if (!pipelining_) out_ += "RCPT TO:<" + message_.recipients[next_] + ">\r\n";
    return;
  }
  if (!pipelining_ && accepted_.empty()) {
    out_ += "RSET\r\n";
    must_close_ = true;
    return finish();
  }
  if (!pipelining_) out_ += "DATA\r\n";
  state_ = State::data_command;
}

Result<void> LmtpSession::take_data_command(const LmtpReply& reply) {
  if (accepted_.empty()) {  // RFC 2033 §4.2: DATA is refused then; a server that grants it would wait for a message
    must_close_ = true;
    return finish(), Result<void>();
  }
  if (reply.code != 354) {
    if (reply.is(2)) return failure("lmtp.protocol", "DATA was answered " + std::to_string(reply.code));
    fill(reply.to_smtp());
    must_close_ = true;
    return finish(), Result<void>();
  }
  sent_data_ = true;
  data_.emplace(message_.extra, message_.bytes);
  state_ = State::data;
  next_ = 0;
  return {};
}

void LmtpSession::take_data(const LmtpReply& reply) {  // RFC 2033 §4.2: one reply for each recipient that was granted
  if (data_) must_close_ = true;                       // it answers before it has heard all
  results_[accepted_[next_]] = reply.to_smtp();
  if (++next_ == accepted_.size()) finish();
}

void LmtpSession::fill(const privsep::SmtpReply& reply) {
  for (auto& result : results_)
    if (!result) result = reply;
}

void LmtpSession::finish() {
  LmtpOutcome outcome;
  for (auto& result : results_) outcome.push_back(result.value_or(make_reply(451, "4.3.0", "no answer for this recipient")));
  outcome_ = std::move(outcome);
  results_.clear();
  data_.reset();
  message_ = {};
  state_ = State::idle;
}

std::optional<LmtpOutcome> LmtpSession::take_outcome() { return std::exchange(outcome_, std::nullopt); }

LmtpOutcome LmtpSession::fail(const Error& error) {
  if (auto outcome = take_outcome()) return *std::move(outcome);  // all was answered before it broke
  POSTERN_CHECK(at_work());
  fill(reply_for(error));
  must_close_ = true;
  finish();
  return *take_outcome();
}

std::string LmtpSession::output() {
  if (!out_.empty()) return std::exchange(out_, {});
  if (!data_) return {};
  constexpr std::size_t kStretch = 64 * 1024;
  std::string bytes = data_->next(kStretch);
  if (bytes.empty()) data_.reset();
  return bytes;
}

}  // namespace postern::mailbox
