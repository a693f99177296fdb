#include "privsep/resolver/ipc.h"

#include "base/text.h"
#include "privsep/dns_client.h"

namespace postern::resolver {

using namespace privsep;

namespace {
constexpr std::chrono::minutes kProbePeriod{60};
constexpr std::chrono::seconds kProbeRetry{30};  // while the last probe failed
constexpr std::chrono::seconds kFirstProbeRetry{2};  // while none has told anything
}  // namespace

ResolverService::ResolverService(Child& child) : child_(child), dispatch_(*this, child.peers), probe_timer_(child.loop) {
  state_.reason = "not probed yet";
}

Result<void> ResolverService::open() {
  io::StubOptions options;
  may_trust_ = child_.config.text("resolver.dnssec") == "upstream";
  for (const std::string& text : child_.config.list("resolver.upstreams")) {
    const auto endpoint = io::Endpoint::parse(text);
    if (!endpoint) return failure("resolver.upstream", text);
    // RFC 7672 §2.2: the AD bit means something only where nobody stands between us and the resolver.
    if (!endpoint->address.is_loopback()) may_trust_ = false;
    options.upstreams.push_back(*endpoint);
  }
  options.timeout = child_.config.seconds("resolver.timeout");
  options.trust_ad = may_trust_;
  TRY_ASSIGN(stub_, io::StubResolver::create(child_.loop, std::move(options)));
  mail::dns::CacheOptions cache;
  cache.max_entries = child_.config.number("resolver.cache_entries");
  cache_ = std::make_unique<mail::dns::CachingResolver>(*stub_, child_.clock, cache);
  return {};
}

void ResolverService::start() { probe(); }

void ResolverService::peer_came(From peer) {
  if (peer.role == Role::remote) child_.peers.tell_one(peer, state_);
}

void ResolverService::probe() {
  if (!may_trust_)
    return set_trust(false, child_.config.text("resolver.dnssec") == "upstream" ? "an upstream is not on loopback" : "switched off by configuration");
  const std::string& name = child_.config.text("resolver.probe_secure");
  const auto judged = [this](mail::dns::Security security) {
    const std::string& bogus = child_.config.text("resolver.probe_bogus");
    if (bogus.empty()) return judge_probe(security, nullptr);
    stub_->ask({bogus, mail::dns::Type::a}, [this, security](const mail::dns::Answer& answer) { judge_probe(security, &answer); });
  };
  if (name == ".") return stub_->probe_dnssec(judged);
  stub_->ask({name, mail::dns::Type::soa}, [judged](const mail::dns::Answer& answer) {
    judged(answer.status == mail::dns::Status::failure ? mail::dns::Security::unknown : answer.security);
  });
}

/// A resolver can be trusted when what is signed comes back as secure and what is wrongly signed does not come back at all.
void ResolverService::judge_probe(mail::dns::Security secure_name, const mail::dns::Answer* bogus_name) {
  // No answer is no verdict: whoever can keep answers back must not be able to switch DANE off.
  if (secure_name == mail::dns::Security::unknown) return not_told();
  if (secure_name != mail::dns::Security::secure) return set_trust(false, "the upstream does not say AD for a signed name");
  if (bogus_name != nullptr && bogus_name->status == mail::dns::Status::found) return set_trust(false, "the upstream answers a name with wrong signatures");
  set_trust(true, "");
}

void ResolverService::not_told() {
  if (!state_.probed) child_.log.warning("whether DNSSEC answers can be trusted is not known yet: mail that hangs on it waits", {{"why", "the probe has no answer"}});
  probe_timer_.start(state_.probed ? kProbeRetry : kFirstProbeRetry, [this] { probe(); });
}

void ResolverService::set_trust(bool trusted, std::string reason) {
  if (!state_.probed || state_.trusted != trusted || state_.reason != reason) {
    if (trusted)
      child_.log.notice("DNSSEC answers are trusted: DANE is on");
    else
      child_.log.warning("DNSSEC answers are not trusted: DANE is off", {{"why", reason}});
  }
  state_.probed = true;
  state_.trusted = trusted;
  state_.reason = std::move(reason);
  child_.metrics.gauge("dnssec_trusted", trusted ? 1 : 0);
  child_.peers.tell_all(Role::remote, state_);
  probe_timer_.start(trusted || !may_trust_ ? std::chrono::milliseconds(kProbePeriod) : std::chrono::milliseconds(kProbeRetry), [this] { probe(); });
}

void ResolverService::on(const DnsQuery& query, Reply<DnsQuery> reply, From, Fd) {
  if (!mail::dns::is_askable(query.name)) {
    mail::dns::Answer none;
    none.status = mail::dns::Status::none;
    none.nxdomain = true;
    return reply(to_message(query.type, none));
  }
  child_.metrics.count("dns_questions_total");
  cache_->ask({query.name, query.type}, [this, reply, type = query.type](const mail::dns::Answer& answer) {
    mail::dns::Answer said = answer;
    // Until the probe has passed, no answer counts as proof.
    if (!state_.trusted && said.security == mail::dns::Security::secure) said.security = mail::dns::Security::insecure;
    if (said.status == mail::dns::Status::failure) child_.metrics.count("dns_failures_total");
    reply(to_message(type, said));
  });
}

}  // namespace postern::resolver
