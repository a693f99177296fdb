/// `posternctl check spf`: one SPF check, from the command line to JSON.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "io/endpoint.h"
#include "mail/auth/spf.h"

namespace postern::check {

/// A check by hand ends by then whatever the name servers do; the contract is 20 seconds.
inline constexpr std::chrono::seconds kCheckTime{18};

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

/// `object` on one line; bytes that are not UTF-8 are replaced.
std::string one_line(const nlohmann::json& object);

}  // namespace postern::check
