#include "privsep/sync_channel.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>

namespace postern::privsep {

void SyncChannel::set_socket(Fd socket) {
  socket_ = std::move(socket);
  next_request_ = 1;
  silent_ = false;
}

namespace {

// Waits until `socket` can be read. False: not in time. Rounded up: poll counts whole milliseconds, and a rest of less must not be given away.
bool wait_readable(int socket, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd entry{socket, POLLIN, 0};
    const int ready = ::poll(&entry, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace

bool SyncChannel::has_spoken() const { return wait_readable(socket_.get(), {}); }

Error SyncChannel::silence() {
  silent_ = true;
  quiet_until_ = clock_.steady() + kQuiet;
  return {"ipc.timeout", "the " + std::string(name_of(peer_)) + " does not answer in time"};
}

void SyncChannel::broken(std::string_view what) {
  socket_.reset();
  if (breach_) breach_(what);
}

Result<std::string> SyncChannel::ask_raw(const Row& row, const Row& answer, std::string_view payload, std::chrono::milliseconds patience) {
  if (!is_open()) return failure("ipc.gone", "there is no " + std::string(name_of(peer_)));
  if (silent_) {
    if (clock_.steady() < quiet_until_ && !has_spoken()) return failure("ipc.timeout", "the " + std::string(name_of(peer_)) + " is silent");
    patience = std::min(patience, kProbePatience);
  }
  const std::uint32_t request = next_request_;
  next_request_ = next_request_ == UINT32_MAX ? 1 : next_request_ + 1;
  if (auto sent = send_frame(socket_.get(), make_frame(row, request, payload), -1); !sent) {
    if (sent.error().code == "ipc.again" || sent.error().code == "ipc.later") return tl::unexpected<Error>(silence());
    socket_.reset();
    return tl::unexpected<Error>(sent.error());
  }
  auto answered = wait_answer(answer, request, patience);
  if (answered) silent_ = false;
  return answered;
}

Result<std::string> SyncChannel::wait_answer(const Row& answer, std::uint32_t request, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (!wait_readable(socket_.get(), deadline)) return tl::unexpected<Error>(silence());
    const auto received = receive_frame(socket_.get(), buffer_);
    if (!received && received.error().code == "ipc.again") continue;
    if (!received || received->bytes == 0) {
      socket_.reset();
      return failure("ipc.gone", "the " + std::string(name_of(peer_)) + " went away");
    }
    const auto bytes = std::string_view(buffer_).substr(0, received->bytes);
    const auto frame = check_frame(bytes, received->descriptors, {self_, peer_, true});
    if (frame && !received->truncated && frame->request < request) {  // the late answer to a question that timed out
      if (std::chrono::steady_clock::now() >= deadline) return tl::unexpected<Error>(silence());
      continue;
    }
    if (!frame || received->truncated || frame->request != request || frame->row->number != answer.number) {
      const std::string what = frame ? "an answer of the wrong kind" : frame.error().message;
      broken(what);
      return failure("ipc.unknown", what);
    }
    return std::string(frame->payload);
  }
}

}  // namespace postern::privsep
