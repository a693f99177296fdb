/// A frame on a channel: {u16 number, u16 zero, u32 request} and the payload, one SOCK_SEQPACKET datagram, at most one descriptor.
///
/// Trust: none. check_frame() is what stands between a peer and every handler; it is pure and has a fuzz target.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique.h"
#include "privsep/row.h"

namespace postern::privsep {

inline constexpr std::size_t kFrameHeaderBytes = 8;
inline constexpr std::size_t kFrameBytes = 1024 * 1024;   ///< no row may be larger; the receive buffer's size
inline constexpr int kSocketBufferBytes = 8 * 1024 * 1024;  ///< of each channel, both directions

std::string make_frame(const Row& row, std::uint32_t request, std::string_view payload);

struct FrameView {  ///< views into the checked bytes
  const Row* row = nullptr;
  std::uint32_t request = 0;
  std::string_view payload;
};

struct Receiving {
  Role self;
  Role peer;
  bool locked;  ///< whether the receiver is past its start (Phase)
};

/// sender × type × size × descriptor × phase. Errors: "ipc.short", "ipc.unknown", "ipc.sender", "ipc.receiver", "ipc.size",
/// "ipc.descriptor", "ipc.phase", "ipc.request".
Result<FrameView> check_frame(std::string_view bytes, std::size_t descriptors, const Receiving& receiving);

/// Errors: "ipc.again" (would block: the socket says when it is writable), "ipc.later" (the kernel has no room, which no event
/// announces), "ipc.gone" (the peer has closed), "ipc.socket" (anything else). Nothing is sent in part.
Result<void> send_frame(int socket, std::string_view frame, int descriptor);

struct Received {
  std::size_t bytes = 0;        ///< 0: the peer has closed
  std::size_t descriptors = 0;  ///< how many came; more than one are closed at once
  Fd descriptor;
  bool truncated = false;
};
/// One datagram into `buffer`. Errors: "ipc.again", "ipc.gone".
Result<Received> receive_frame(int socket, std::string& buffer);

/// A connected pair with room for the largest frames. Errors: "ipc.socket".
Result<std::pair<Fd, Fd>> make_channel_pair();

}  // namespace postern::privsep
