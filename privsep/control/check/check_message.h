/// `posternctl check message`: a whole message judged as the daemon would, from the command line to JSON.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/ip.h"
#include "base/result.h"
#include "io/endpoint.h"
#include "mail/auth/dmarc_record.h"

namespace postern::check {

struct MessageOptions {
  io::Endpoint resolver;
  IpAddress client;
  std::string helo;
  std::string mail_from;            ///< empty: the null sender
  std::string authserv_id;
  std::optional<WallTime> at;       ///< the time for t= and x=; absent: now
  mail::dmarc::Standard standard = mail::dmarc::Standard::rfc9989;
  std::string file;
};

/// The verdict as one JSON object in text (DESIGN §8). Errors: "check.file", "dns.setup", "orgdomain.list", header.*.
Result<std::string> check_message(const MessageOptions& options);

}  // namespace postern::check
