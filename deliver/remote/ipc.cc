#include "deliver/remote/ipc.h"

#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace postern::remote {

using namespace privsep;

namespace {

constexpr std::size_t kCachedAnswers = 20'000;
constexpr std::size_t kAuthoritiesBytes = 16 * 1024 * 1024;

TlsRule tls_rule(std::string_view text) {
  if (text == "required") return TlsRule::required;
  if (text == "verified") return TlsRule::verified;
  if (text == "dane-only") return TlsRule::dane_only;
  return TlsRule::opportunistic;
}

Result<std::string> read_all(const Fd& fd) {
  std::string out;
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0) return failure("remote.authorities", "the authorities cannot be read");
    if (got == 0) return out;
    out.append(buffer.data(), static_cast<std::size_t>(got));
    if (out.size() > kAuthoritiesBytes) return failure("remote.authorities", "the file of authorities is too large");
  }
}

std::string machine_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

PoolLimits pool_limits(const Config& config) {
  return {config.number("relay.max_sessions"), config.number("relay.max_sessions_per_host"), config.number("relay.session_messages")};
}

}  // namespace

RemoteService::RemoteService(Child& child)
    : child_(child),
      dispatch_(*this, child.peers),
      client_(child.peers),
      cache_(client_, child.clock, {.max_entries = kCachedAnswers}),
      pool_(child.loop, settings_, pool_limits(child.config)),
      courier_(cache_, pool_, child.entropy, child.log, child.metrics) {}

RemoteService::~RemoteService() = default;

Result<void> RemoteService::open() {
  TRY_ASSIGN(tls_, io::TlsClientContext::create());
  settings_.tls = &*tls_;
  if (const auto file = child_.take_file("ca")) {
    TRY_ASSIGN(const std::string bundle, read_all(*file));
    if (auto store = io::TrustStore::load(bundle)) {
      authorities_.emplace(*std::move(store));
      settings_.authorities = &*authorities_;
    } else {
      child_.log.error("no authority can be read: nobody can be verified", {{"why", store.error().message}});
    }
  }
  pool_.set_changed([this] { child_.metrics.gauge("remote_sessions", pool_.open_sessions()); });
  machine_name_ = machine_name();
  configure();
  return {};
}

void RemoteService::configure() {
  const Config& config = child_.config;
  CourierRules& rules = courier_.rules();
  rules.own_name = config.text("server.host_name").empty() ? machine_name_ : config.text("server.host_name");
  rules.port = static_cast<std::uint16_t>(config.number("relay.port"));
  rules.ipv6 = config.flag("relay.ipv6");
  rules.tls = tls_rule(config.text("relay.tls"));
  rules.routes.clear();
  for (const std::string& text : config.list("relay.routes")) {
    auto route = parse_route(text, rules.port);
    if (route) rules.routes.push_back(*std::move(route));
    else child_.log.error("a route is not understood and not used", {{"key", "relay.routes"}, {"why", route.error().message}});
  }
  settings_.own_name = rules.own_name;
  settings_.timeouts = Timeouts::scaled(config.number("relay.timeout_scale_percent"), config.seconds("relay.connect_timeout"), config.seconds("relay.session_idle"));
  pool_.set_limits(pool_limits(config));
}

void RemoteService::reload() {
  configure();
  pool_.close_idle();
}

void RemoteService::stop(std::function<void()> done) {
  pool_.close_idle();
  if (courier_.under_way() == 0) return done();
  stopped_ = std::move(done);
  courier_.set_idle([this] {
    if (stopped_) std::exchange(stopped_, nullptr)();
  });
}

void RemoteService::on(const RemoteDelivery& delivery, Reply<RemoteDelivery> reply, From, Fd body) {
  courier_.deliver(delivery, body, [reply](const DeliveryResult& result) { reply(result); });
}

void RemoteService::on(const DnssecState& state, From, Fd) {
  if (courier_.dnssec_trusted() != state.trusted) cache_.clear();  // what was called secure, or was not, may be otherwise now
  courier_.set_dnssec_trusted(state.trusted);
  dnssec_reason_ = state.reason;
}

void RemoteService::on(const AdminRequest& request, Reply<AdminRequest> reply, From, Fd) {
  if (request.command != "remote status") return reply(AdminAnswer{"remote: no such command: " + text::printable(request.command), {}});
  const PoolStats pool = pool_.stats();
  const auto cache = cache_.stats();
  const nlohmann::json json = {{"deliveries", courier_.under_way()},
                               {"sessions", {{"open", pool.open}, {"idle", pool.idle}, {"waiting", pool.waiting}, {"opened", pool.opened}, {"reused", pool.reused}, {"failed", pool.failed}}},
                               {"dnssec", {{"trusted", courier_.dnssec_trusted()}, {"reason", text::printable(dnssec_reason_)}}},
                               {"dns_cache", {{"entries", cache.entries}, {"hits", cache.hits}, {"misses", cache.misses}}},
                               {"routes", courier_.rules().routes.size()},
                               {"authorities", authorities_.has_value()}};
  reply(AdminAnswer{{}, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
}

}  // namespace postern::remote
