#include "web/server.h"

#include <utility>

namespace postern::web {

namespace {
// Whoever has an IPv6 address has all of its /64.
std::string neighbourhood_of(const IpAddress& client) { return std::string(client.octets().substr(0, client.is_v6() ? 8 : 4)); }
}  // namespace

Server::Server(io::Loop& loop, Pages pages, const ServerOptions& options, std::function<void(int status)> count)
    : loop_(loop),
      options_(options),
      count_(std::move(count)),
      http_(std::move(pages), loop),
      host_{.loop = loop, .server = http_, .hosts = hosts_, .deadlines = options.deadlines, .answered = [this](int status) { count_(status); },
            .ended = [this](Connection& c) { ended(c); }},
      free_ended_(loop, [this] { free_ended(); }) {}

Server::~Server() = default;

void Server::listen(Fd listening) {
  acceptors_.push_back(std::make_unique<io::Acceptor>(loop_, std::move(listening), [this](Fd socket, const io::Endpoint& peer) { take(std::move(socket), peer); }));
}

void Server::take(Fd socket, const io::Endpoint& peer) {
  const bool ready = transport_ == Transport::clear || tls_ != nullptr;
  std::size_t& count = by_client_[neighbourhood_of(peer.address)];
  if (!ready || connections_.size() >= options_.connections || count >= options_.connections_per_client) {
    if (count == 0) by_client_.erase(neighbourhood_of(peer.address));
    return count_(0);
  }
  ++count;
  auto made = std::make_unique<Connection>(host_, peer.address);
  Connection& connection = *made;
  connections_.emplace(&connection, std::move(made));
  connection.start(std::move(socket), transport_ == Transport::tls ? tls_ : nullptr);
}

void Server::ended(Connection& connection) {
  const auto client = by_client_.find(neighbourhood_of(connection.client()));
  if (client != by_client_.end() && --client->second == 0) by_client_.erase(client);
  const auto place = connections_.find(&connection);
  ended_.push_back(std::move(place->second));
  connections_.erase(place);
  free_ended_.arm();
}

void Server::free_ended() {
  ended_.clear();
  if (stopped_ && connections_.empty()) std::exchange(stopped_, nullptr)();
}

void Server::stop(std::function<void()> done) {
  acceptors_.clear();
  stopped_ = std::move(done);
  for (const auto& [connection, owner] : connections_) connection->wind_down();
  free_ended_.arm();
}

}  // namespace postern::web
