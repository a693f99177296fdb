// The table of steps, and what all of them have in common. Opening is in smtp_opening.cc, messages in smtp_transaction.cc.
#include "deliver/remote/smtp_session.h"

#include "base/check.h"
#include "base/text.h"
#include "deliver/remote/limits.h"
#include "deliver/remote/smtp_steps.h"

namespace postern::remote {

using privsep::SmtpReply;

const SmtpSession::StepRow& SmtpSession::row(Step step) {
  static constexpr StepRow kSteps[] = {
      // step           words            time                  who takes the reply
      {Step::banner,   "the greeting",  &Timeouts::banner,    &SmtpSession::take_banner},
      {Step::ehlo,     "EHLO",          &Timeouts::command,   &SmtpSession::take_ehlo},
      {Step::helo,     "HELO",          &Timeouts::command,   &SmtpSession::take_helo},
      {Step::starttls, "STARTTLS",      &Timeouts::command,   &SmtpSession::take_starttls},
      {Step::auth,     "AUTH",          &Timeouts::command,   &SmtpSession::take_auth},
      {Step::rset,     "RSET",          &Timeouts::command,   &SmtpSession::take_rset},
      {Step::mail,     "MAIL",          &Timeouts::command,   &SmtpSession::take_mail},
      {Step::rcpt,     "RCPT",          &Timeouts::command,   &SmtpSession::take_rcpt},
      {Step::data,     "DATA",          &Timeouts::data,      &SmtpSession::take_data},
      {Step::body,     "the end of the message", &Timeouts::end, &SmtpSession::take_body},
  };
  const StepRow& found = kSteps[static_cast<std::size_t>(step)];
  POSTERN_CHECK(found.step == step);
  return found;
}

Timeouts Timeouts::scaled(std::uint64_t percent, std::chrono::milliseconds connect_time, std::chrono::milliseconds idle_time) {
  const auto part = [percent](std::chrono::milliseconds whole) { return whole * static_cast<std::int64_t>(percent) / 100; };
  return {connect_time,
          part(limits::kBannerTimeout),
          part(limits::kCommandTimeout),
          part(limits::kDataTimeout),
          part(limits::kBlockTimeout),
          part(limits::kEndTimeout),
          part(limits::kHandshakeTimeout),
          idle_time};
}

SmtpSession::SmtpSession(io::Loop& loop, const SessionSettings& settings, ServerPlan plan, SessionOwner& owner)
    : loop_(loop), settings_(settings), plan_(std::move(plan)), owner_(owner), timer_(loop) {
  use_.host = plan_.name;
  use_.address = plan_.at.to_string();
  use_.wanted = plan_.tls.wanted;
  use_.dane = plan_.tls.dane;
  stream_ = io::TcpStream::connect(loop_, plan_.at, settings_.timeouts.connect, *this);
}

void SmtpSession::ask(Step step, std::string_view line, std::uint32_t target) {
  stream_.write(line);
  expected_.push_back({step, target});
}

void SmtpSession::wait(std::chrono::milliseconds delay) {
  timer_.start(delay, [this] {
    if (state_ == State::idle) {
      quit();
      return owner_.ended(*this);
    }
    std::string_view what = "the server";
    if (shaking_hands_) what = "the TLS handshake";
    else if (!expected_.empty()) what = row(expected_.front().step).words;
    lost({451, "4.4.2", "timed out waiting for " + std::string(what)});
  });
}

/// The deadline of what is waited for first; while the body is on its way, of its next block.
void SmtpSession::arm() {
  if (over_ || expected_.empty()) return;
  const Step step = expected_.front().step;
  wait(step == Step::body && !body_.done() ? settings_.timeouts.block : settings_.timeouts.*row(step).time);
}

void SmtpSession::on_data(ByteView data) {
  std::string_view input = text_of(data);
  while (!input.empty() && !over_) {
    auto reply = reader_.read(input);
    if (!reply) return lost({451, "4.5.0", text::printable(reply.error().message)});
    if (!*reply) return;
    answered(**reply, !input.empty() || reader_.inside());
    if (broken_) return;
  }
}

void SmtpSession::answered(const ServerReply& reply, bool surplus) {
  if (expected_.empty()) {
    // An idle server may say that it goes; anything else answers nothing.
    return lost(reply.code == 421 ? reply.told(limits::kReplyTextBytes) : SmtpReply{451, "4.5.0", "a reply to nothing: " + reply.told(80).text});
  }
  const Expected expected = expected_.front();
  expected_.pop_front();
  if (expected_.empty() && surplus) {
    // What follows the last reply was sent before it was asked for. In the opening somebody else may have written it.
    if (state_ == State::opening)
      return fail_opening(Obstacle::attack, {451, "4.7.0", "unasked bytes after the reply to " + std::string(row(expected.step).words)},
                          expected.step == Step::starttls ? "validation-failure" : "");
    broken_ = true;
  }
  if (reply.code == 421 && expected.step != Step::auth) {  // RFC 5321 §3.8: at any time
    if (expected.step == Step::mail || expected.step == Step::rset) mail_answered_ = messages_ == 1;
    return lost(reply.told(limits::kReplyTextBytes));
  }
  (this->*row(expected.step).take)(reply, expected.target);
  if (!over_ && state_ != State::idle && !shaking_hands_) arm();
}

void SmtpSession::on_drained() {
  if (state_ != State::sending) return;
  pump();
  arm();
}

void SmtpSession::on_end(io::End reason, std::string_view detail) {
  const std::string words = std::string(io::name_of(reason)) + (detail.empty() ? "" : ": " + text::printable(detail, 200));
  if (!connected_) return fail_opening(Obstacle::unreachable, {451, "4.4.1", "no connection to " + server() + ": " + words});
  if (shaking_hands_) return fail_opening(Obstacle::handshake, {451, "4.7.5", "the TLS handshake with " + server() + " failed: " + words}, "validation-failure");
  lost({451, "4.4.2", "the connection to " + server() + " was lost: " + words});
}

/// The connection is of no more use; `reply` is what that means for whom it carried.
void SmtpSession::lost(const SmtpReply& reply) {
  broken_ = true;
  switch (state_) {
    case State::opening: {
      // A time-out inside a handshake is a failed handshake.
      const bool handshake = shaking_hands_;
      return fail_opening(handshake ? Obstacle::handshake : Obstacle::refused, reply, handshake ? "validation-failure" : "");
    }
    case State::idle:
      end_connection();
      return owner_.ended(*this);
    case State::sending:
      settle_all(reply);
      end_connection();
      return finish();
  }
}

void SmtpSession::end_connection() {
  over_ = true;
  timer_.stop();
  expected_.clear();
  stream_.close();
}

void SmtpSession::rest() { wait(settings_.timeouts.idle); }

void SmtpSession::quit() {
  if (over_) return;
  const bool polite = state_ == State::idle && !broken_;
  over_ = true;
  timer_.stop();
  expected_.clear();
  if (!polite) return stream_.close();
  stream_.write(std::string_view("QUIT\r\n"));
  stream_.hang_up();
}

}  // namespace postern::remote
