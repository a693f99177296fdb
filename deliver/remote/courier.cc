#include "deliver/remote/courier.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "deliver/remote/limits.h"

namespace postern::remote {

using privsep::DeliveryResult;
using privsep::Outcome;
using privsep::SmtpReply;

/// One delivery and how far it has come.
struct Courier::Errand {
  std::shared_ptr<Job> job = std::make_shared<Job>();
  Done done;
  std::uint64_t seed = 0;
  mail::dns::Facts facts;
  std::size_t asked_rounds = 0;
  std::size_t answers_missing = 0;
  Route route;
  std::size_t host = 0, address = 0;
  TlsDemand demand;                  // of the configuration
  DnssecTrust dnssec = DnssecTrust::not_known;  // when it began: facts learnt before a verdict are not read after it
  std::optional<TlsPlan> tls;        // for the current host
  std::optional<StsFinding> sts;     // of the domain, once it was needed
  bool reached = false;              // somebody answered a connection, or a host was passed over for its protection
  std::optional<SmtpReply> obstacle; // the most hopeful one so far
  std::string server, tls_text;      // tls_text: as Outcome::tls
  DeliveryResult result;

  std::string domain() const { return mail::dns::canonical(job->request.destination); }
  const StsEntry* sts_in_force() const {
    return sts && sts->entry && sts->entry->policy.mode != mail::mta_sts::Mode::none ? sts->entry.get() : nullptr;
  }
  /// Behind what the session says of its TLS: the policy that was looked at.
  std::string described(std::string_view session_tls) const {
    const StsEntry* entry = sts_in_force();
    if (entry == nullptr) return std::string(session_tls);
    return std::string(session_tls.empty() ? "clear" : session_tls) + " sts=" + std::string(name_of(entry->policy.mode)) + "/" + entry->id;
  }
  /// Likewise where no session was had.
  std::string refused_by() const { return sts_in_force() != nullptr ? described("none") : std::string(); }
  void meet(const SmtpReply& reply) {
    // While one way may still open later, the message is not given up.
    if (!obstacle || obstacle->is_permanent() || !reply.is_permanent()) obstacle = reply;
  }
};

namespace {

constexpr std::size_t kAskRounds = limits::kRouteRounds + 3 * limits::kMxHosts;  // of a route, then two TLSA names a host and a margin

std::string_view label_of(const SmtpReply& reply) { return reply.is_success() ? "sent" : reply.is_permanent() ? "failed" : "deferred"; }

std::string_view label_of(Obstacle obstacle) {
  switch (obstacle) {
    case Obstacle::unreachable: return "why=\"unreachable\"";
    case Obstacle::refused: return "why=\"refused\"";
    case Obstacle::tls:
    case Obstacle::handshake: return "why=\"tls\"";
    case Obstacle::attack: return "why=\"attack\"";
  }
  return {};
}

/// How the server was recognised: the third word of Outcome::tls.
std::string_view tls_label(std::string_view tls) {
  const auto words = text::split(tls, ' ');
  return words.size() < 3 ? "clear" : words[2];
}

}  // namespace

void Courier::deliver(const privsep::RemoteDelivery& request, const Fd& body, Done done) {
  ++under_way_;
  const auto errand = std::make_shared<Errand>();
  errand->done = std::move(done);
  Job& job = *errand->job;
  job.request = request;
  const std::size_t targets = std::max<std::size_t>(request.targets.size(), 1);
  job.text_bytes = std::clamp(limits::kResultTextBytes / targets, limits::kLeastTextBytes, limits::kReplyTextBytes);
  if (request.targets.size() > limits::kTargets) return refuse(errand, {451, "4.5.3", "more recipients than one delivery may have"});
  auto content = privsep::AssembledContent::open(request.content, body, rules_.largest_body);
  if (!content) return refuse(errand, {451, "4.3.0", "the message cannot be read: " + text::printable(content.error().message)});
  job.content = *std::move(content);
  job.facts = examine(*job.content);
  std::array<std::byte, sizeof errand->seed> random;
  entropy_.fill(random);
  std::copy(random.begin(), random.end(), reinterpret_cast<std::byte*>(&errand->seed));
  const WallTime now = clock_.now();
  errand->demand = rules_.tls.demand(request.destination, request.reverse_path, now);
  errand->dnssec = dnssec_;
  name_lapsed(request, now);
  find_way(errand);
}

/// An exception past its day counts no longer; whoever wrote it should hear so, once.
void Courier::name_lapsed(const privsep::RemoteDelivery& request, WallTime now) {
  for (const auto* exception : rules_.tls.lapsed(request.destination, now))
    if (named_.insert(exception->row.domain + exception->last_day).second)
      log_.warning("a TLS exception is past its day and counts no longer", {{"domain", exception->row.domain}, {"last_day", exception->last_day},
                                                                            {"reason", exception->reason}, {"id", request.id}});
}

void Courier::find_way(const ErrandPtr& errand) {
  const RouteQuery query{errand->job->request.destination, rules_.own_name, rules_.routes, rules_.port, rules_.ipv6, errand->seed};
  auto found = find_route(query, errand->facts);
  if (const auto* questions = std::get_if<mail::dns::Questions>(&found)) return ask(errand, *questions, &Courier::find_way);
  if (const auto* refusal = std::get_if<SmtpReply>(&found)) return refuse(errand, *refusal);
  errand->route = std::get<Route>(std::move(found));
  try_next(errand);
}

/// Asks all at once and goes on when the last answer is there.
void Courier::ask(const ErrandPtr& errand, const mail::dns::Questions& questions, void (Courier::*next)(const ErrandPtr&)) {
  if (++errand->asked_rounds > kAskRounds) return refuse(errand, {451, "4.4.3", "the DNS leads nowhere"});
  errand->answers_missing = questions.size() + 1;  // one for this call itself: answers may come before ask() returns
  const auto answered = [this, errand, next] {
    if (--errand->answers_missing == 0) (this->*next)(errand);
  };
  for (const auto& question : questions)
    resolver_.ask(question, [errand, question, answered](const mail::dns::Answer& answer) {
      errand->facts.add(question, answer);
      answered();
    });
  answered();
}

/// Tries the current address; hosts whose protection cannot be known or had are passed over.
void Courier::try_next(const ErrandPtr& errand) {
  while (errand->host < errand->route.hosts.size()) {
    const Host& host = errand->route.hosts[errand->host];
    if (errand->address == host.addresses.size()) {
      skip_host(*errand);
      continue;
    }
    if (!errand->tls && !protect(errand)) return;
    if (!errand->tls) continue;  // passed over
    ServerPlan plan{host.name, {host.addresses[errand->address], host.port}, *errand->tls, host.login};
    ++errand->address;
    return pool_.send(std::move(plan), errand->job, [this, errand](Attempt attempt) { attempted(errand, std::move(attempt)); });
  }
  give_up(errand);
}

/// Chooses the protection of the current host, or passes it over. False: something must be learnt first, and try_next() is called again.
bool Courier::protect(const ErrandPtr& errand) {
  const auto& request = errand->job->request;
  const Host& host = errand->route.hosts[errand->host];
  const StsEntry* policy = errand->sts_in_force();
  StsWord word;
  if (policy != nullptr) word = {policy->policy.mode, mail::mta_sts::allows(policy->policy, host.name)};
  const TlsQuery query{errand->demand, errand->dnssec, request.require_tls, request.tls_optional, request.destination, host,
                       errand->route.by_mx, errand->sts ? &word : nullptr};
  auto chosen = choose_tls(query, errand->facts);
  if (const auto* questions = std::get_if<mail::dns::Questions>(&chosen)) return ask(errand, *questions, &Courier::try_next), false;
  if (std::holds_alternative<NeedsSts>(chosen)) return ask_sts(errand), false;
  if (const auto* refused = std::get_if<HostRefused>(&chosen)) {
    errand->reached = true;
    errand->meet(refused->reply);
    errand->tls_text = errand->refused_by();
    privsep::TlsUse passed_over;
    passed_over.host = host.name;
    passed_over.wanted = refused->wanted;
    passed_over.dane = refused->dane;
    passed_over.obstacle = refused->reply;
    remember(*errand, std::move(passed_over));
    if (!refused->observation.empty()) observe(*errand, std::string(refused->observation) + " " + host.name);
    skip_host(*errand);
    return true;
  }
  errand->tls = std::get<TlsPlan>(std::move(chosen));
  return true;
}

void Courier::ask_sts(const ErrandPtr& errand) {
  sts_.find(errand->domain(), [this, errand](Result<StsFinding> found) {
    // What may be in force and cannot be learnt must not be ignored.
    if (!found) return refuse(errand, {451, "4.3.0", "the MTA-STS policy of " + errand->domain() + " cannot be learnt just now"});
    errand->sts = *std::move(found);
    if (!errand->sts->failure.empty()) observe(*errand, "sts " + errand->sts->failure);
    try_next(errand);
  });
}

/// Notes something for the report to the domain (RFC 8460): of its own servers only.
void Courier::observe(Errand& errand, std::string_view policy_and_result) {
  if (!errand.route.by_mx || errand.job->request.tls_optional || errand.result.tls_observations.size() == limits::kAddresses) return;
  errand.result.tls_observations.push_back(errand.domain() + " " + std::string(policy_and_result));
}

/// RFC 8460 §4.3: one observation a session, of the policy that decided over it; of a failure with the addresses of §4.4 (receiving-ip, sending-mta-ip).
void Courier::observe_attempt(Errand& errand, const Attempt& attempt) {
  const TlsPlan& plan = *errand.tls;
  const std::string host = " " + errand.route.hosts[errand.host].name + " " + attempt.addresses;
  const StsEntry* policy = errand.sts_in_force();
  const bool dane = plan.level == TlsLevel::dane || !plan.names.empty();
  const std::string kind = dane ? "tlsa " : policy != nullptr ? "sts " : "no-policy-found ";
  if (!attempt.opened) {
    if (!attempt.obstacle.observation.empty()) observe(errand, kind + attempt.obstacle.observation + host);
    return;
  }
  if (!attempt.first) return;
  // In "testing" a host that the policy does not name is used all the same; that is what there is to report.
  if (!dane && policy != nullptr && !mail::mta_sts::allows(policy->policy, errand.route.hosts[errand.host].name)) return observe(errand, "sts validation-failure" + host);
  if (!attempt.doubt.empty()) return observe(errand, kind + attempt.doubt + host);
  observe(errand, kind + "success");
}

void Courier::skip_host(Errand& errand) {
  ++errand.host;
  errand.address = 0;
  errand.tls.reset();
}

/// Keeps what became of one server, for the log and the message's history.
void Courier::remember(Errand& errand, privsep::TlsUse use) {
  if (!errand.demand.exception.empty()) use.wanted += " (exception " + errand.demand.exception + ")";
  if (use.obstacle.code != 0) {
    shorten(use.obstacle, limits::kUseTextBytes);
    log_.info("server passed over", {{"id", errand.job->request.id}, {"mx", use.host}, {"address", use.address}, {"wanted", use.wanted}, {"got", use.got},
                                     {"dane", use.dane}, {"certificate_key", use.certificate_key},
                                     {"reply", std::to_string(use.obstacle.code) + " " + use.obstacle.enhanced + " " + use.obstacle.text}});
  }
  if (const StsEntry* entry = errand.sts_in_force()) use.mta_sts = std::string(name_of(entry->policy.mode)) + "/" + entry->id;
  auto& uses = errand.result.uses;
  if (uses.size() == limits::kUses) uses.pop_back();  // the last one counts
  uses.push_back(std::move(use));
}

void Courier::attempted(const ErrandPtr& errand, Attempt attempt) {
  errand->server = attempt.server;
  errand->tls_text = attempt.opened ? errand->described(attempt.tls) : errand->refused_by();
  observe_attempt(*errand, attempt);
  if (!attempt.opened) attempt.use.obstacle = attempt.obstacle.reply;
  else if (attempt.transfer.unanswered) attempt.use.obstacle = attempt.transfer.replies.empty() ? SmtpReply{451, "4.4.2", "the connection was lost"} : attempt.transfer.replies.front();
  remember(*errand, std::move(attempt.use));
  if (!attempt.opened) {
    const NotOpened& why = attempt.obstacle;
    metrics_.count("remote_connections_failed_total", label_of(why.obstacle));
    if (why.obstacle == Obstacle::attack) {
      log_.warning("bytes put into a connection", {{"id", errand->job->request.id}, {"server", attempt.server}, {"reply", why.reply.text}});
      return refuse(errand, why.reply);
    }
    if (why.obstacle != Obstacle::unreachable) errand->reached = true;
    errand->meet(why.reply);
    return try_next(errand);
  }
  // Lost before MAIL was answered: nothing has happened, the next address may do better.
  if (attempt.transfer.unanswered) {
    errand->reached = true;
    errand->meet(errand->result.uses.back().obstacle);
    return try_next(errand);
  }
  for (SmtpReply& reply : attempt.transfer.replies) errand->result.outcomes.push_back({std::move(reply), attempt.server, errand->tls_text, !attempt.takes_dsn});
  finish(errand);
}

void Courier::give_up(const ErrandPtr& errand) {
  errand->result.host_dead = !errand->reached;
  refuse(errand, errand->obstacle.value_or(SmtpReply{451, "4.4.1", "no address to try"}));
}

void Courier::refuse(const ErrandPtr& errand, const SmtpReply& reply) {
  SmtpReply cut = reply;
  shorten(cut, errand->job->text_bytes);
  errand->result.outcomes.assign(errand->job->request.targets.size(), Outcome{cut, errand->server, errand->tls_text, false});
  finish(errand);
}

void Courier::finish(const ErrandPtr& errand) {
  const auto& request = errand->job->request;
  std::size_t sent = 0, deferred = 0;
  for (const Outcome& outcome : errand->result.outcomes) {
    if (outcome.reply.is_success()) ++sent;
    else if (!outcome.reply.is_permanent()) ++deferred;
  }
  const SmtpReply none;
  const SmtpReply& first = errand->result.outcomes.empty() ? none : errand->result.outcomes.front().reply;
  metrics_.count("remote_deliveries_total", "result=\"" + std::string(label_of(first)) + "\"");
  if (sent > 0) metrics_.count("remote_sent_total", "tls=\"" + std::string(tls_label(errand->tls_text)) + "\"");
  const privsep::TlsUse nowhere;
  const privsep::TlsUse& use = errand->result.uses.empty() ? nowhere : errand->result.uses.back();
  log_.info("remote delivery", {{"id", request.id}, {"destination", request.destination}, {"server", errand->server}, {"tls", errand->tls_text},
                                {"wanted", use.wanted}, {"got", use.got}, {"key_exchange", use.key_exchange}, {"forward_secrecy", use.forward_secrecy ? "yes" : "no"},
                                {"certificate_key", use.certificate_key}, {"dane", use.dane}, {"mta_sts", use.mta_sts},
                                {"recipients", request.targets.size()}, {"sent", sent}, {"deferred", deferred},
                                {"reply", std::to_string(first.code) + " " + first.enhanced + " " + first.text}});
  --under_way_;
  const auto done = std::move(errand->done);
  done(std::move(errand->result));
  if (under_way_ == 0 && idle_) idle_();
}

}  // namespace postern::remote
