/// Opens an SMTP session as far as the TLS handshake and brings the certificates home. Sends no mail.
///
/// Trust: the server is a stranger. What it says is bounded, shown printable only, and judged by the caller.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "io/endpoint.h"
#include "io/loop.h"

namespace postern::check {

enum class ProbeEnd : std::uint8_t {
  tls = 1,          ///< the handshake is done: `chain_pem`
  no_starttls = 2,  ///< not offered, or refused with a reply
  handshake = 3,    ///< STARTTLS was accepted, TLS failed
  unreachable = 4,  ///< no connection, no SMTP, or out of time: nothing is known about the server's TLS
};

struct ProbeResult {
  ProbeEnd end = ProbeEnd::unreachable;
  std::string detail = {};     ///< in words; quotes the server printable
  std::string chain_pem = {};  ///< leaf first, unverified
  std::string version = {}, cipher = {};
};

struct ProbeOptions {
  io::Endpoint to;
  std::string server_name;  ///< for SNI; empty for none
  std::string own_name;     ///< for EHLO
  std::chrono::milliseconds time{8000};  ///< for all of it
};

/// Runs `loop` until the probe has ended.
ProbeResult probe_starttls(io::Loop& loop, const ProbeOptions& options);

}  // namespace postern::check
