/// Whose connection a descriptor is, by the kernel's word.
///
/// Trust: the listener hands over the client's socket to prove that the client may relay. The listener is not believed: the socket must be an
/// established TCP connection, and its address is asked from the kernel. A listener can make no such socket, it can only accept.
#pragma once

#include "base/ip.h"
#include "base/result.h"
#include "base/unique.h"

namespace postern::mailbox {

/// The peer's address, v4 where it is v4 in v6. Errors: "client.kind" (not a TCP socket over IP), "client.state" (not connected).
Result<IpAddress> address_of_client(const Fd& socket);

}  // namespace postern::mailbox
