/// One SMTP dialogue (RFC 5321), without sockets: bytes in, replies and questions out.
///
/// Trust: the client is hostile. Commands are complete lines that end in CR LF and nothing else; all complete lines of a read are
/// handled in order and their replies leave in one write (RFC 2920). RCPTs of a group are asked about side by side and answered in
/// order; what follows them waits. Bytes sent where the client had to wait (before the greeting, behind EHLO, DATA, STARTTLS)
/// end the session. Verdicts of other processes are not believed further than their form allows.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "listener/command_table.h"
#include "listener/context.h"
#include "listener/data_sink.h"
#include "listener/replies.h"
#include "mail/smtp.h"
#include "privsep/messages.h"

namespace postern::listener {

/// What a session needs from the world. Calls never call back into the session: answers come later, from the loop.
class SessionPeer {
 public:
  virtual ~SessionPeer() = default;
  virtual void write(std::string_view text) = 0;
  /// TLS begins after what was written. Answered by on_tls(), or the session is ended.
  virtual void start_tls() = 0;
  /// Ends the connection after what was written. The session hears nothing more.
  virtual void close() = 0;
  /// More input is not wanted for now, or is again.
  virtual void hold_input(bool hold) = 0;
  /// Answered by on_recipient() with the same number.
  virtual void ask_recipient(std::uint32_t number, const privsep::RecipientQuery& query) = 0;
  /// Answered by on_submitted(). `outbound`: to the verifier of our users' mail.
  /// `body` stays the session's.
  virtual void submit(const privsep::Submission& submission, bool outbound, const Fd& body) = 0;
};

/// The error of on_submitted() when the verifier died with this very message in hand.
inline constexpr const char* kKilledVerifier = "submit.killed";

/// Who is at the other end.
struct Client {
  IpAddress address;
  std::uint16_t port = 0;
  bool may_relay = false;  ///< of smtp.relay_networks
};

class SmtpSession {
 public:
  /// `context` and `peer` must outlive the session.
  SmtpSession(Context& context, SessionPeer& peer, const Client& client);
  ~SmtpSession();
  SmtpSession(const SmtpSession&) = delete;
  SmtpSession& operator=(const SmtpSession&) = delete;

  /// Says the greeting, or begins to wait with it (smtp.banner_delay).
  void start();
  void on_input(std::string_view bytes);
  /// The client sends nothing more: what waits for a verdict is still answered, then the session ends.
  void on_eof();
  void on_tls(std::string_view version, std::string_view cipher);
  void on_recipient(std::uint32_t number, const Result<privsep::RecipientVerdict>& verdict);
  void on_submitted(const Result<privsep::SubmissionVerdict>& verdict);
  /// Once a second or so: acts when the deadline has passed.
  void on_tick(SteadyTime now);
  /// The server stops: an idle session ends now, one at work after its message.
  void on_stop();

  bool is_over() const { return mode_ == Mode::over; }

 private:
  friend struct CommandRows;

  enum class Mode : std::uint8_t { banner, command, text, chunk, handshake, verdict, closing, over };
  struct Slot;
  struct Transaction;

  // smtp_session.cc: bytes, replies, time
  void go_on();
  std::size_t consume(std::string_view in);
  std::size_t take_line(std::string_view rest);
  std::size_t skip_line(std::string_view rest, std::size_t lf);
  bool run_line(std::string_view line, bool more);
  const Reply& out_of_order(const Command& command) const;
  void refuse_out_of_order(const Command& command);
  void settle_input();
  void flush();
  void say(const Reply& reply) { say_line(to_line(reply)); }
  void say_line(std::string line);
  void refuse(const Reply& reply);
  void refuse(const Error& error);
  void close_with(const Reply& reply);
  void count_refusal(std::string_view reason);
  void count_error();
  void expect_command();
  void expect_nothing() { deadline_ = SteadyTime::max(); }
  bool asking() const { return !slots_.empty(); }

  // session_commands.cc: the actions of the table
  mail::Utf8 utf8() const;
  void greet(const mail::smtp::Helo& helo);
  void greet_plain(const mail::smtp::Helo& helo);
  void start_tls(const mail::smtp::Nothing&);
  void open_transaction(const mail::smtp::Mail& mail);
  void add_recipient(const mail::smtp::Rcpt& rcpt);
  void refuse_recipient(const Error& error);
  void reset(const mail::smtp::Nothing&);
  void noop(const mail::smtp::Nothing&) { say(replies::kOk); }
  void verify(const mail::smtp::Nothing&) { say(replies::kCannotVerify); }
  void expand(const mail::smtp::Nothing&) { refuse(replies::kNoExpand); }
  void help(const mail::smtp::Nothing&);
  void quit(const mail::smtp::Nothing&);
  void settle(Slot& slot);
  bool take_tickets(Slot& slot);

  // session_text.cc: the message itself
  void open_text(const mail::smtp::Nothing&);
  void take_chunk(const mail::smtp::Bdat& bdat);
  std::size_t take_text(std::string_view rest);
  std::size_t take_chunk_octets(std::string_view rest);
  void finish_chunk();
  bool open_sink();
  void finish_text();
  void submit(Fd body);
  void hand_over(bool park);
  bool park_poison(const Result<privsep::SubmissionVerdict>& verdict);
  void refuse_text(const Reply& reply);
  void expect_text();
  void forget_transaction();
  privsep::Arrival arrival() const;
  void log_message(std::string_view event, std::string_view reply) const;

  Context& context_;
  SessionPeer& peer_;
  Client client_;
  Mode mode_ = Mode::banner;
  States state_ = state::kConnected;
  bool esmtp_ = false;
  bool skipping_ = false;       // an overlong line, up to its end
  bool turned_away_ = false;    // MAIL or a RCPT of this transaction got a 4xx of ours
  bool held_ = false;
  bool eof_ = false;
  bool chunk_last_ = false;
  bool chunk_refused_ = false;  // its octets are thrown away, the reply was settled before them
  std::string helo_;
  std::string tls_version_, tls_cipher_;
  std::string input_;           // what could not be handled yet
  std::string out_;             // replies of this call
  std::uint64_t commands_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t messages_ = 0;
  std::uint64_t chunk_left_ = 0;
  const Reply* chunk_reply_ = nullptr;
  SteadyTime deadline_ = SteadyTime::max();
  std::uint32_t next_slot_ = 1;
  std::size_t settled_ = 0;     // of slots_
  std::vector<Slot> slots_;     // replies that wait for verdicts, in order
  std::unique_ptr<Transaction> transaction_;
};

}  // namespace postern::listener
