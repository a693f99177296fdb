#include "privsep/sync_channel.h"

#include <poll.h>

#include <cerrno>

namespace postern::privsep {

void SyncChannel::set_socket(Fd socket) {
  socket_ = std::move(socket);
  next_request_ = 1;
}

namespace {

// Waits until `socket` can be read. False: not in time.
bool wait_readable(int socket, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd entry{socket, POLLIN, 0};
    const int ready = ::poll(&entry, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

Result<std::string> SyncChannel::ask_raw(const Row& row, const Row& answer, std::string_view payload, std::chrono::milliseconds patience) {
  if (!is_open()) return failure("ipc.gone", "there is no " + std::string(name_of(peer_)));
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const std::uint32_t request = next_request_;
  next_request_ = next_request_ == UINT32_MAX ? 1 : next_request_ + 1;
  if (auto sent = send_frame(socket_.get(), make_frame(row, request, payload), -1); !sent) {
    if (sent.error().code != "ipc.again") socket_.reset();
    return tl::unexpected<Error>(sent.error());
  }
  for (;;) {
    if (!wait_readable(socket_.get(), deadline)) return failure("ipc.timeout", "no answer in time");
    const auto received = receive_frame(socket_.get(), buffer_);
    if (!received && received.error().code == "ipc.again") continue;
    if (!received || received->bytes == 0) {
      socket_.reset();
      return failure("ipc.gone", "the " + std::string(name_of(peer_)) + " went away");
    }
    const auto bytes = std::string_view(buffer_).substr(0, received->bytes);
    const auto frame = check_frame(bytes, received->descriptors, {self_, peer_, true});
    if (frame && !received->truncated && frame->request < request) {  // the late answer to a question that timed out
      if (std::chrono::steady_clock::now() >= deadline) return failure("ipc.timeout", "nothing but late answers");
      continue;
    }
    if (!frame || received->truncated || frame->request != request || frame->row->number != answer.number) {
      socket_.reset();
      return failure("ipc.unknown", frame ? "an answer of the wrong kind" : frame.error().message);
    }
    return std::string(frame->payload);
  }
}

}  // namespace postern::privsep
