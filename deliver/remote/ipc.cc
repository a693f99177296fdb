#include "deliver/remote/ipc.h"

#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "deliver/remote/limits.h"

namespace postern::remote {

using namespace privsep;

namespace {

constexpr std::size_t kCachedAnswers = 20'000;
constexpr std::size_t kAuthoritiesBytes = 16 * 1024 * 1024;

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

/// Rows that do not parse were refused by the parent already; here they would be a mistake, and are named.
TlsLevels tls_levels(const Config& config, const Log& log) {
  TlsLevels levels;
  const auto take = [&](std::string_view key, auto parse, auto& rows) {
    for (const std::string& text : config.list(key)) {
      if (auto row = parse(text)) rows.push_back(*std::move(row));
      else log.error("a row is not understood and not used", {{"key", key}, {"why", row.error().message}});
    }
  };
  const TlsRule unsaid = TlsRule::verified;
  if (auto rule = parse_tls_rule(config.text("relay.tls"))) levels.fallback = *rule;
  take("relay.tls_domains", [](std::string_view text) { return parse_tls_domain(text, nullptr); }, levels.destinations);
  take("relay.require_tls", [&](std::string_view text) { return parse_tls_domain(text, &unsaid); }, levels.senders);
  take("relay.tls_exceptions", [](std::string_view text) { return parse_tls_exception(text); }, levels.exceptions);
  return levels;
}

PoolLimits pool_limits(const Config& config) {
  return {config.number("relay.max_sessions"), config.number("relay.max_sessions_per_host"), config.number("relay.session_messages")};
}

}  // namespace

void QueueStsStore::load(const std::string& domain, Loaded loaded) {
  peers_.ask<StsKnown>(Role::queue, StsQuery{domain}, -1, limits::kStsStorePatience, [loaded = std::move(loaded)](Result<StsKnown> answer, Fd) {
    if (!answer) return loaded(tl::unexpected<Error>(answer.error()));
    if (!answer->error.empty()) return loaded(failure("sts.store", answer->error));
    loaded(std::move(answer->policy));
  });
}

void QueueStsStore::keep(const StsPolicy& policy) { peers_.tell(Role::queue, StsLearnt{policy}); }

RemoteService::RemoteService(Child& child)
    : child_(child),
      dispatch_(*this, child.peers),
      client_(child.peers),
      cache_(client_, child.clock, {.max_entries = kCachedAnswers}),
      pool_(child.loop, settings_, pool_limits(child.config)),
      sts_store_(child.peers),
      sts_fetcher_(child.loop, cache_),
      sts_(cache_, sts_fetcher_, sts_store_, child.clock, child.log, child.metrics),
      courier_(cache_, sts_, pool_, child.entropy, child.clock, child.log, child.metrics) {}

RemoteService::~RemoteService() = default;

Result<void> RemoteService::open() {
  TRY_ASSIGN(tls_, io::TlsClientContext::create());
  settings_.tls = &*tls_;
  if (const auto file = child_.take_file("ca")) {
    TRY_ASSIGN(const std::string bundle, read_all(*file));
    if (auto store = io::TrustStore::load(bundle)) {
      authorities_.emplace(*std::move(store));
      settings_.authorities = &*authorities_;
      sts_fetcher_.set_authorities(&*authorities_);
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
  rules.tls = tls_levels(config, child_.log);
  io::HttpsRules& fetches = sts_fetcher_.rules();
  fetches.ipv6 = rules.ipv6;
  fetches.allow_special = config.flag("relay.allow_private");
  fetches.port = static_cast<std::uint16_t>(config.number("relay.policy_port"));
  fetches.most_body = mail::mta_sts::kPolicyBytes;
  fetches.time = config.seconds("relay.policy_timeout");
  rules.routes.clear();
  for (const std::string& text : config.list("relay.routes")) {
    auto route = parse_route(text, rules.port);
    if (route) rules.routes.push_back(*std::move(route));
    else child_.log.error("a route is not understood and not used", {{"key", "relay.routes"}, {"why", route.error().message}});
  }
  for (const auto& exception : rules.tls.exceptions)
    if (child_.clock.now() >= exception.ends)
      child_.log.warning("a TLS exception is past its day and counts no longer", {{"domain", exception.row.domain}, {"last_day", exception.last_day}, {"reason", exception.reason}});
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
  const DnssecTrust trust = !state.probed ? DnssecTrust::not_known : state.trusted ? DnssecTrust::on : DnssecTrust::off;
  if (courier_.dnssec() != trust) cache_.clear();  // what was called secure, or was not, may be otherwise now
  courier_.set_dnssec(trust);
  dnssec_reason_ = state.reason;
}

// A look at what is known is all it takes: what is old is fetched anew.
void RemoteService::on(const StsRefresh& refresh, From, Fd) {
  if (mail::dns::is_askable(refresh.domain)) sts_.find(refresh.domain, [](const Result<StsFinding>&) {});
}

void RemoteService::on(const AdminRequest& request, Reply<AdminRequest> reply, From, Fd) {
  if (request.command != "remote status") return reply(AdminAnswer{"remote: no such command: " + text::printable(request.command), {}});
  const PoolStats pool = pool_.stats();
  const auto cache = cache_.stats();
  const nlohmann::json json = {{"deliveries", courier_.under_way()},
                               {"sessions", {{"open", pool.open}, {"idle", pool.idle}, {"waiting", pool.waiting}, {"opened", pool.opened}, {"reused", pool.reused}, {"failed", pool.failed}}},
                               {"dnssec", {{"trusted", courier_.dnssec() == DnssecTrust::on}, {"probed", courier_.dnssec() != DnssecTrust::not_known}, {"reason", text::printable(dnssec_reason_)}}},
                               {"dns_cache", {{"entries", cache.entries}, {"hits", cache.hits}, {"misses", cache.misses}}},
                               {"sts", {{"domains", sts_.size()}, {"fetching", sts_fetcher_.under_way()}}},
                               {"routes", courier_.rules().routes.size()},
                               {"authorities", authorities_.has_value()}};
  reply(AdminAnswer{{}, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)});
}

}  // namespace postern::remote
