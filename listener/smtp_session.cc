#include "listener/smtp_session.h"

#include <algorithm>
#include <utility>

#include "listener/transaction.h"

namespace postern::listener {

using mail::smtp::Verb;

SmtpSession::SmtpSession(Context& context, SessionPeer& peer, const Client& client) : context_(context), peer_(peer), client_(client) {}
SmtpSession::~SmtpSession() = default;

void SmtpSession::start() {
  if (context_.settings.banner_delay.count() != 0 && mode_ == Mode::banner && deadline_ == SteadyTime::max()) {
    deadline_ = context_.clock.steady() + context_.settings.banner_delay;
    return;
  }
  mode_ = Mode::command;
  out_ = "220 " + context_.settings.host_name + " ESMTP Postern\r\n";
  expect_command();
  flush();
}

void SmtpSession::on_input(std::string_view bytes) {
  if (mode_ == Mode::closing || mode_ == Mode::over) return;
  if (mode_ == Mode::banner || mode_ == Mode::handshake) {  // RFC 5321 §4.3.1: the server speaks first
    context_.metrics.count("smtp_desync_total", mode_ == Mode::banner ? "after=\"connect\"" : "after=\"STARTTLS\"");
    close_with(replies::kTooEarly);
    return flush();
  }
  if (!input_.empty()) {
    input_.append(bytes);
    return go_on();
  }
  const std::size_t used = consume(bytes);
  if (used < bytes.size()) input_.assign(bytes.substr(used));
  settle_input();
}

void SmtpSession::on_eof() {
  eof_ = true;
  settle_input();
}

void SmtpSession::go_on() {
  const std::size_t used = consume(input_);
  input_.erase(0, used);
  settle_input();
}

// The replies of all that could be handled leave in one write.
void SmtpSession::settle_input() {
  if (input_.empty() && input_.capacity() > limits::kQuietCapacity) std::string().swap(input_);
  const bool waits = asking() || mode_ == Mode::verdict;
  if (eof_ && !waits && mode_ != Mode::over) mode_ = Mode::closing;
  const bool hold = input_.size() > limits::kInputBytes;
  if (hold != held_ && mode_ != Mode::closing) peer_.hold_input(held_ = hold);
  flush();
}

void SmtpSession::flush() {
  if (mode_ == Mode::over) return;
  if (!out_.empty()) peer_.write(out_);
  if (out_.capacity() > limits::kQuietCapacity) std::string().swap(out_);
  else out_.clear();
  if (mode_ == Mode::handshake && tls_version_.empty() && deadline_ == SteadyTime::max()) {
    deadline_ = context_.clock.steady() + limits::kHandshakeTime;
    return peer_.start_tls();
  }
  if (mode_ != Mode::closing) return;
  mode_ = Mode::over;
  peer_.close();
}

std::size_t SmtpSession::consume(std::string_view in) {
  std::size_t used = 0;
  for (;;) {
    const std::string_view rest = in.substr(used);
    std::size_t step = 0;
    switch (mode_) {
      case Mode::command: step = take_line(rest); break;
      case Mode::text: step = take_text(rest); break;
      case Mode::chunk: step = take_chunk_octets(rest); break;
      case Mode::banner: case Mode::handshake: case Mode::verdict: return used;
      case Mode::closing: case Mode::over: return in.size();
    }
    if (step == 0) return used;
    used += step;
  }
}

// One command line. 0: there is none yet, or it has to wait.
std::size_t SmtpSession::take_line(std::string_view rest) {
  const auto lf = rest.find('\n');
  if (skipping_) return skip_line(rest, lf);
  if (lf == std::string_view::npos) {
    if (rest.size() < mail::limits::kCommandLineBytes) return 0;
    skipping_ = true;
    return skip_line(rest, lf);
  }
  if (lf == 0 || rest[lf - 1] != '\r') {  // RFC 5321 §2.3.8; to guess what else might be a line is how smuggling begins
    close_with(replies::kBareNewline);
    return rest.size();
  }
  if (lf >= mail::limits::kCommandLineBytes) return refuse(replies::kLongLine), lf + 1;
  return run_line(rest.substr(0, lf - 1), rest.size() > lf + 1) ? lf + 1 : 0;
}

// A CR at the end of what is there may be half of the line's end and stays.
std::size_t SmtpSession::skip_line(std::string_view rest, std::size_t lf) {
  if (lf == std::string_view::npos) return rest.ends_with('\r') ? rest.size() - 1 : rest.size();
  if (lf == 0 || rest[lf - 1] != '\r') {
    close_with(replies::kBareNewline);
    return rest.size();
  }
  skipping_ = false;
  refuse(replies::kLongLine);
  return lf + 1;
}

// False: the line has to wait for verdicts.
bool SmtpSession::run_line(std::string_view line, bool more) {
  const auto said = mail::smtp::split_command(line);
  const Command* const command = said ? command_for(said->verb) : nullptr;
  if (asking() && (command == nullptr || command->turn == Turn::after_verdicts)) return false;
  if (++commands_ > context_.settings.max_commands) return close_with(replies::kTooManyCommands), true;
  if (context_.stopping && transaction_ == nullptr && (command == nullptr || command->verb != Verb::quit))
    return close_with(replies::kStopping), true;
  expect_command();
  if (!said) return refuse(replies::kControl), true;
  if (command == nullptr) return refuse(replies::kUnknownCommand), true;
  if (more && command->group == Group::last) {
    context_.metrics.count("smtp_desync_total", "after=\"" + std::string(mail::smtp::name_of(command->verb)) + '"');
    return close_with(replies::kTooEarly), true;
  }
  if ((command->allowed & state_) == 0) return refuse_out_of_order(*command), true;
  command->run(*this, said->argument);
  return true;
}

const Reply& SmtpSession::out_of_order(const Command& command) const {
  switch (state_) {
    case state::kConnected: return replies::kNeedHello;
    case state::kGreeted: return replies::kNeedSender;
    case state::kHasSender: return command.verb == Verb::data ? replies::kNoRecipients : command.verb == Verb::mail ? replies::kHaveSender : replies::kBadSequence;
    case state::kHasRecipient: return command.verb == Verb::mail ? replies::kHaveSender : replies::kBadSequence;
    default: return replies::kInChunks;
  }
}

// A client that pipelines RCPT and DATA after a MAIL or RCPT we had no room for has made no mistake: its error is not counted.
void SmtpSession::refuse_out_of_order(const Command& command) {
  const Reply& reply = out_of_order(command);
  say(reply);
  count_refusal(reply.reason);
  if (!turned_away_) count_error();
}

// ---- verdicts ------------------------------------------------------------------------------------------------------

void SmtpSession::on_recipient(std::uint32_t number, const Result<privsep::RecipientVerdict>& verdict) {
  const auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.number == number && !s.ready; });
  if (slot == slots_.end() || mode_ == Mode::over) return;
  slot->ready = true;
  if (!verdict) {
    context_.log.warning("the mailbox gave no verdict on a recipient", {{"why", verdict.error().message}});
    slot->line = to_line(replies::kInternal);
  } else {
    slot->accepted = verdict->reply.is_success() && !verdict->tickets.empty();
    slot->tickets = verdict->tickets;
    slot->line = slot->accepted || !verdict->reply.is_success() ? to_line(verdict->reply) : to_line(replies::kInternal);
  }
  while (settled_ < slots_.size() && slots_[settled_].ready) settle(slots_[settled_++]);
  if (settled_ < slots_.size()) return flush();
  slots_.clear();
  settled_ = 0;
  if (errors_ > context_.settings.max_errors) close_with(replies::kTooManyErrors);
  else if (context_.stopping && input_.empty()) close_with(replies::kStopping);
  else expect_command();
  go_on();
}

// ---- TLS -----------------------------------------------------------------------------------------------------------

void SmtpSession::on_tls(std::string_view version, std::string_view cipher) {
  if (mode_ != Mode::handshake) return;
  // RFC 3207 §4.2: all that was learnt in the clear is forgotten.
  forget_transaction();
  helo_.clear();
  input_.clear();
  esmtp_ = false;
  skipping_ = false;
  state_ = state::kConnected;
  tls_version_ = version;
  tls_cipher_ = cipher;
  mode_ = Mode::command;
  context_.metrics.count("smtp_tls_sessions_total");
  expect_command();
}

// ---- time ----------------------------------------------------------------------------------------------------------

void SmtpSession::expect_command() {
  deadline_ = context_.clock.steady() + context_.settings.command_timeout;
  if (transaction_ != nullptr) deadline_ = std::min(deadline_, transaction_->deadline);
}

void SmtpSession::on_tick(SteadyTime now) {
  if (now < deadline_ || mode_ == Mode::over) return;
  if (mode_ == Mode::banner) return start();
  if (mode_ == Mode::handshake) {  // nothing can be said in the middle of it
    count_refusal("timeout");
    mode_ = Mode::over;
    return peer_.close();
  }
  if (asking() || mode_ == Mode::verdict) return;  // these end by themselves
  close_with(replies::kTimeout);
  flush();
}

void SmtpSession::on_stop() {
  if (asking() || (mode_ != Mode::command && mode_ != Mode::banner)) return;
  close_with(replies::kStopping);
  flush();
}

// ---- replies -------------------------------------------------------------------------------------------------------

void SmtpSession::say_line(std::string line) {
  if (!asking()) {
    out_ += line;
    return;
  }
  Slot slot;
  slot.ready = true;
  slot.line = std::move(line);
  slots_.push_back(std::move(slot));
}

void SmtpSession::refuse(const Reply& reply) {
  say(reply);
  count_refusal(reply.reason);
  if (reply.code >= 500) count_error();
  else turned_away_ = true;
}

void SmtpSession::refuse(const Error& error) {
  static constexpr std::pair<std::string_view, const Reply*> kByCode[] = {
      {"smtp.path", &replies::kBadSender},       {"smtp.utf8", &replies::kNeedsUtf8}, {"smtp.parameter", &replies::kUnknownParameter},
      {"smtp.value", &replies::kBadValue}};
  for (const auto& [code, reply] : kByCode)
    if (error.code == code) return refuse(*reply);
  refuse(replies::kSyntax);
}

void SmtpSession::count_error() {
  if (++errors_ > context_.settings.max_errors && !asking()) close_with(replies::kTooManyErrors);
}

void SmtpSession::count_refusal(std::string_view reason) {
  context_.metrics.count("smtp_refused_total", "reason=\"" + std::string(reason) + '"');
}

// Says a last word, at once: what waits for verdicts is given up.
void SmtpSession::close_with(const Reply& reply) {
  if (mode_ == Mode::closing || mode_ == Mode::over) return;
  slots_.clear();
  settled_ = 0;
  out_ += to_line(reply);
  if (!reply.reason.empty()) count_refusal(reply.reason);
  mode_ = Mode::closing;
  context_.log.info("session closed", {{"client", client_.address.to_string()}, {"reason", reply.reason}, {"helo", helo_}});
  forget_transaction();
}

}  // namespace postern::listener
