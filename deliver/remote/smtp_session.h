/// One connection to a mail server: opening it (greeting, EHLO, STARTTLS, AUTH) and the messages sent over it (RFC 5321 §4).
///
/// Trust: the server is hostile until proved otherwise, and may be afterwards. Its replies are bounded and paired with what was
/// asked; bytes that answer nothing end the session, and after a STARTTLS reply they are an attack (CVE-2021-38371).
/// The dialogue is a table of steps (smtp_session.cc): what is waited for, how long, and who takes the reply.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "deliver/remote/reply.h"
#include "deliver/remote/tls_choice.h"
#include "deliver/remote/wire.h"
#include "io/stream.h"
#include "io/timer.h"
#include "io/tls.h"
#include "privsep/messages.h"

namespace postern::remote {

/// How long each step may take.
struct Timeouts {
  std::chrono::milliseconds connect, banner, command, data, block, end, handshake, idle;
  /// RFC 5321 §4.5.3.2, scaled.
  static Timeouts scaled(std::uint64_t percent, std::chrono::milliseconds connect, std::chrono::milliseconds idle);
};

/// What all sessions share. Must outlive them.
struct SessionSettings {
  std::string own_name;                        ///< said with EHLO
  Timeouts timeouts;
  const io::TlsClientContext* tls = nullptr;
  const io::TrustStore* authorities = nullptr; ///< null: nobody can be verified
};

/// Whom to reach.
struct ServerPlan {
  std::string name;                            ///< for the log
  io::Endpoint at;
  TlsPlan tls;
  std::shared_ptr<const Login> login;          ///< null: none
};

/// Why a session did not come up.
enum class Obstacle : std::uint8_t {
  unreachable = 1,   ///< no connection
  refused = 2,       ///< connected, but the server does not want us, or does not speak SMTP
  tls = 3,           ///< the wanted protection was not to be had
  handshake = 4,     ///< likewise, by a failed handshake: in clear it might work
  attack = 5,        ///< somebody puts bytes into the connection
};
struct NotOpened {
  Obstacle obstacle = Obstacle::unreachable;
  privsep::SmtpReply reply;
  std::string observation;   ///< a result type of RFC 8460 §4.3, or empty
};

/// What became of a message.
struct Transfer {
  std::vector<privsep::SmtpReply> replies;  ///< one a target, in their order
  bool unanswered = false;   ///< the session broke before MAIL was answered: nothing has happened
};

class SmtpSession;

/// Who opens sessions. Each call may end or reuse the session.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  virtual void opened(SmtpSession& session) = 0;
  virtual void not_opened(SmtpSession& session, NotOpened why) = 0;                ///< the session is over
  virtual void transferred(SmtpSession& session, Transfer transfer) = 0;           ///< reusable() tells whether it goes on
  virtual void ended(SmtpSession& session) = 0;                                    ///< over, while it was idle
};

class SmtpSession final : public io::StreamHandler {
 public:
  /// Begins to connect. All references must outlive the session.
  SmtpSession(io::Loop& loop, const SessionSettings& settings, ServerPlan plan, SessionOwner& owner);

  /// Sends a message. Only between opened() or transferred() and the next call of the owner; `job` is kept until then.
  void send(std::shared_ptr<const Job> job);
  /// Starts the wait for another message; when it ends, so does the session.
  void rest();
  /// Says QUIT where that makes sense and hangs up. The owner hears nothing more.
  void quit();

  bool reusable() const { return !over_ && !broken_; }
  std::size_t messages() const { return messages_; }  ///< begun so far
  const ServerPlan& plan() const { return plan_; }
  bool takes_dsn() const { return offered_.dsn; }
  std::string server() const { return plan_.name + " [" + plan_.at.address.to_string() + "]:" + std::to_string(plan_.at.port); }
  const std::string& addresses() const { return addresses_; }  ///< of the server and ours, "192.0.2.1 198.51.100.2"; empty: not connected
  const std::string& tls() const { return tls_; }     ///< "TLSv1.3 CIPHER dane", empty in clear
  /// Why TLS, had it been demanded, would not have been had: a result type of RFC 8460 §4.3.1, or empty.
  std::string_view doubt() const {
    return !tls_.empty() ? std::string_view(doubt_) : plan_.tls.level == TlsLevel::clear ? "validation-failure" : "starttls-not-supported";
  }
  const privsep::TlsUse& use() const { return use_; } ///< what was wanted of the connection, and what it came to

  void on_connected() override;
  void on_data(ByteView data) override;
  void on_tls(const io::TlsInfo& info) override;
  void on_drained() override;
  void on_end(io::End reason, std::string_view detail) override;

 private:
  enum class Step : std::uint8_t { banner, ehlo, helo, starttls, auth, rset, mail, rcpt, data, body };
  struct Expected {
    Step step;
    std::uint32_t target = 0;
  };
  struct StepRow;
  static const StepRow& row(Step step);
  enum class State : std::uint8_t { opening, idle, sending };

  // Opening
  void take_banner(const ServerReply& reply, std::uint32_t);
  void take_ehlo(const ServerReply& reply, std::uint32_t);
  void take_helo(const ServerReply& reply, std::uint32_t);
  void take_starttls(const ServerReply& reply, std::uint32_t);
  void take_auth(const ServerReply& reply, std::uint32_t);
  void greet();
  void protect_or_open();
  void authenticate();
  privsep::SmtpReply unprotected(const char* enhanced, std::string words) const;
  void fail_opening(Obstacle obstacle, privsep::SmtpReply reply, std::string observation = {});
  // Messages
  void take_rset(const ServerReply& reply, std::uint32_t);
  void take_mail(const ServerReply& reply, std::uint32_t);
  void take_rcpt(const ServerReply& reply, std::uint32_t target);
  void take_data(const ServerReply& reply, std::uint32_t);
  void take_body(const ServerReply& reply, std::uint32_t);
  void next_step();
  void ask_for_data();
  void send_body(Framing framing);
  void pump();
  void settle_all(const privsep::SmtpReply& reply);
  void settle(std::uint32_t target, privsep::SmtpReply reply);
  void finish();
  // All
  void ask(Step step, std::string_view line, std::uint32_t target = 0);
  void answered(const ServerReply& reply, bool surplus);
  void lost(const privsep::SmtpReply& reply);
  void arm();
  void wait(std::chrono::milliseconds delay);
  void end_connection();

  io::Loop& loop_;
  const SessionSettings& settings_;
  const ServerPlan plan_;
  SessionOwner& owner_;
  io::Timer timer_;
  io::TcpStream stream_;
  ReplyReader reader_;
  std::deque<Expected> expected_;
  State state_ = State::opening;
  Extensions offered_;
  bool connected_ = false;
  bool shaking_hands_ = false;
  bool starttls_refused_ = false;
  bool authenticated_ = false;
  bool over_ = false;         // the connection has ended
  bool broken_ = false;       // no further message
  bool needs_reset_ = false;  // the server may still be in a transaction
  std::string tls_, doubt_;
  std::string addresses_;
  privsep::TlsUse use_;
  std::size_t messages_ = 0;

  // The message under way
  std::shared_ptr<const Job> job_;
  BodyWriter body_;
  std::vector<std::optional<privsep::SmtpReply>> replies_;
  std::vector<std::uint32_t> to_ask_;     // targets whose RCPT waits for its turn (without PIPELINING), last first
  std::size_t accepted_ = 0;
  bool mail_answered_ = false;
  bool body_taken_ = false;
};

}  // namespace postern::remote
