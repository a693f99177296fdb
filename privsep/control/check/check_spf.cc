#include "privsep/control/check/check_spf.h"

#include <nlohmann/json.hpp>

#include "privsep/control/check/dns_driver.h"
#include "privsep/control/check/json.h"

namespace postern::check {

nlohmann::json to_json(const mail::spf::Verdict& verdict) {
  return {{"result", mail::spf::name_of(verdict.result)},
          {"explanation", verdict.explanation},
          {"lookups", verdict.lookups},
          {"void_lookups", verdict.void_lookups},
          {"mechanism", verdict.mechanism},
          {"identity", verdict.identity == mail::spf::Identity::helo ? "helo" : "mailfrom"},
          {"domain", verdict.domain},
          {"reason", verdict.reason}};
}

Result<std::string> check_spf(const SpfOptions& options) {
  const SystemClock clock;
  const SteadyTime deadline = clock.steady() + kCheckTime;
  TRY_ASSIGN(auto resolver, io::SyncResolver::create({.upstream = options.resolver}));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(clock.now().time_since_epoch());
  const mail::spf::Query query{.client = options.client,
                               .helo = options.helo,
                               .mail_from = options.mail_from,
                               .time = static_cast<std::uint64_t>(seconds.count())};
  mail::dns::Facts facts;
  const auto judge = [&](const mail::dns::Facts& known) { return mail::spf::check_host(query, known); };
  return one_line(to_json(drive(judge, facts, answers_from(resolver, deadline))));
}

}  // namespace postern::check
