#include "privsep/static_route.h"

#include "base/ip.h"
#include "base/text.h"
#include "mail/dns.h"

namespace postern::privsep {

std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t port) {
  std::string_view host = text, rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (text::istarts_with(host, "IPv6:")) host.remove_prefix(5);
  } else if (const std::size_t colon = text.find(':'); colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  HostPort out{mail::dns::canonical(host), port};
  if (!rest.empty()) {
    const auto number = rest.starts_with(':') ? text::parse_uint(rest.substr(1), 65535) : std::nullopt;
    if (!number || *number == 0) return std::nullopt;
    out.port = static_cast<std::uint16_t>(*number);
  }
  if (!IpAddress::parse(out.host) && !mail::dns::is_askable(out.host)) return std::nullopt;
  return out;
}

Result<StaticRoute> parse_route(std::string_view text, std::uint16_t port) {
  StaticRoute route;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return failure("route.syntax", "no '=' in a route");
  route.domain = mail::dns::canonical(text::trim(text.substr(0, equals)));
  if (route.domain != "*" && !mail::dns::is_askable(route.domain)) return failure("route.syntax", "not a domain: " + text::printable(route.domain));
  std::string_view place = text::trim(text.substr(equals + 1));
  if (const std::size_t at = place.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = place.substr(0, at);
    place.remove_prefix(at + 1);
    const std::size_t colon = login.find(':');
    // RFC 4616 §2: both are there, and hold no NUL.
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == login.size() || login.find('\0') != std::string_view::npos)
      return failure("route.syntax", "not USER:PASSWORD in the route of " + text::printable(route.domain));
    route.login = std::make_shared<const Login>(Login{std::string(login.substr(0, colon)), Secret(std::string(login.substr(colon + 1)))});
  }
  const auto parsed = parse_host_port(place, port);
  if (!parsed) return failure("route.syntax", "not HOST:PORT in the route of " + text::printable(route.domain));
  route.host = parsed->host;
  route.port = parsed->port;
  return route;
}

}  // namespace postern::privsep
