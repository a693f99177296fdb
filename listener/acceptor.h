/// Takes clients in: admission, the list of connections, and one timer for the deadlines of all.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "io/listen.h"
#include "io/timer.h"
#include "listener/admission.h"
#include "listener/connection.h"

namespace postern::listener {

class Acceptor {
 public:
  /// All of these must outlive the acceptor.
  Acceptor(io::Loop& loop, Context& context, Backend& backend);
  ~Acceptor();

  /// Begins to take clients from a listening socket.
  void listen(Fd listening);
  /// New settings are in the context.
  void reload();
  /// For clients that say STARTTLS from now on; nullptr: not offered.
  void set_tls(std::shared_ptr<const io::TlsServerContext> tls);
  /// Takes no more clients, lets sessions finish the message they are at, then calls `done`.
  void stop(std::function<void()> done);
  std::size_t connections() const { return connections_.size(); }

 private:
  void take(Fd socket, const io::Endpoint& peer);
  void turn_away(const Fd& socket, Admitted why);
  void ended(Connection& connection);
  void tick();
  void free_ended();

  io::Loop& loop_;
  Context& context_;
  std::shared_ptr<const io::TlsServerContext> tls_;
  ConnectionHost host_;
  Admission admission_;
  std::vector<std::unique_ptr<io::Acceptor>> listening_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::vector<std::shared_ptr<Connection>> ended_;  // freed when none of their functions can be running
  io::Deferred free_ended_;
  io::Timer ticks_;
  std::function<void()> stopped_;
};

}  // namespace postern::listener
