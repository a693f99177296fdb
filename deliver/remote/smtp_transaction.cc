// One message over an open session: MAIL, RCPT for each target, and the body by DATA or BDAT.
#include <algorithm>

#include "base/check.h"
#include "deliver/remote/limits.h"
#include "deliver/remote/smtp_session.h"

namespace postern::remote {

using privsep::SmtpReply;

void SmtpSession::send(std::shared_ptr<const Job> job) {
  POSTERN_CHECK(state_ == State::idle && !over_ && job != nullptr);
  job_ = std::move(job);
  state_ = State::sending;
  ++messages_;
  body_ = {};
  replies_.assign(job_->request.targets.size(), std::nullopt);
  to_ask_.clear();
  accepted_ = 0;
  mail_answered_ = body_taken_ = false;

  auto refused = refusal(*job_, offered_);
  const auto mail = mail_command(*job_, offered_);
  if (!refused && !mail) refused = SmtpReply{553, "5.1.7", "the sender's address cannot be written in SMTP"};
  std::vector<std::string> commands(replies_.size());
  if (!refused)
    for (std::uint32_t i = 0; i < replies_.size(); ++i) {
      auto rcpt = rcpt_command(job_->request.targets[i], offered_);
      if (!rcpt) {
        settle(i, rcpt.error().code == "wire.utf8" ? SmtpReply{550, "5.6.7", rcpt.error().message} : SmtpReply{553, "5.1.3", "the address cannot be written in SMTP"});
        continue;
      }
      commands[i] = *std::move(rcpt);
      to_ask_.push_back(i);
    }
  if (refused || to_ask_.empty()) {
    if (refused) settle_all(*refused);
    mail_answered_ = true;
    // From the loop: the owner is still inside its call of send().
    return timer_.start(std::chrono::milliseconds{0}, [this] { finish(); });
  }
  if (needs_reset_) ask(Step::rset, "RSET\r\n");
  ask(Step::mail, *mail);
  if (offered_.pipelining) {  // RFC 2920 §3.1: one group, one write
    for (const std::uint32_t i : to_ask_) ask(Step::rcpt, commands[i], i);
    to_ask_.clear();
    if (!offered_.chunking) ask(Step::data, "DATA\r\n");
    else if (counted_size(*job_) <= limits::kEagerBodyBytes) send_body(Framing::counted);
  } else {
    std::reverse(to_ask_.begin(), to_ask_.end());
  }
  needs_reset_ = true;
  arm();
}

void SmtpSession::take_rset(const ServerReply&, std::uint32_t) {}

void SmtpSession::take_mail(const ServerReply& reply, std::uint32_t) {
  mail_answered_ = true;
  if (!reply.is(2)) {
    settle_all(reply.told(job_->text_bytes));
    to_ask_.clear();
  }
  next_step();
}

void SmtpSession::take_rcpt(const ServerReply& reply, std::uint32_t target) {
  if (reply.is(2)) {
    if (!replies_[target]) ++accepted_;
  } else {
    SmtpReply told = reply.told(job_->text_bytes);
    // RFC 5321 §4.5.3.1.10: too many recipients at once is no fault of this one.
    if (told.code == 552 && accepted_ > 0) told.code = 452, told.enhanced = "4.5.3";
    settle(target, std::move(told));
  }
  next_step();
}

/// When nothing is under way: the next RCPT, the body, or the end.
void SmtpSession::next_step() {
  if (!expected_.empty()) return;
  if (!to_ask_.empty()) {
    const std::uint32_t i = to_ask_.back();
    to_ask_.pop_back();
    return ask(Step::rcpt, *rcpt_command(job_->request.targets[i], offered_), i);
  }
  if (accepted_ == 0) return finish();
  ask_for_data();
}

void SmtpSession::ask_for_data() {
  if (offered_.chunking && offered_.pipelining) return send_body(Framing::counted);
  ask(Step::data, "DATA\r\n");
}

void SmtpSession::take_data(const ServerReply& reply, std::uint32_t) {
  if (reply.code != 354) {
    SmtpReply told = reply.told(job_->text_bytes);
    if (told.is_success()) told = {451, "4.5.0", "unexpected reply to DATA: " + std::to_string(reply.code)};
    settle_all(told);
    return finish();
  }
  if (accepted_ > 0) return send_body(Framing::dot);
  ask(Step::body, ".\r\n");  // RFC 2920 §3.1: the server takes a message that nobody gets; it is empty
}

void SmtpSession::send_body(Framing framing) {
  if (framing == Framing::counted) stream_.write("BDAT " + std::to_string(counted_size(*job_)) + " LAST\r\n");
  body_ = BodyWriter(job_, framing);
  expected_.push_back({Step::body});
  pump();
}

void SmtpSession::pump() {
  while (!body_.done() && !stream_.congested()) body_.write(io::TcpStream::kHighWater, [this](std::string_view part) { stream_.write(part); });
}

void SmtpSession::take_body(const ServerReply& reply, std::uint32_t) {
  if (!body_.done()) broken_ = true;  // answered before all was sent: the rest would be read as commands
  body_taken_ = reply.is(2);
  settle_all(reply.told(job_->text_bytes));
  finish();
}

void SmtpSession::settle(std::uint32_t target, SmtpReply reply) {
  if (replies_[target]) return;
  shorten(reply, job_->text_bytes);
  replies_[target] = std::move(reply);
}

void SmtpSession::settle_all(const SmtpReply& reply) {
  for (std::uint32_t i = 0; i < replies_.size(); ++i) settle(i, reply);
}

/// All targets have their reply: tells the owner.
void SmtpSession::finish() {
  if (body_taken_) needs_reset_ = false;
  Transfer transfer;
  transfer.unanswered = !mail_answered_;
  for (auto& reply : replies_) transfer.replies.push_back(reply ? *std::move(reply) : SmtpReply{451, "4.5.0", "the dialogue ended early"});
  replies_.clear();
  job_.reset();
  state_ = State::idle;
  timer_.stop();
  if (broken_ && !over_) end_connection();
  owner_.transferred(*this, std::move(transfer));
}

}  // namespace postern::remote
