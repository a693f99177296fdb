// The message itself: DATA, BDAT, and its way to the verifier.
#include <algorithm>
#include <string>

#include "listener/received.h"
#include "listener/transaction.h"

namespace postern::listener {

namespace {

const Reply& reply_for(Fault fault) {
  switch (fault) {
    case Fault::none: break;
    case Fault::bare_newline: return replies::kBareNewlineInText;
    case Fault::nul: return replies::kNulInText;
    case Fault::too_large: return replies::kTooLarge;
    case Fault::header_too_large: return replies::kHeaderTooLarge;
    case Fault::loop: return replies::kLoop;
    case Fault::memory: return replies::kNoMemory;
    case Fault::io: return replies::kNoMemory;
  }
  return replies::kInternal;
}

}  // namespace

void SmtpSession::forget_transaction() {
  transaction_.reset();
  turned_away_ = false;
  if (state_ != state::kConnected) state_ = state::kGreeted;
}

// Memory for the body, or 452 before a byte of it is sent.
bool SmtpSession::open_sink() {
  const std::uint64_t wanted = std::max<std::uint64_t>(transaction_->declared_size, limits::kBodyBufferBytes);
  if (!context_.budget.admits(wanted)) return false;
  transaction_->sink.emplace(DataSink::Limits{.max_bytes = context_.settings.max_message_size,
                                              .max_received = context_.settings.max_received,
                                              .bare_newline = context_.settings.bare_newline},
                             context_.budget);
  return true;
}

void SmtpSession::expect_text() {
  deadline_ = std::min(context_.clock.steady() + context_.settings.data_timeout, transaction_->deadline);
}

void SmtpSession::open_text(const mail::smtp::Nothing&) {
  if (!open_sink()) return refuse(replies::kNoMemory);
  out_ += "354 End with CR LF . CR LF\r\n";
  mode_ = Mode::text;
  expect_text();
}

std::size_t SmtpSession::take_text(std::string_view rest) {
  if (rest.empty()) return 0;
  const DataSink::Fed fed = transaction_->sink->feed(rest);
  if (fed.ended) finish_text();
  else expect_text();
  return fed.consumed;
}

// RFC 3030 §2. Whatever becomes of it, its octets are passed over, so that they are never read as commands.
void SmtpSession::take_chunk(const mail::smtp::Bdat& bdat) {
  chunk_reply_ = nullptr;
  if (state_ == state::kConnected) chunk_reply_ = &replies::kNeedHello;
  else if (state_ == state::kGreeted) chunk_reply_ = &replies::kNeedSender;
  else if (state_ == state::kHasSender) chunk_reply_ = &replies::kNoRecipients;
  else if (state_ == state::kHasRecipient && !open_sink()) chunk_reply_ = &replies::kNoMemory;
  // More than any message may have: not worth waiting for.
  if (bdat.octets > context_.settings.max_message_size + limits::kInputBytes) return close_with(replies::kTooLarge);
  if (chunk_reply_ == nullptr) state_ = state::kInChunks;
  chunk_left_ = bdat.octets;
  chunk_last_ = bdat.last;
  mode_ = Mode::chunk;
  if (transaction_ != nullptr) expect_text();
  if (chunk_left_ == 0) finish_chunk();
}

std::size_t SmtpSession::take_chunk_octets(std::string_view rest) {
  if (rest.empty()) return 0;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, rest.size()));
  if (chunk_reply_ == nullptr) transaction_->sink->feed_chunk(rest.substr(0, size));
  chunk_left_ -= size;
  if (transaction_ != nullptr) expect_text();
  if (chunk_left_ == 0) finish_chunk();
  return size;
}

void SmtpSession::finish_chunk() {
  mode_ = Mode::command;
  expect_command();
  if (chunk_reply_ != nullptr) {
    const Reply& reply = *std::exchange(chunk_reply_, nullptr);
    if (state_ == state::kHasRecipient) forget_transaction();  // RFC 3030 §2: what is left of it is of no use
    return refuse(reply);
  }
  DataSink& sink = *transaction_->sink;
  if (sink.fault() == Fault::none && !chunk_last_) return say(replies::kChunkOk);
  if (chunk_last_) sink.finish_chunks();
  finish_text();
}

void SmtpSession::finish_text() {
  mode_ = Mode::command;
  expect_command();
  DataSink& sink = *transaction_->sink;
  context_.metrics.count("smtp_received_bytes_total", {}, sink.size());
  if (sink.fault() != Fault::none) return refuse_text(reply_for(sink.fault()));
  auto body = sink.seal();
  if (!body) {
    context_.log.error("a body could not be sealed", {{"id", transaction_->envelope.id}, {"why", body.error().message}});
    return refuse_text(replies::kNoMemory);
  }
  submit(std::move(*body));
}

void SmtpSession::refuse_text(const Reply& reply) {
  const bool smuggling = &reply == &replies::kBareNewlineInText;
  log_message("message refused", to_line(reply));
  // Who mixes line ends may be read differently elsewhere: nothing more of this stream is believed.
  if (smuggling) return close_with(reply);
  forget_transaction();
  refuse(reply);
  if (context_.stopping) close_with(replies::kStopping);
}

privsep::Arrival SmtpSession::arrival() const {
  privsep::Arrival out;
  out.client = client_.address;
  out.port = client_.port;
  out.helo = helo_;
  out.esmtp = esmtp_;
  out.tls_version = tls_version_;
  out.tls_cipher = tls_cipher_;
  out.may_relay = client_.may_relay;
  out.received = context_.clock.now();
  return out;
}

void SmtpSession::submit(Fd body) {
  Transaction& t = *transaction_;
  t.body = std::move(body);
  t.envelope.arrival = arrival();
  if (t.sink->has_8bit()) t.envelope.body = privsep::Body::eight_bit_mime;  // whatever BODY= said, the next hop has to know
  hand_over(context_.poison.is_poison({t.envelope.reverse_path, t.body, t.sink->size()}));
}

void SmtpSession::hand_over(bool park) {
  Transaction& t = *transaction_;
  t.parked = park;
  privsep::Submission submission;
  submission.park = park;
  submission.envelope = std::move(t.envelope);
  const privsep::Envelope& envelope = submission.envelope;
  submission.content.size = t.sink->size();
  submission.content.prefix = received_field({.arrival = envelope.arrival, .host_name = context_.settings.host_name, .id = envelope.id,
                                              .recipient = t.only_recipient, .smtputf8 = envelope.smtputf8});
  mode_ = Mode::verdict;
  expect_nothing();
  peer_.submit(submission, t.relays || client_.may_relay, t.body);
  t.envelope = std::move(submission.envelope);  // for the log line, or to be handed over again
}

/// A verifier died over this message. True: not for the first time, and it is on its way to be parked.
bool SmtpSession::park_poison(const Result<privsep::SubmissionVerdict>& verdict) {
  Transaction& t = *transaction_;
  if (verdict || verdict.error().code != kKilledVerifier || t.parked) return false;
  context_.metrics.count("smtp_poison_total");
  const bool again = context_.poison.note_death({t.envelope.reverse_path, t.body, t.sink->size()});
  log_message(again ? "verifiers died over a message twice: it is parked" : "a verifier died over a message", verdict.error().message);
  if (again) hand_over(true);
  return again;
}

void SmtpSession::on_submitted(const Result<privsep::SubmissionVerdict>& verdict) {
  if (mode_ != Mode::verdict || park_poison(verdict)) return;
  mode_ = Mode::command;
  const privsep::SmtpReply internal{451, "4.3.0", std::string(replies::kInternal.text)};
  const privsep::SmtpReply& reply = verdict ? verdict->reply : internal;
  std::string line = to_line(reply);
  const bool accepted = line.front() == '2';
  log_message(accepted ? "message accepted" : "message refused", verdict ? line : verdict.error().message);
  if (accepted) context_.metrics.count("smtp_accepted_total");
  else count_refusal(line.front() == '5' ? "verdict-5xx" : "verdict-4xx");
  forget_transaction();
  out_ += line;
  expect_command();
  if (context_.stopping) close_with(replies::kStopping);
  else if (line.front() == '5') count_error();
  go_on();
}

void SmtpSession::log_message(std::string_view event, std::string_view reply) const {
  const Transaction& t = *transaction_;
  while (reply.ends_with('\n') || reply.ends_with('\r')) reply.remove_suffix(1);
  context_.log.info(event, {{"id", t.envelope.id},
                            {"client", client_.address.to_string()},
                            {"helo", helo_},
                            {"from", t.envelope.reverse_path},
                            {"size", t.sink ? t.sink->size() : 0},
                            {"nrcpt", t.accepted},
                            {"tls", tls_version_},
                            {"reply", reply}});
}

}  // namespace postern::listener
