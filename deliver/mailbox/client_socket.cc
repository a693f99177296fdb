#include "deliver/mailbox/client_socket.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace postern::mailbox {

namespace {

/// An option of the socket level, or -1.
int option(const Fd& socket, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return ::getsockopt(socket.get(), SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

template <std::size_t n>
std::array<std::uint8_t, n> octets(const void* from) {
  std::array<std::uint8_t, n> out;
  std::memcpy(out.data(), from, n);
  return out;
}

}  // namespace

Result<IpAddress> address_of_client(const Fd& socket) {
  const int domain = option(socket, SO_DOMAIN);
  if (domain != AF_INET && domain != AF_INET6) return failure("client.kind", "not a socket of the internet");
  if (option(socket, SO_TYPE) != SOCK_STREAM || option(socket, SO_PROTOCOL) != IPPROTO_TCP || option(socket, SO_ACCEPTCONN) != 0)
    return failure("client.kind", "not a TCP connection");
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  // The kernel refuses this for a socket that is not connected yet or no longer.
  if (::getpeername(socket.get(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) return failure("client.state", "not connected");
  if (storage.ss_family == AF_INET && size >= sizeof(sockaddr_in))
    return IpAddress::v4(octets<4>(&reinterpret_cast<const sockaddr_in&>(storage).sin_addr));
  if (storage.ss_family == AF_INET6 && size >= sizeof(sockaddr_in6))
    return IpAddress::v6(octets<16>(&reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr)).unmapped();
  return failure("client.kind", "a peer without an address");
}

}  // namespace postern::mailbox
