#include "io/listen.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "io/timer.h"
#include "io/watch.h"

namespace postern::io {

namespace {
constexpr int kBatch = 64;                                // clients taken before other events get their chance
constexpr std::chrono::milliseconds kRest{100};           // after running out of descriptors or memory
}  // namespace

struct Acceptor::Impl {
  Impl(Loop& loop, Fd fd, OnAccept fn)
      : listening(std::move(fd)),
        reserve(listening.duplicate()),
        on_accept(std::move(fn)),
        watch(loop, listening.get(), [this](Interest) { take(); }),
        rest(loop) {}

  void take();
  void turn_away();
  void apply() { watch.set(paused || resting ? Interest::none : Interest::readable); }

  Fd listening;
  Fd reserve;  ///< closed to make room for a client that must be turned away
  OnAccept on_accept;
  Watch watch;
  Timer rest;
  bool paused = false;
  bool resting = false;
  std::uint64_t turned_away = 0;
};

void Acceptor::Impl::turn_away() {
  reserve.reset();
  if (const Fd client(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)); client) ++turned_away;
  reserve = listening.duplicate();
  resting = true;
  rest.start(kRest, [this] {
    resting = false;
    apply();
  });
  apply();
}

void Acceptor::Impl::take() {
  for (int i = 0; i < kBatch && !paused; ++i) {
    sockaddr_storage address;
    socklen_t length = sizeof address;
    Fd client(::accept4(listening.get(), reinterpret_cast<sockaddr*>(&address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!client) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return turn_away();
      if (errno == ECONNABORTED || errno == EINTR || errno == EPROTO) continue;
      return;  // EAGAIN: nobody waits
    }
    const auto peer = from_sockaddr(address);
    if (!peer) continue;
    int nodelay = 0;
    socklen_t size = sizeof nodelay;
    const int on = 1;
    if (::getsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) == 0 && nodelay == 0)
      ::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    on_accept(std::move(client), *peer);
  }
}

Acceptor::Acceptor(Loop& loop, Fd listening, OnAccept on_accept)
    : impl_(std::make_unique<Impl>(loop, std::move(listening), std::move(on_accept))) {
  impl_->apply();
}
Acceptor::~Acceptor() = default;

void Acceptor::pause() {
  impl_->paused = true;
  impl_->apply();
}
void Acceptor::resume() {
  impl_->paused = false;
  impl_->apply();
}
std::uint64_t Acceptor::turned_away() const { return impl_->turned_away; }

}  // namespace postern::io
