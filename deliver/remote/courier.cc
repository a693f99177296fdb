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
  std::optional<TlsPlan> tls;        // for the current host
  bool reached = false;              // somebody answered a connection, or a host was passed over for its protection
  std::optional<SmtpReply> obstacle; // the most hopeful one so far
  std::string server, tls_text;
  DeliveryResult result;

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

std::string_view tls_label(std::string_view tls) {
  const std::size_t blank = tls.rfind(' ');
  return tls.empty() || blank == std::string_view::npos ? "clear" : tls.substr(blank + 1);
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
  find_way(errand);
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
    if (!errand->tls) {
      const auto& request = errand->job->request;
      auto chosen = choose_tls({rules_.tls, dnssec_trusted_, request.require_tls, request.tls_optional, request.destination, host}, errand->facts);
      if (const auto* questions = std::get_if<mail::dns::Questions>(&chosen)) return ask(errand, *questions, &Courier::try_next);
      if (const auto* why = std::get_if<SmtpReply>(&chosen)) {
        errand->reached = true;
        errand->meet(*why);
        if (why->enhanced == "4.7.5") errand->result.tls_observations.push_back("tlsa dnssec-invalid " + host.name);
        skip_host(*errand);
        continue;
      }
      errand->tls = std::get<TlsPlan>(std::move(chosen));
    }
    ServerPlan plan{host.name, {host.addresses[errand->address], host.port}, *errand->tls, host.login};
    ++errand->address;
    return pool_.send(std::move(plan), errand->job, [this, errand](Attempt attempt) { attempted(errand, std::move(attempt)); });
  }
  give_up(errand);
}

void Courier::skip_host(Errand& errand) {
  ++errand.host;
  errand.address = 0;
  errand.tls.reset();
}

void Courier::attempted(const ErrandPtr& errand, Attempt attempt) {
  errand->server = attempt.server;
  errand->tls_text = attempt.tls;
  if (!attempt.opened) {
    const NotOpened& why = attempt.obstacle;
    if (!why.observation.empty() && errand->result.tls_observations.size() < limits::kAddresses) {
      const std::string policy = errand->tls->records.empty() ? "no-policy-found " : "tlsa ";
      errand->result.tls_observations.push_back(policy + why.observation + " " + errand->route.hosts[errand->host].name);
    }
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
    errand->meet(attempt.transfer.replies.empty() ? SmtpReply{451, "4.4.2", "the connection was lost"} : attempt.transfer.replies.front());
    return try_next(errand);
  }
  for (SmtpReply& reply : attempt.transfer.replies) errand->result.outcomes.push_back({std::move(reply), attempt.server, attempt.tls, !attempt.takes_dsn});
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
  log_.info("remote delivery", {{"id", request.id}, {"destination", request.destination}, {"server", errand->server}, {"tls", errand->tls_text},
                                {"recipients", request.targets.size()}, {"sent", sent}, {"deferred", deferred},
                                {"reply", std::to_string(first.code) + " " + first.enhanced + " " + first.text}});
  --under_way_;
  const auto done = std::move(errand->done);
  done(std::move(errand->result));
  if (under_way_ == 0 && idle_) idle_();
}

}  // namespace postern::remote
