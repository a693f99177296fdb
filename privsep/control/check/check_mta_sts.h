/// `posternctl check mta-sts`: a domain's policy fetched and judged as a sender would, from the command line to JSON.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "io/endpoint.h"
#include "io/loop.h"
#include "privsep/control/check/loop_answers.h"

namespace postern::check {

struct MtaStsOptions {
  io::Endpoint resolver;
  std::string domain;                                           ///< canonical
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";   ///< the authorities that a policy server is proved by
  std::uint16_t port = 443;                                     ///< of policy servers; only tests have another one
};

/// `text` as a canonical domain of A-labels; it may be internationalized. Errors: "check.usage".
Result<std::string> read_domain(std::string_view text);

/// What a check by hand shares: the loop, the DNS, and when all of it ends.
struct MtaStsCheck {
  io::Loop& loop;
  LoopAnswers& answers;
  SteadyTime until;
};
/// result: "pass" (a policy that names every MX), "fail" (announced, and not to be had or not met), "none" (not announced) or
/// "temperror" (the DNS does not answer); record, policy, mx and reason beside it.
nlohmann::json judge_mta_sts(const MtaStsCheck& check, const MtaStsOptions& options);

/// The judgement as one JSON object in text, in less than 30 seconds. Errors: "dns.setup".
Result<std::string> check_mta_sts(const MtaStsOptions& options);

}  // namespace postern::check
