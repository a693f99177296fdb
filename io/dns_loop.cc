#include "io/dns_loop.h"

#include <uv.h>

#include <memory>

namespace postern::io {

namespace {

constexpr std::uint64_t kForever = ~std::uint64_t{0};  // getdns's "no time-out", which its headers do not name

/// One event of getdns: a descriptor, a time-out or both. Outlives clear() until libuv lets go of its handles.
struct Event {
  uv_poll_t poll;
  uv_timer_t timer;
  getdns_eventloop_event* of = nullptr;  ///< null once cleared: getdns may have freed it
  int handles = 0;
  int mask = 0;
};

Event* event_of(void* data) { return static_cast<Event*>(data); }

void poll_ready(uv_poll_t* handle, int status, int ready) noexcept {
  Event* event = event_of(handle->data);
  if (status < 0) ready = UV_READABLE | UV_WRITABLE;  // an error waits on the socket; libuv stopped watching
  if ((ready & UV_READABLE) != 0 && event->of != nullptr && event->of->read_cb != nullptr) event->of->read_cb(event->of->userarg);
  if ((ready & UV_WRITABLE) != 0 && event->of != nullptr && event->of->write_cb != nullptr) event->of->write_cb(event->of->userarg);
  if (status < 0 && event->of != nullptr) uv_poll_start(handle, event->mask, poll_ready);
}

void timed_out(uv_timer_t* handle) noexcept {
  Event* event = event_of(handle->data);
  if (event->of != nullptr && event->of->timeout_cb != nullptr) event->of->timeout_cb(event->of->userarg);
}

void closed(uv_handle_t* handle) noexcept {
  Event* event = event_of(handle->data);
  if (--event->handles == 0) std::unique_ptr<Event>{event};
}

template <class Handle>
void close(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle), closed);
}

void cleanup(getdns_eventloop* /*loop*/) noexcept {}

getdns_return_t clear(getdns_eventloop* /*loop*/, getdns_eventloop_event* of) noexcept {
  Event* event = event_of(of->ev);
  if (event == nullptr) return GETDNS_RETURN_GOOD;
  of->ev = nullptr;
  event->of = nullptr;
  const bool both = event->handles == 2;
  if (event->mask != 0) close(&event->poll);
  if (event->mask == 0 || both) close(&event->timer);
  return GETDNS_RETURN_GOOD;
}

getdns_return_t schedule(getdns_eventloop* loop, int fd, std::uint64_t timeout, getdns_eventloop_event* of) noexcept {
  uv_loop_t* uv = reinterpret_cast<DnsLoop::Face*>(loop)->loop;
  auto made = std::make_unique<Event>();
  made->of = of;
  if (fd >= 0) {
    if (of->read_cb != nullptr) made->mask |= UV_READABLE;
    if (of->write_cb != nullptr) made->mask |= UV_WRITABLE;
  }
  // One handle for a descriptor, whatever is wanted of it: libuv does not allow two.
  if (made->mask != 0) {
    if (uv_poll_init(uv, &made->poll, fd) != 0) return GETDNS_RETURN_GENERIC_ERROR;
    made->poll.data = made.get();
    ++made->handles;
    uv_poll_start(&made->poll, made->mask, poll_ready);
  }
  if (of->timeout_cb != nullptr && timeout != kForever) {
    uv_timer_init(uv, &made->timer);
    made->timer.data = made.get();
    ++made->handles;
    uv_update_time(uv);
    uv_timer_start(&made->timer, timed_out, timeout, 0);
  }
  if (made->handles == 0) return GETDNS_RETURN_GOOD;  // an event that never comes
  of->ev = made.release();
  return GETDNS_RETURN_GOOD;
}

// getdns calls these only for its synchronous functions, which we do not use.
void run(getdns_eventloop* loop) noexcept { uv_run(reinterpret_cast<DnsLoop::Face*>(loop)->loop, UV_RUN_DEFAULT); }
void run_once(getdns_eventloop* loop, int blocking) noexcept {
  uv_run(reinterpret_cast<DnsLoop::Face*>(loop)->loop, blocking != 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

getdns_eventloop_vmt methods = {cleanup, schedule, clear, run, run_once};

}  // namespace

DnsLoop::DnsLoop(Loop& loop) : face_{{&methods}, loop.uv()} {}

}  // namespace postern::io
