#include "deliver/mailbox/lmtp.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/replies.h"
#include "io/timer.h"
#include "io/watch.h"

namespace postern::mailbox {

struct LmtpClients::Server {
  std::string name;
  std::deque<Work> waiting;
  std::vector<std::unique_ptr<Connection>> connections;
  std::size_t connecting = 0;
};

/// A connected socket and the session on it.
class LmtpClients::Connection {
 public:
  Connection(LmtpClients& clients, Server& server, Fd socket)
      : clients_(clients), server_(server), socket_(std::move(socket)), timer_(clients.loop_), session_(clients.client_name_),
        watch_(clients.loop_, socket_.get(), [this](io::Interest ready) { on_ready(ready); }) {
    watch_.set(io::Interest::readable);
    wait(limits::kLmtpGreetingTime, "no greeting in time");
  }

  Server& server() { return server_; }
  bool free() const { return session_.ready() && !work_; }
  bool working() const { return work_.has_value(); }
  void begin(Work work) {
    LmtpMessage message = work.message;  // kept for another try; the body is shared
    work_ = std::move(work);
    ++transactions_;
    session_.deliver(std::move(message));
    wait(limits::kLmtpReplyTime, "no reply in time");
    if (!settle()) flush();
  }
  bool is_reused() const { return transactions_ > 1; }
  bool was_ready() const { return was_ready_; }
  bool may_retry_elsewhere() const { return session_.may_retry_elsewhere(); }
  Work take_work() { return std::exchange(work_, std::nullopt).value(); }
  LmtpOutcome fail(const Error& error) { return session_.fail(error); }

 private:
  void wait(std::chrono::seconds time, const char* why) {
    timer_.start(time, [this, why] { clients_.lost(*this, Error{"lmtp.timeout", why}); });
  }

  void on_ready(io::Interest ready) {
    if (io::has(ready, io::Interest::readable) && !read()) return;
    flush();
  }

  /// False: this connection has ended.
  bool read() {
    std::array<char, 16 * 1024> buffer;
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (count <= 0) return clients_.lost(*this, Error{"lmtp.closed", count == 0 ? "the server closed" : std::strerror(errno)}), false;
    const auto fed = session_.feed({buffer.data(), static_cast<std::size_t>(count)});
    if (!fed) return clients_.lost(*this, fed.error()), false;
    if (work_) wait(session_.in_data() ? limits::kLmtpDataTime : limits::kLmtpReplyTime, "no reply in time");
    return !settle();
  }

  /// Hands on a finished message. True: this connection has ended.
  bool settle() {
    auto outcome = session_.take_outcome();
    LmtpClients& clients = clients_;
    Server& server = server_;
    if (outcome) {
      const Done done = take_work().done;
      done(*std::move(outcome));
    }
    if (session_.must_close() || transactions_ >= limits::kLmtpTransactions)
      return work_ ? false : (clients.lost(*this, Error{"lmtp.done", ""}), true);
    if (!free()) return false;
    was_ready_ = true;
    wait(limits::kLmtpIdle, "idle");
    clients.serve_later(server.name);  // not from here: it may end this connection
    return false;
  }

  void flush() {
    while (true) {
      if (unsent_.empty()) unsent_ = session_.output();
      if (unsent_.empty()) return watch_.set(io::Interest::readable);
      const ssize_t sent = ::send(socket_.get(), unsent_.data() + sent_, unsent_.size() - sent_, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) return watch_.set(io::Interest::both);
      if (sent < 0) return clients_.lost(*this, Error{"lmtp.closed", std::strerror(errno)});
      sent_ += static_cast<std::size_t>(sent);
      if (sent_ < unsent_.size()) continue;
      unsent_.clear();
      sent_ = 0;
      if (work_) wait(session_.in_data() ? limits::kLmtpDataTime : limits::kLmtpReplyTime, "no reply in time");
    }
  }

  LmtpClients& clients_;
  Server& server_;
  Fd socket_;
  io::Timer timer_;
  LmtpSession session_;
  io::Watch watch_;
  std::optional<Work> work_;
  std::size_t transactions_ = 0;
  bool was_ready_ = false;  // whether the server has greeted us
  std::string unsent_;
  std::size_t sent_ = 0;
};

LmtpClients::LmtpClients(io::Loop& loop, const Log& log, Connect connect, std::string client_name)
    : loop_(loop), log_(log), connect_(std::move(connect)), client_name_(std::move(client_name)) {}
LmtpClients::~LmtpClients() = default;

bool LmtpClients::idle() const {
  return std::ranges::all_of(servers_, [](const auto& entry) {
    return entry.second->waiting.empty() && std::ranges::none_of(entry.second->connections, [](const auto& c) { return c->working(); });
  });
}

void LmtpClients::deliver(const std::string& name, LmtpMessage message, Done done) {
  auto& server = servers_[name];
  if (!server) server = std::make_unique<Server>(Server{name, {}, {}, 0});
  if (server->waiting.size() >= limits::kLmtpWaiting) {
    const LmtpOutcome busy(message.recipients.size(), make_reply(451, "4.3.2", "the local delivery server is busy"));
    loop_.post([busy, done = std::move(done)] { done(busy); });
    return;
  }
  server->waiting.push_back({std::move(message), std::move(done)});
  serve_later(name);
}

void LmtpClients::serve_later(const std::string& name) {
  loop_.post([this, alive = std::weak_ptr(alive_), name] {
    if (!alive.expired()) serve(*servers_.at(name));
  });
}

void LmtpClients::serve(Server& server) {
  for (std::size_t i = 0; i < server.connections.size() && !server.waiting.empty(); ++i) {
    if (!server.connections[i]->free()) continue;
    Work work = std::move(server.waiting.front());
    server.waiting.pop_front();
    server.connections[i]->begin(std::move(work));
  }
  const auto greeting = static_cast<std::size_t>(std::ranges::count_if(server.connections, [](const auto& c) { return !c->was_ready(); }));
  while (server.connecting + greeting < server.waiting.size() &&
         server.connections.size() + server.connecting < limits::kLmtpConnections) {
    ++server.connecting;
    connect_(server.name, [this, alive = std::weak_ptr(alive_), name = server.name](Result<Fd> socket) {
      if (!alive.expired()) connected(name, std::move(socket));
    });
  }
}

void LmtpClients::connected(const std::string& name, Result<Fd> socket) {
  Server& server = *servers_.at(name);
  --server.connecting;
  if (!socket) {
    log_.warning("no connection to an LMTP server", {{"server", name}, {"error", socket.error().message}});
    if (server.connections.empty() && server.connecting == 0) fail_waiting(server, socket.error());
    return;
  }
  server.connections.push_back(std::make_unique<Connection>(*this, server, *std::move(socket)));
}

void LmtpClients::fail_waiting(Server& server, const Error& error) {
  auto waiting = std::exchange(server.waiting, {});
  for (Work& work : waiting) {
    const Error known{error.code.starts_with("lmtp.") ? error.code : "lmtp.connect", error.message};
    work.done(LmtpOutcome(work.message.recipients.size(), reply_for(known)));
  }
}

void LmtpClients::lost(Connection& connection, const Error& error) {
  Server& server = connection.server();
  const bool working = connection.working();
  if (working || !connection.was_ready())
    log_.warning("an LMTP connection was lost", {{"server", server.name}, {"error", error.message}});
  if (working) {
    // A server may close a kept connection just as a message comes: that one is tried once more, where nothing can come twice.
    const bool again = connection.is_reused() && connection.may_retry_elsewhere();
    Work work = connection.take_work();
    if (again && !work.retried) {
      work.retried = true;
      server.waiting.push_front(std::move(work));
    } else {
      work.done(connection.fail(error));
    }
  }
  const auto it = std::ranges::find_if(server.connections, [&](const auto& c) { return c.get() == &connection; });
  const std::unique_ptr<Connection> ended = std::move(*it);
  server.connections.erase(it);
  // A server that never greets would be asked again and again by those who wait: they come back later.
  if (!connection.was_ready() && server.connections.empty()) return fail_waiting(server, error);
  serve_later(server.name);
}

}  // namespace postern::mailbox
