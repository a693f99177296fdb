/// `posternctl check dane`: one server judged by its TLSA records, from the command line to JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "io/endpoint.h"

namespace postern::check {

struct DaneOptions {
  io::Endpoint resolver;
  std::string trust_anchor;  ///< zone-file lines; empty: the AD bit counts, and only from a resolver on loopback (RFC 7672 §2.2)
  std::string host;          ///< canonical
  std::uint16_t port = 25;
};

/// Reads "HOST" or "HOST:PORT" into `options`; HOST may be internationalized. Errors: "dane.usage".
Result<void> read_target(std::string_view text, DaneOptions& options);

/// Looks up, connects, judges; the verdict as one JSON object in text, in less than 30 seconds. Errors: "dns.setup".
Result<std::string> check_dane(const DaneOptions& options);

}  // namespace postern::check
