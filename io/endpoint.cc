#include "io/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace postern::io {

std::string Endpoint::to_string() const {
  const std::string host = address.to_string();
  return (address.is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = text::parse_uint(text.substr(colon + 1), 65535);
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto address = IpAddress::parse(host);
  if (!port || !address || address->is_v6() != bracketed) return std::nullopt;
  return Endpoint{*address, static_cast<std::uint16_t>(*port)};
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  const std::string_view octets = endpoint.address.octets();
  if (endpoint.address.is_v6()) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, octets.data(), octets.size());
    std::memcpy(&out, &v6, sizeof v6);
    return sizeof v6;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(endpoint.port);
  std::memcpy(&v4.sin_addr, octets.data(), octets.size());
  std::memcpy(&out, &v4, sizeof v4);
  return sizeof v4;
}

std::optional<Endpoint> from_sockaddr(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    std::array<std::uint8_t, 4> octets;
    std::memcpy(octets.data(), &v4.sin_addr, octets.size());
    return Endpoint{IpAddress::v4(octets), ntohs(v4.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    std::array<std::uint8_t, 16> octets;
    std::memcpy(octets.data(), &v6.sin6_addr, octets.size());
    return Endpoint{IpAddress::v6(octets).unmapped(), ntohs(v6.sin6_port)};
  }
  return std::nullopt;
}

Result<Fd> listen_tcp(const Endpoint& at, int backlog) {
  const auto fail = [&](const char* what) {
    return failure("net.listen", std::string(what) + " " + at.to_string() + ": " + std::strerror(errno));
  };
  Fd fd(::socket(at.address.is_v6() ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail("socket");
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) return fail("SO_REUSEADDR");
  if (at.address.is_v6() && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) return fail("IPV6_V6ONLY");
  // Accepted sockets inherit it: a call less for each client.
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) return fail("TCP_NODELAY");
  sockaddr_storage address;
  const socklen_t length = to_sockaddr(at, address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return fail("bind");
  if (::listen(fd.get(), backlog) != 0) return fail("listen");
  return fd;
}

namespace {

Result<Endpoint> endpoint_of(int fd, int (*get)(int, sockaddr*, socklen_t*) noexcept) {
  sockaddr_storage address;
  socklen_t length = sizeof address;
  if (get(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return failure("net.address", std::strerror(errno));
  const auto endpoint = from_sockaddr(address);
  if (!endpoint) return failure("net.address", "not an internet socket");
  return *endpoint;
}

}  // namespace

Result<Endpoint> local_endpoint(int fd) {
  return endpoint_of(fd, [](int f, sockaddr* a, socklen_t* l) noexcept { return ::getsockname(f, a, l); });
}
Result<Endpoint> peer_endpoint(int fd) {
  return endpoint_of(fd, [](int f, sockaddr* a, socklen_t* l) noexcept { return ::getpeername(f, a, l); });
}

}  // namespace postern::io
