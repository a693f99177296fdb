#include "listener/acceptor.h"

#include <sys/socket.h>

#include <utility>

namespace postern::listener {

namespace {

constexpr std::chrono::seconds kTick{1};  // how exact deadlines are; they are minutes long

Admission::Limits admission_limits(const Settings& settings) {
  return {.total = settings.max_connections, .per_client = settings.max_connections_per_client};
}

}  // namespace

Acceptor::Acceptor(io::Loop& loop, Context& context, Backend& backend)
    : loop_(loop),
      context_(context),
      host_{.loop = loop, .context = context, .backend = backend, .tls = tls_, .ended = [this](Connection& c) { ended(c); }},
      admission_(admission_limits(context.settings)),
      free_ended_(loop, [this] { free_ended(); }),
      ticks_(loop) {
  ticks_.repeat(kTick, [this] { tick(); });
}

Acceptor::~Acceptor() = default;

void Acceptor::listen(Fd listening) {
  listening_.push_back(std::make_unique<io::Acceptor>(loop_, std::move(listening), [this](Fd socket, const io::Endpoint& peer) { take(std::move(socket), peer); }));
}

void Acceptor::reload() { admission_.set_limits(admission_limits(context_.settings)); }

void Acceptor::set_tls(std::shared_ptr<const io::TlsServerContext> tls) {
  tls_ = std::move(tls);
  context_.has_tls = tls_ != nullptr;
}

void Acceptor::take(Fd socket, const io::Endpoint& peer) {
  const Admitted admitted = admission_.enter(peer.address);
  if (admitted != Admitted::yes) return turn_away(socket, admitted);
  context_.metrics.count("smtp_connections_total");
  const Client client{.address = peer.address, .port = peer.port, .may_relay = context_.settings.may_relay(peer.address)};
  auto connection = std::make_shared<Connection>(host_, client);
  connection->place = connections_.size();
  connections_.push_back(connection);
  connection->start(std::move(socket));
}

// One line and no session: being refused must cost us less than it costs the client.
void Acceptor::turn_away(const Fd& socket, Admitted why) {
  static const std::string kLine = to_line(replies::kTooManyConnections);
  (void)::send(socket.get(), kLine.data(), kLine.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  context_.metrics.count("smtp_turned_away_total", why == Admitted::too_many ? "reason=\"total\"" : "reason=\"client\"");
}

void Acceptor::ended(Connection& connection) {
  admission_.leave(connection.client().address);
  const std::size_t place = connection.place;
  ended_.push_back(std::move(connections_[place]));
  if (place + 1 != connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place = place;
  }
  connections_.pop_back();
  free_ended_.arm();
}

void Acceptor::free_ended() {
  ended_.clear();
  if (stopped_ && connections_.empty()) std::exchange(stopped_, nullptr)();
}

void Acceptor::tick() {
  const SteadyTime now = context_.clock.steady();
  // A session that ends is replaced by the last one of the list, which has then had its turn already.
  for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->session().on_tick(now);
  context_.metrics.gauge("smtp_connections", connections_.size());
  context_.metrics.gauge("smtp_body_bytes", context_.budget.used());
  std::uint64_t starved = 0;
  for (const auto& listening : listening_) starved += listening->turned_away();
  context_.metrics.gauge("smtp_turned_away_descriptors", starved);
}

void Acceptor::stop(std::function<void()> done) {
  context_.stopping = true;
  listening_.clear();
  stopped_ = std::move(done);
  for (std::size_t i = connections_.size(); i-- > 0;) connections_[i]->session().on_stop();
  free_ended_.arm();
}

}  // namespace postern::listener
