/// The sessions to all servers: opened when there is something to send, reused, bounded in number, and given up when they rest too long.
/// Messages wait in the order they came, for each server and over all.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "deliver/remote/smtp_session.h"
#include "io/loop.h"

namespace postern::remote {

struct PoolLimits {
  std::size_t sessions = 400;           ///< in all
  std::size_t sessions_per_server = 20; ///< to one address and port
  std::size_t session_messages = 100;   ///< over one session
};

/// What became of an attempt at one address.
struct Attempt {
  bool opened = false;           ///< a session was open: `transfer` holds
  NotOpened obstacle;            ///< else why not
  Transfer transfer;
  std::string server;
  std::string addresses;         ///< SmtpSession::addresses()
  std::string tls;
  std::string doubt;             ///< SmtpSession::doubt()
  bool first = false;            ///< the session's first message
  bool takes_dsn = false;
  privsep::TlsUse use;
};

struct PoolStats {
  std::size_t open = 0, idle = 0, waiting = 0;
  std::uint64_t opened = 0, reused = 0, failed = 0;
};

class SessionPool final : public SessionOwner {
 public:
  using Done = std::function<void(Attempt)>;

  /// `settings` must outlive the pool.
  SessionPool(io::Loop& loop, const SessionSettings& settings, PoolLimits limits);
  ~SessionPool() override;

  void set_limits(PoolLimits limits) { limits_ = limits; }
  /// Sends `job` over a session as `plan` says. `done` is called exactly once, from the loop, unless the pool ends before.
  /// An opportunistic session whose handshake fails is opened again in clear; a resting session that turns out to be dead is replaced.
  void send(ServerPlan plan, std::shared_ptr<const Job> job, Done done);
  /// Closes the sessions that rest. What is under way goes on.
  void close_idle();
  PoolStats stats() const;
  std::size_t open_sessions() const { return sessions_.size(); }
  /// Called whenever the number of sessions has changed.
  void set_changed(std::function<void()> changed) { changed_ = std::move(changed); }

  void opened(SmtpSession& session) override;
  void not_opened(SmtpSession& session, NotOpened why) override;
  void transferred(SmtpSession& session, Transfer transfer) override;
  void ended(SmtpSession& session) override;

 private:
  struct Waiting {
    std::shared_ptr<const Job> job;
    Done done;
  };
  /// The sessions that may carry each other's messages: same server, same protection, same login.
  struct Group {
    ServerPlan plan;
    std::deque<Waiting> waiting;
    std::vector<SmtpSession*> idle;   // the last used last
    std::size_t opening = 0;
    std::size_t sessions = 0;
    bool listed = false;              // in hungry_
  };
  struct Entry {
    std::unique_ptr<SmtpSession> session;
    std::string group;
    Waiting carried;                  // under way
  };

  void feed(const std::string& key, Group& group);
  bool has_room(const io::Endpoint& at);
  void open(const std::string& key, Group& group, bool in_clear);
  void give(Entry& entry, Waiting waiting);
  void rest_or_go_on(Entry& entry);
  void discard(SmtpSession& session);
  void feed_hungry();

  io::Loop& loop_;
  const SessionSettings& settings_;
  PoolLimits limits_;
  std::map<std::string, Group, std::less<>> groups_;
  std::map<const SmtpSession*, Entry> sessions_;
  std::map<io::Endpoint, std::size_t> per_server_;
  std::deque<std::string> hungry_;    // groups that wait for room, in order
  std::vector<std::unique_ptr<SmtpSession>> dead_;  // freed at the end of the turn: they may still be on the stack
  io::Deferred burial_;
  io::Deferred feeding_;              // room has come: not inside the call that made it
  PoolStats stats_;
  std::function<void()> changed_;
};

}  // namespace postern::remote
