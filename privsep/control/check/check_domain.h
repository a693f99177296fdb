/// `posternctl check domain`: the records a mail domain needs, one by one: what is there, whether it does, what would be right.
///
/// Each check is a row of a table in check_domain.cc; all of it is looked up from outside, as other servers see it.
#pragma once

#include <string>

#include "base/result.h"
#include "io/endpoint.h"

namespace postern::check {

struct DomainOptions {
  io::Endpoint resolver{IpAddress::v4({127, 0, 0, 1}), 53};
  std::string domain;                                          ///< canonical
  std::string ca_file = "/etc/ssl/certs/ca-certificates.crt";  ///< for MTA-STS
  std::uint16_t policy_port = 443;                             ///< likewise; only tests have another one
};

/// {"domain", "result": the worst of all, "checks": [{"name", "result": "ok|warn|fail", "found": […], "reason", "advice"}]}, in less than
/// 60 seconds. Errors: "dns.setup".
Result<std::string> check_domain(const DomainOptions& options);

}  // namespace postern::check
