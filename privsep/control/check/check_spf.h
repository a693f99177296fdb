/// `posternctl check spf`: one SPF check, from the command line to JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "io/endpoint.h"
#include "mail/auth/spf.h"

namespace postern::check {

struct SpfOptions {
  io::Endpoint resolver;
  IpAddress client;
  std::string helo;
  std::string mail_from;  ///< empty: the null sender
};

/// The verdict as one JSON object in text. Errors: "dns.setup".
Result<std::string> check_spf(const SpfOptions& options);

/// The object that `check spf` prints and `check message` holds as "spf".
nlohmann::json to_json(const mail::spf::Verdict& verdict);

}  // namespace postern::check
