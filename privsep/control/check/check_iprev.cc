#include "privsep/control/check/check_iprev.h"

#include <nlohmann/json.hpp>

#include "privsep/control/check/dns_driver.h"
#include "privsep/control/check/json.h"

namespace postern::check {

nlohmann::json to_json(const mail::iprev::Verdict& verdict) {
  return {{"result", mail::iprev::name_of(verdict.result)}, {"name", verdict.name}, {"reason", verdict.reason}};
}

Result<std::string> check_iprev(const IprevOptions& options) {
  const SteadyTime deadline = SystemClock().steady() + kCheckTime;
  TRY_ASSIGN(auto resolver, io::SyncResolver::create({.upstream = options.resolver}));
  mail::dns::Facts facts;
  const auto judge = [&](const mail::dns::Facts& known) { return mail::iprev::check(options.client, known); };
  return one_line(to_json(drive(judge, facts, answers_from(resolver, deadline))));
}

}  // namespace postern::check
