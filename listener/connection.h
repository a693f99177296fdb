/// A client's connection: joins the stream, the session and the processes that judge.
#pragma once

#include <functional>
#include <memory>

#include "io/stream.h"
#include "io/tls.h"
#include "listener/smtp_session.h"

namespace postern::listener {

/// The other processes, as a connection needs them. Answers come later, exactly once, from the loop.
class Backend {
 public:
  virtual ~Backend() = default;
  /// `proof`: the client's socket for one that may relay, else -1; it stays the caller's.
  virtual void ask_recipient(const privsep::RecipientQuery& query, int proof,
                             std::function<void(const Result<privsep::RecipientVerdict>&)> done) = 0;
  /// `body` stays the caller's. Errors of the answer: kKilledVerifier, and those of Peers::ask().
  virtual void submit(const privsep::Submission& submission, bool outbound, const Fd& body,
                      std::function<void(const Result<privsep::SubmissionVerdict>&)> done) = 0;
};

class Connection;

/// What all connections share. Must outlive them.
struct ConnectionHost {
  io::Loop& loop;
  Context& context;
  Backend& backend;
  const std::shared_ptr<const io::TlsServerContext>& tls;  ///< the one of now; empty: none
  std::function<void(Connection&)> ended;                  ///< called once; the connection may be freed at the end of the turn
};

class Connection final : public io::StreamHandler, public SessionPeer, public std::enable_shared_from_this<Connection> {
 public:
  Connection(const ConnectionHost& host, const Client& client) : host_(host), client_(client), session_(host.context, *this, client) {}

  /// Takes the socket and greets.
  void start(Fd socket);
  SmtpSession& session() { return session_; }
  const Client& client() const { return client_; }
  std::size_t place = 0;  ///< in the list of whoever owns it

  void on_data(ByteView data) override { session_.on_input(text_of(data)); }
  void on_tls(const io::TlsInfo& info) override { session_.on_tls(info.version, info.cipher); }
  void on_end(io::End reason, std::string_view detail) override;

  void write(std::string_view text) override { stream_.write(text); }
  void start_tls() override;
  void close() override;
  void hold_input(bool hold) override;
  void ask_recipient(std::uint32_t number, const privsep::RecipientQuery& query) override;
  void submit(const privsep::Submission& submission, bool outbound, const Fd& body) override;

 private:
  void end();

  const ConnectionHost& host_;
  Client client_;
  SmtpSession session_;
  io::TcpStream stream_;
  std::shared_ptr<const io::TlsServerContext> tls_;  // kept while the handshake uses it
  Fd proof_;  // a second descriptor of the connection, for clients that may relay: the mailbox asks the kernel who they are
  bool ended_ = false;
};

}  // namespace postern::listener
