#include "deliver/remote/session_pool.h"

#include <algorithm>

#include "base/check.h"

namespace postern::remote {

namespace {

std::string key_of(const ServerPlan& plan) {
  std::string key = plan.at.to_string() + ' ' + plan.name + ' ' + plan.tls.key();
  // Two routes may log in to one server under different names; the password stays out of the key.
  if (plan.login != nullptr) key += '\n' + plan.login->user + '\n' + std::to_string(reinterpret_cast<std::uintptr_t>(plan.login.get()));
  return key;
}

}  // namespace

SessionPool::SessionPool(io::Loop& loop, const SessionSettings& settings, PoolLimits limits)
    : loop_(loop), settings_(settings), limits_(limits), burial_(loop, [this] { dead_.clear(); }), feeding_(loop, [this] { feed_hungry(); }) {}

SessionPool::~SessionPool() = default;

void SessionPool::send(ServerPlan plan, std::shared_ptr<const Job> job, Done done) {
  const std::string key = key_of(plan);
  auto [it, is_new] = groups_.try_emplace(key);
  if (is_new) it->second.plan = std::move(plan);
  it->second.waiting.push_back({std::move(job), std::move(done)});
  feed(key, it->second);
}

/// Gives waiting messages to resting sessions, and opens new ones while there is room.
void SessionPool::feed(const std::string& key, Group& group) {
  while (!group.waiting.empty() && !group.idle.empty()) {
    SmtpSession* session = group.idle.back();
    group.idle.pop_back();
    Waiting next = std::move(group.waiting.front());
    group.waiting.pop_front();
    ++stats_.reused;
    give(sessions_.at(session), std::move(next));
  }
  while (group.waiting.size() > group.opening) {
    if (!has_room(group.plan.at)) {
      if (!group.listed) hungry_.push_back(key);
      group.listed = true;
      return;
    }
    open(key, group, false);
  }
}

bool SessionPool::has_room(const io::Endpoint& at) {
  const auto server = per_server_.find(at);
  const bool server_full = server != per_server_.end() && server->second >= limits_.sessions_per_server;
  if (!server_full && sessions_.size() < limits_.sessions) return true;
  // A session that rests makes room: one to the same server, or any. It is never of the group that asks: that one rests nowhere.
  for (auto& [key, group] : groups_) {
    if (group.idle.empty() || (server_full && group.plan.at != at)) continue;
    SmtpSession* victim = group.idle.front();
    group.idle.erase(group.idle.begin());
    victim->quit();
    discard(*victim);
    return true;
  }
  return false;
}

void SessionPool::open(const std::string& key, Group& group, bool in_clear) {
  ServerPlan plan = group.plan;
  if (in_clear) plan.tls.level = TlsLevel::clear;
  auto session = std::make_unique<SmtpSession>(loop_, settings_, std::move(plan), *this);
  const SmtpSession* id = session.get();
  sessions_.emplace(id, Entry{std::move(session), key, {}});
  ++per_server_[group.plan.at];
  ++group.opening;
  ++group.sessions;
  if (changed_) changed_();
}

void SessionPool::give(Entry& entry, Waiting waiting) {
  entry.carried = std::move(waiting);
  entry.session->send(entry.carried.job);
}

void SessionPool::opened(SmtpSession& session) {
  ++stats_.opened;
  Entry& entry = sessions_.at(&session);
  --groups_.at(entry.group).opening;
  rest_or_go_on(entry);
}

void SessionPool::rest_or_go_on(Entry& entry) {
  SmtpSession& session = *entry.session;
  Group& group = groups_.at(entry.group);
  if (!session.reusable() || session.messages() >= limits_.session_messages) {
    session.quit();
    return discard(session);
  }
  if (!group.waiting.empty()) {
    Waiting next = std::move(group.waiting.front());
    group.waiting.pop_front();
    if (session.messages() > 0) ++stats_.reused;
    return give(entry, std::move(next));
  }
  if (settings_.timeouts.idle.count() == 0) {
    session.quit();
    return discard(session);
  }
  group.idle.push_back(&session);
  session.rest();
  if (!hungry_.empty()) feeding_.arm();  // who waits for room elsewhere may have this session's
}

void SessionPool::not_opened(SmtpSession& session, NotOpened why) {
  ++stats_.failed;
  const std::string key = sessions_.at(&session).group;
  Group& group = groups_.at(key);
  --group.opening;
  const bool in_clear = why.obstacle == Obstacle::handshake && session.plan().tls.level == TlsLevel::opportunistic;
  if (in_clear && !group.waiting.empty()) {
    open(key, group, true);  // before the failed one goes, so that the group stays
    return discard(session);
  }
  Waiting unlucky;
  if (!group.waiting.empty()) {
    unlucky = std::move(group.waiting.front());
    group.waiting.pop_front();
  }
  Attempt attempt;
  attempt.obstacle = std::move(why);
  attempt.server = session.server();
  attempt.addresses = session.addresses();
  attempt.use = session.use();
  discard(session);
  if (unlucky.done) unlucky.done(std::move(attempt));
}

void SessionPool::transferred(SmtpSession& session, Transfer transfer) {
  Entry& entry = sessions_.at(&session);
  Waiting carried = std::move(entry.carried);
  entry.carried = {};
  // A session that rested and was closed by the server meanwhile: nothing has happened to the message.
  if (transfer.unanswered && session.messages() > 1) {
    groups_.at(entry.group).waiting.push_front(std::move(carried));
    const std::string key = entry.group;
    Group& group = groups_.at(key);
    discard(session);
    return feed(key, group);
  }
  Attempt attempt;
  attempt.opened = true;
  attempt.transfer = std::move(transfer);
  attempt.server = session.server();
  attempt.addresses = session.addresses();
  attempt.tls = session.tls();
  attempt.doubt = session.doubt();
  attempt.first = session.messages() == 1;
  attempt.takes_dsn = session.takes_dsn();
  attempt.use = session.use();
  rest_or_go_on(entry);
  carried.done(std::move(attempt));
}

void SessionPool::ended(SmtpSession& session) {
  auto& idle = groups_.at(sessions_.at(&session).group).idle;
  idle.erase(std::remove(idle.begin(), idle.end(), &session), idle.end());
  discard(session);
}

/// Forgets a session that is over. The room it leaves goes to who has waited longest.
void SessionPool::discard(SmtpSession& session) {
  const auto it = sessions_.find(&session);
  POSTERN_CHECK(it != sessions_.end());
  const std::string key = it->second.group;
  dead_.push_back(std::move(it->second.session));
  sessions_.erase(it);
  if (changed_) changed_();
  burial_.arm();
  Group& group = groups_.at(key);
  const auto server = per_server_.find(group.plan.at);
  if (--server->second == 0) per_server_.erase(server);
  --group.sessions;
  if (group.sessions == 0 && group.waiting.empty() && !group.listed) groups_.erase(key);
  if (!hungry_.empty()) feeding_.arm();
}

void SessionPool::feed_hungry() {
  // Each group once: one without room goes back to the end of the line.
  for (std::size_t left = hungry_.size(); left > 0; --left) {
    const std::string key = std::move(hungry_.front());
    hungry_.pop_front();
    const auto it = groups_.find(key);
    if (it == groups_.end()) continue;
    it->second.listed = false;
    if (it->second.waiting.empty() && it->second.sessions == 0) {
      groups_.erase(it);
      continue;
    }
    feed(key, it->second);
  }
}

void SessionPool::close_idle() {
  std::vector<SmtpSession*> all;
  for (auto& [key, group] : groups_) {
    all.insert(all.end(), group.idle.begin(), group.idle.end());
    group.idle.clear();
  }
  for (SmtpSession* session : all) {
    session->quit();
    discard(*session);
  }
}

PoolStats SessionPool::stats() const {
  PoolStats stats = stats_;
  stats.open = sessions_.size();
  for (const auto& [key, group] : groups_) {
    stats.idle += group.idle.size();
    stats.waiting += group.waiting.size();
  }
  return stats;
}

}  // namespace postern::remote
