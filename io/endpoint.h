/// An address with a port, and the few socket calls that know both.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/ip.h"
#include "base/result.h"
#include "base/unique.h"

namespace postern::io {

struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  std::string to_string() const;  ///< "192.0.2.1:25", "[2001:db8::1]:25"
  /// "ADDRESS:PORT" or "[ADDRESS]:PORT"; nothing else.
  static std::optional<Endpoint> parse(std::string_view text);
  auto operator<=>(const Endpoint&) const = default;
};

/// The kernel's form of `endpoint`; returns the length used in `out`.
socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& out);
/// nullopt for another family than AF_INET and AF_INET6. A v4-mapped address comes back as v4.
std::optional<Endpoint> from_sockaddr(const sockaddr_storage& address);

/// A listening TCP socket, non-blocking and close-on-exec; port 0 lets the kernel choose. v6 sockets hear v6 only.
/// Errors: "net.listen".
Result<Fd> listen_tcp(const Endpoint& at, int backlog);

/// Where `fd` is bound or connected from / to. Errors: "net.address".
Result<Endpoint> local_endpoint(int fd);
Result<Endpoint> peer_endpoint(int fd);

}  // namespace postern::io
