// The actions of the command table up to the message itself.
#include <string>

#include "base/text.h"
#include "listener/transaction.h"

namespace postern::listener {

using namespace mail::smtp;

mail::Utf8 SmtpSession::utf8() const {
  return transaction_ != nullptr && transaction_->envelope.smtputf8 ? mail::Utf8::allowed : mail::Utf8::refused;
}

void SmtpSession::greet(const Helo& helo) {
  forget_transaction();  // RFC 5321 §4.1.4: EHLO in the middle is a RSET
  state_ = state::kGreeted;
  esmtp_ = true;
  helo_ = helo.name;
  out_ += "250-" + context_.settings.host_name + " at your service, [" + client_.address.to_string() + "]\r\n";
  if (!tls_version_.empty()) out_ += context_.ehlo_tls;
  else out_ += context_.has_tls ? context_.ehlo_starttls : context_.ehlo_clear;
}

void SmtpSession::greet_plain(const Helo& helo) {
  forget_transaction();
  state_ = state::kGreeted;
  esmtp_ = false;
  helo_ = helo.name;
  out_ += "250 " + context_.settings.host_name + "\r\n";
}

void SmtpSession::start_tls(const Nothing&) {
  if (!tls_version_.empty()) return refuse(replies::kTlsAlready);
  if (!context_.has_tls) return refuse(replies::kNoTls);  // RFC 3207 §4
  say(replies::kReadyForTls);
  mode_ = Mode::handshake;
  expect_nothing();  // flush() begins the handshake
}

void SmtpSession::open_transaction(const Mail& mail) {
  if (++messages_ > context_.settings.max_messages) return close_with(replies::kTooManyMessages);
  if (!context_.accepting) {
    turned_away_ = true;
    say_line(to_line(context_.not_accepting));
    return count_refusal("spool");
  }
  const MailParameters& given = mail.parameters;
  if (given.size.value_or(0) > context_.settings.max_message_size) return refuse(replies::kTooLarge);  // RFC 1870 §6.1
  if (given.body == BodyType::binary_mime) return refuse(replies::kNoBinary);
  if (given.require_tls && tls_version_.empty()) return refuse(replies::kNeedsTls);                    // RFC 8689 §2
  forget_transaction();
  transaction_ = std::make_unique<Transaction>();
  privsep::Envelope& envelope = transaction_->envelope;
  envelope.id = make_message_id(context_.entropy);
  envelope.reverse_path = mail.reverse_path.to_string();
  envelope.body = given.body == BodyType::eight_bit_mime ? privsep::Body::eight_bit_mime : privsep::Body::seven_bit;
  envelope.smtputf8 = given.smtputf8;
  envelope.require_tls = given.require_tls;
  envelope.ret = given.ret == Ret::full ? privsep::Ret::full : given.ret == Ret::headers ? privsep::Ret::headers : privsep::Ret::absent;
  envelope.envid = given.envid;
  transaction_->declared_size = given.size.value_or(0);
  transaction_->deadline = context_.clock.steady() + context_.settings.transaction_timeout;
  state_ = state::kHasSender;
  say(replies::kSenderOk);
}

namespace {

privsep::Notify to_notify(const NotifyOn& on) {
  using N = privsep::Notify;
  std::uint8_t bits = 0;
  const auto set = [&bits](bool given, std::uint8_t bit) { bits = static_cast<std::uint8_t>(bits | (given ? bit : 0U)); };
  set(on.never, N::kNever);
  set(on.success, N::kSuccess);
  set(on.failure, N::kFailure);
  set(on.delay, N::kDelay);
  return {bits};
}

// What a recipient takes on the wire between processes: its ticket's texts, the rest with room to spare.
std::size_t travel_bytes(const privsep::Ticket& ticket, const std::string& orcpt) {
  constexpr std::size_t kFixed = 64;
  return kFixed + ticket.recipient.size() + ticket.target.size() + ticket.mac.size() + orcpt.size();
}

}  // namespace

void SmtpSession::refuse_recipient(const Error& error) {
  if (error.code == "smtp.path") return refuse(replies::kBadRecipient);
  refuse(error);
}

void SmtpSession::add_recipient(const Rcpt& rcpt) {
  const std::size_t under_way = slots_.size() - settled_;
  if (transaction_->accepted + under_way >= context_.settings.max_recipients) {  // RFC 5321 §4.5.3.1.10
    say(replies::kTooManyRecipients);
    return count_refusal(replies::kTooManyRecipients.reason);
  }
  Slot slot;
  slot.number = next_slot_++;
  slot.recipient = rcpt.forward_path.to_string();
  // RFC 5321 §4.5.1: "<Postmaster>", in any case, is ours; the mailbox knows who that is.
  if (rcpt.forward_path.domain.empty()) slot.recipient = "postmaster";
  slot.notify = to_notify(rcpt.parameters.notify);
  slot.orcpt = rcpt.parameters.orcpt;
  privsep::RecipientQuery query;
  query.recipient = slot.recipient;
  query.reverse_path = transaction_->envelope.reverse_path;
  query.client = client_.address;
  query.size = transaction_->declared_size;
  const std::uint32_t number = slot.number;
  slots_.push_back(std::move(slot));
  expect_nothing();
  peer_.ask_recipient(number, query);
}

// Answers one command of a group, in its turn.
void SmtpSession::settle(Slot& slot) {
  if (slot.number != 0) {
    if (slot.accepted && take_tickets(slot)) {
      state_ = state::kHasRecipient;
    } else {
      const bool permanent = slot.line.front() == '5';
      count_refusal(permanent ? "recipient-5xx" : "recipient-4xx");
      if (permanent) ++errors_;
      else turned_away_ = true;
    }
  }
  out_ += slot.line;
}

// False, and the slot's reply says so, where the envelope has no room for more.
bool SmtpSession::take_tickets(Slot& slot) {
  Transaction& t = *transaction_;
  std::size_t bytes = 0;
  for (const privsep::Ticket& ticket : slot.tickets) bytes += travel_bytes(ticket, slot.orcpt);
  if (t.recipient_bytes + bytes > privsep::kEnvelopeBytes - limits::kEnvelopeReserve) {
    slot.line = to_line(replies::kTooManyRecipients);
    return false;
  }
  t.recipient_bytes += bytes;
  t.only_recipient = t.accepted++ == 0 ? slot.recipient : std::string();
  for (privsep::Ticket& ticket : slot.tickets) {
    t.relays = t.relays || ticket.kind == privsep::TicketKind::relay;
    t.envelope.recipients.push_back({std::move(ticket), slot.notify, slot.orcpt});
  }
  return true;
}

void SmtpSession::reset(const Nothing&) {
  forget_transaction();
  say(replies::kReset);
}

void SmtpSession::help(const Nothing&) {
  std::string line = "214 2.0.0 ";
  for (std::size_t i = 0; i < kVerbs; ++i) line += std::string(i == 0 ? "" : " ") + std::string(name_of(static_cast<Verb>(i)));
  say_line(line + "\r\n");
}

void SmtpSession::quit(const Nothing&) {
  out_ += to_line(replies::kBye);
  forget_transaction();
  mode_ = Mode::closing;
}

}  // namespace postern::listener
