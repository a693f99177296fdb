/// `posternctl check iprev`: does an address have a name that leads back to it?
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "io/endpoint.h"
#include "mail/auth/iprev.h"

namespace postern::check {

struct IprevOptions {
  io::Endpoint resolver;
  IpAddress client;
};

/// The verdict as one JSON object in text: {"result","name","reason"}. Errors: "dns.setup".
Result<std::string> check_iprev(const IprevOptions& options);

/// The object that `check iprev` prints and `check message` holds as "iprev".
nlohmann::json to_json(const mail::iprev::Verdict& verdict);

}  // namespace postern::check
