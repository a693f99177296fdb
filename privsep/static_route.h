/// The rows of relay.routes: where mail for a domain goes without asking the DNS. Read by the parent, which refuses a file with a bad
/// one, and by the process that sends.
///
/// Trust: the administrator's word. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::privsep {

/// The name and password of a route (RFC 4954).
struct Login {
  std::string user;
  Secret password;
};

/// A row of relay.routes.
struct StaticRoute {
  std::string domain;                   ///< canonical; "*" for all that have no row of their own
  std::string host;                     ///< a name or an address
  std::uint16_t port = 0;
  std::shared_ptr<const Login> login;   ///< null: none
};

/// "DOMAIN=HOST[:PORT]" or "DOMAIN=USER:PASSWORD@HOST[:PORT]"; HOST may be a name, 192.0.2.1 or [2001:db8::1].
/// Errors: "route.syntax" (never quotes the password).
Result<StaticRoute> parse_route(std::string_view text, std::uint16_t port);

struct HostPort {
  std::string host;  ///< a canonical name, or an address
  std::uint16_t port = 0;
};

/// "HOST", "HOST:PORT", "[HOST]", "[HOST]:PORT"; in brackets also "IPv6:ADDRESS" (RFC 5321 §4.1.3). `port`: where none is named.
std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t port);

}  // namespace postern::privsep
