/// Listens, lets browsers in within bounds, and owns their connections.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "io/listen.h"
#include "web/connection.h"

namespace postern::web {

struct ServerOptions {
  Deadlines deadlines;
  std::size_t connections = limits::kConnections;
  std::size_t connections_per_client = limits::kConnectionsPerClient;
};

/// In clear, or under TLS; with TLS wanted and no certificate there yet, clients are turned away, never answered in clear.
enum class Transport : std::uint8_t { clear = 1, tls = 2 };

class Server {
 public:
  /// `count` hears of each answer's status and of each client turned away (status 0).
  Server(io::Loop& loop, Pages pages, const ServerOptions& options, std::function<void(int status)> count);
  ~Server();

  void listen(Fd listening);
  void set_hosts(Hosts hosts) { hosts_ = std::move(hosts); }
  void set_transport(Transport transport) { transport_ = transport; }
  void set_tls(std::shared_ptr<const io::TlsServerContext> tls) { tls_ = std::move(tls); }
  /// Accepts nothing new; `done` is called when the last connection has ended.
  void stop(std::function<void()> done);
  std::size_t connections() const { return connections_.size(); }

 private:
  void take(Fd socket, const io::Endpoint& peer);
  void ended(Connection& connection);
  void free_ended();

  io::Loop& loop_;
  ServerOptions options_;
  std::function<void(int)> count_;
  HttpServer http_;
  Hosts hosts_;
  Transport transport_ = Transport::clear;
  std::shared_ptr<const io::TlsServerContext> tls_;
  ConnectionHost host_;
  std::vector<std::unique_ptr<io::Acceptor>> acceptors_;
  std::map<std::string, std::size_t> by_client_;   // an IPv4 address or an IPv6 /64
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> ended_;
  io::Deferred free_ended_;
  std::function<void()> stopped_;
};

}  // namespace postern::web
