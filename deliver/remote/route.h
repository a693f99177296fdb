/// Where mail for a destination goes: static routes first, then the DNS as RFC 5321 §5.1 says. Pure and restartable: what it misses
/// it asks for.
///
/// Trust: records were written by strangers; hosts and addresses are bounded (limits.h). Static routes are the administrator's word.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/secret.h"
#include "mail/dns.h"
#include "privsep/envelope.h"

namespace postern::remote {

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

struct RouteQuery {
  std::string_view destination;         ///< a domain, an address literal, or "[host]:port"
  std::string_view own_name;            ///< our host name: mail is not sent to ourselves (RFC 5321 §5.1)
  const std::vector<StaticRoute>& statics;
  std::uint16_t port = 25;
  bool ipv6 = true;
  std::uint64_t seed = 0;               ///< orders hosts of one preference (RFC 5321 §5.1: at random)
};

struct Host {
  std::string name;                     ///< of the server, or its address
  std::uint16_t port = 25;
  std::vector<IpAddress> addresses;     ///< v6 before v4; may be empty
  std::shared_ptr<const Login> login;
  bool listed_securely = false;         ///< the administrator or a DNSSEC-proved MX names it
  bool found_securely = false;          ///< every answer with an address of it was proved
  std::string canonical_name;           ///< the end of its CNAME chain; `name` where there is none
};

struct Route {
  std::vector<Host> hosts;              ///< in the order to be tried; at least one with an address
  bool by_mx = false;                   ///< the domain's own servers, as the DNS names them: its policies apply
};

/// The route, the questions to answer first, or why there is none: 550 5.1.2 (no such domain), 556 5.1.10 (null MX), 550 5.4.4 (its
/// hosts have no address), 554 5.4.6 (it leads to ourselves), 451 4.4.3 (the DNS does not answer).
std::variant<Route, mail::dns::Questions, privsep::SmtpReply> find_route(const RouteQuery& query, const mail::dns::Facts& facts);

}  // namespace postern::remote
