#include "privsep/frame.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "privsep/message_table.h"

namespace postern::privsep {

std::string make_frame(const Row& row, std::uint32_t request, std::string_view payload) {
  std::string frame;
  frame.reserve(kFrameHeaderBytes + payload.size());
  frame += static_cast<char>(row.number & 0xFF);
  frame += static_cast<char>(row.number >> 8);
  frame.append(2, '\0');
  for (int i = 0; i < 4; ++i) frame += static_cast<char>(request >> (8 * i) & 0xFF);
  frame += payload;
  return frame;
}

Result<FrameView> check_frame(std::string_view bytes, std::size_t descriptors, const Receiving& receiving) {
  if (bytes.size() < kFrameHeaderBytes) return failure("ipc.short", "a frame of " + std::to_string(bytes.size()) + " bytes");
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])); };
  const auto number = static_cast<std::uint16_t>(byte(0) | byte(1) << 8);
  const std::uint32_t request = byte(4) | byte(5) << 8 | byte(6) << 16 | byte(7) << 24;
  const Row* row = row_numbered(number);
  if (row == nullptr || byte(2) != 0 || byte(3) != 0) return failure("ipc.unknown", "no message has number " + std::to_string(number));
  const std::string name(row->name);
  if (!row->from.has(receiving.peer)) return failure("ipc.sender", std::string(name_of(receiving.peer)) + " may not send " + name);
  if (!row->to.has(receiving.self)) return failure("ipc.receiver", name + " is not for " + std::string(name_of(receiving.self)));
  const auto payload = bytes.substr(kFrameHeaderBytes);
  if (payload.size() > row->max_bytes)
    return failure("ipc.size", name + " of " + std::to_string(payload.size()) + " bytes, at most " + std::to_string(row->max_bytes));
  const bool surplus = descriptors > (row->descriptor == Descriptor::none ? 0U : 1U);
  if (surplus || (row->descriptor == Descriptor::required && descriptors == 0))
    return failure("ipc.descriptor", name + " with " + std::to_string(descriptors) + " descriptors");
  if ((row->phase == Phase::start && receiving.locked) || (row->phase == Phase::running && !receiving.locked))
    return failure("ipc.phase", name + " at the wrong time");
  if ((row->kind == Kind::tell) != (request == 0)) return failure("ipc.request", name + " with request number " + std::to_string(request));
  return FrameView{row, request, payload};
}

Result<void> send_frame(int socket, std::string_view frame, int descriptor) {
  iovec part{const_cast<char*>(frame.data()), frame.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  for (;;) {
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return {};
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return failure("ipc.again", "the peer does not keep up");
    // ETOOMANYREFS: too many descriptors on their way; they drain as the peers read.
    if (errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS) return failure("ipc.later", std::strerror(errno));
    const bool gone = errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN;
    return failure(gone ? "ipc.gone" : "ipc.socket", std::strerror(errno));
  }
}

namespace {

// Takes the descriptors out of a received message; keeps the first, closes the others.
void collect(msghdr& message, Received& received) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int raw = -1;
      std::memcpy(&raw, CMSG_DATA(header) + i * sizeof(int), sizeof raw);
      Fd fd(raw);
      if (received.descriptors++ == 0) received.descriptor = std::move(fd);
    }
  }
}

}  // namespace

Result<Received> receive_frame(int socket, std::string& buffer) {
  if (buffer.size() != kFrameBytes) buffer.resize(kFrameBytes);
  constexpr std::size_t kMostDescriptors = 4;  // room to see that there are too many
  alignas(cmsghdr) char control[CMSG_SPACE(kMostDescriptors * sizeof(int))];
  for (;;) {
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    // ECONNRESET is said once when a peer closed with frames of ours unread; what it had sent before can still be read.
    if (got < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    if (got < 0 && errno == EAGAIN) return failure("ipc.again", "nothing there");
    if (got < 0) return failure("ipc.gone", std::strerror(errno));
    Received received;
    received.bytes = static_cast<std::size_t>(got);
    collect(message, received);
    received.truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    return received;
  }
}

Result<std::pair<Fd, Fd>> make_channel_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return failure("ipc.socket", std::strerror(errno));
  std::pair<Fd, Fd> pair{Fd(ends[0]), Fd(ends[1])};
  for (int end : ends) {
    // The forced form passes the system's limit where we are root; the plain one takes what it allows.
    if (::setsockopt(end, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBufferBytes, sizeof kSocketBufferBytes) != 0)
      (void)::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kSocketBufferBytes, sizeof kSocketBufferBytes);
    const int flags = ::fcntl(end, F_GETFL);
    if (flags < 0 || ::fcntl(end, F_SETFL, flags | O_NONBLOCK) != 0) return failure("ipc.socket", std::strerror(errno));
  }
  return pair;
}

}  // namespace postern::privsep
