/// Delivery to LMTP servers on this machine (RFC 2033), several connections to each, kept for the next message.
///
/// The process may open no socket: a connection is asked from the parent by the server's configured name.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/unique.h"
#include "deliver/mailbox/lmtp_session.h"
#include "io/loop.h"

namespace postern::mailbox {

class LmtpClients {
 public:
  using Connected = std::function<void(Result<Fd>)>;
  /// Brings a connected socket to the server `name`, later, once.
  using Connect = std::function<void(const std::string& name, Connected)>;
  using Done = std::function<void(LmtpOutcome)>;

  LmtpClients(io::Loop& loop, const Log& log, Connect connect, std::string client_name);
  ~LmtpClients();  ///< messages at work get no answer

  /// Delivers; `done` is called later, once, on the loop. Nothing waits for ever: a server that does not answer costs
  /// limits::kLmtpReplyTime and is told as 4xx.
  void deliver(const std::string& server, LmtpMessage message, Done done);
  bool idle() const;

 private:
  class Connection;
  struct Work {
    LmtpMessage message;
    Done done;
    bool retried = false;
  };
  struct Server;
  void serve(Server& server);
  void serve_later(const std::string& name);
  void connected(const std::string& name, Result<Fd> socket);
  /// `connection` can take no more: what it had at work goes on elsewhere or is answered.
  void lost(Connection& connection, const Error& error);
  void fail_waiting(Server& server, const Error& error);

  io::Loop& loop_;
  const Log& log_;
  Connect connect_;
  std::string client_name_;
  std::map<std::string, std::unique_ptr<Server>, std::less<>> servers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // callbacks of connect_ may come after the end
};

}  // namespace postern::mailbox
