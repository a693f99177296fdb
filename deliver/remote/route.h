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
#include "mail/dns.h"
#include "privsep/envelope.h"
#include "privsep/static_route.h"

namespace postern::remote {

using privsep::Login;
using privsep::StaticRoute;
using privsep::parse_route;

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
