/// From the message table to a service's functions. A service has, for each row its role may receive,
///   void on(const M&, From, Fd)             a tell
///   void on(const M&, Reply<M>, From, Fd)   a request: the Reply is used once, now or later
/// The message is the call's own; one of a secret row is overwritten when on() returns.
/// Rows that concern the start and life of a child are handled by child.h; answers go to who asked. Forgetting one does not compile.
#pragma once

#include "privsep/peers.h"
#include "privsep/wipe.h"

namespace postern::privsep {

/// Rows that child.h takes itself.
template <class M>
constexpr bool is_life_row() {
  return std::is_same_v<M, ChildStart> || std::is_same_v<M, ChildFile> || std::is_same_v<M, PeerChannel> ||
         std::is_same_v<M, StartComplete> || std::is_same_v<M, Stop> || std::is_same_v<M, Reload>;
}

template <Role role, class Service>
class Dispatch final : public Receiver {
 public:
  Dispatch(Service& service, Peers& peers) : service_(service), peers_(peers) {}

  Result<void> receive(const FrameView& frame, std::shared_ptr<Channel> channel, Fd descriptor) override {
    static constexpr auto kHandlers = make_handlers();
    const Handler handler = frame.row->number < kHandlers.size() ? kHandlers[frame.row->number] : nullptr;
    if (handler == nullptr) return failure("ipc.receiver", std::string(frame.row->name) + " has no handler here");
    return (this->*handler)(frame, std::move(channel), std::move(descriptor));
  }

 private:
  using Handler = Result<void> (Dispatch::*)(const FrameView&, std::shared_ptr<Channel>, Fd);
  static constexpr std::size_t kNumbers = 0x60;

  template <class M>
  Result<void> handle(const FrameView& frame, std::shared_ptr<Channel> channel, Fd descriptor) {
    TRY_ASSIGN(M message, decode<M>(frame.payload));
    const From from = channel->peer();
    if constexpr (M::row.kind == Kind::request)
      service_.on(message, Reply<M>(channel, peers_, frame.request), from, std::move(descriptor));
    else
      service_.on(message, from, std::move(descriptor));
    if constexpr (M::row.secret) wipe(message);
    return {};
  }
  static constexpr std::array<Handler, kNumbers> make_handlers() {
    std::array<Handler, kNumbers> handlers{};
    Messages::each([&]<class M>() {
      static_assert(M::row.number < kNumbers);
      if constexpr (M::row.to.has(role) && M::row.kind != Kind::answer && !is_life_row<M>())
        handlers[M::row.number] = &Dispatch::template handle<M>;
    });
    return handlers;
  }

  Service& service_;
  Peers& peers_;
};

}  // namespace postern::privsep
