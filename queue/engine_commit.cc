// The half of the engine that stores: merging what one turn brought, one transaction, answers.
#include <algorithm>

#include "queue/engine.h"

#include "base/text.h"
#include "io/lmdb.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {

constexpr std::chrono::seconds kCommitPause{1};

void overlay(std::vector<RecipientRecord>& all, const std::vector<IndexedRecipient>& changed) {
  for (const auto& [index, record] : changed) {
    if (index >= all.size()) all.resize(index + 1);
    all[index] = record;
  }
}

HistoryRecord history_of(const MessageRecord& message, const std::vector<RecipientRecord>& all, WallTime received, WallTime now) {
  HistoryRecord history;
  history.id = message.id;
  history.reverse_path = message.reverse_path;
  history.account = message.arrival.account;
  history.size = message.content.size;
  history.received = received;
  history.finished = now;
  for (const auto& r : all) {
    if (history.ends.size() == limits::kHistoryRecipients) break;
    history.ends.push_back({r.recipient, r.state, r.attempts, r.reply, r.server, r.tls, r.last_attempt});
    auto use = std::find(history.uses.begin(), history.uses.end(), r.use);
    if (use == history.uses.end()) use = history.uses.insert(use, r.use);
    history.use_of.push_back(static_cast<std::uint32_t>(use - history.uses.begin()));
  }
  return history;
}

}  // namespace

bool Engine::Accept::is_large() const { return size() > limits::kStagePieceBytes; }

bool Engine::stage_large() {
  const auto large = std::find_if(accepts_.begin(), accepts_.end(), [](const Accept& a) { return a.is_large() && a.staged < a.size(); });
  if (large == accepts_.end()) return false;
  if (large->number == 0) large->number = spool_.take_number();
  // Pieces end at whole chunks.
  const std::uint64_t piece = limits::kStagePieceBytes / io::lmdb::kChunkBytes * io::lmdb::kChunkBytes;
  const std::uint64_t until = std::min(large->staged + piece, large->size());
  const auto stored = spool_.stage(large->number, FileBody(large->body.get(), large->size()), large->staged, until);
  if (!stored) {
    if (auto swept = spool_.unstage(large->number); !swept) log_.warning("pieces of a body stay until the next start", {{"error", swept.error().message}});
    refuse(*large, stored.error());
    accepts_.erase(large);
    return true;
  }
  large->staged = until;
  return true;
}

std::size_t Engine::choose_accepts(std::vector<Accept*>& chosen) {
  std::uint64_t bytes = 0;
  std::size_t left = 0;
  for (auto& accept : accepts_) {
    if (accept.is_large() && accept.staged < accept.size()) continue;
    const std::uint64_t cost = accept.is_large() ? 0 : accept.size();
    if (chosen.size() == limits::kBatchMessages || (!chosen.empty() && bytes + cost > limits::kBatchBytes)) {
      ++left;
      continue;
    }
    bytes += cost;
    if (accept.number == 0) accept.number = spool_.take_number();
    chosen.push_back(&accept);
  }
  return left;
}

void Engine::merge_changes() {
  std::unordered_map<Number, std::size_t> place;
  std::vector<Change> merged;
  for (auto& change : changes_) {
    const auto [at, is_new] = place.emplace(change.number, merged.size());
    if (is_new) {
      merged.push_back(std::move(change));
      continue;
    }
    Change& into = merged[at->second];
    const auto append = [](auto& to, auto& from) { to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end())); };
    append(into.recipients, change.recipients);
    append(into.notes, change.notes);
    append(into.groups, change.groups);
    append(into.new_groups, change.new_groups);
    if (change.schedule) into.schedule = std::move(change.schedule);
    into.report_now = into.report_now || change.report_now;
    into.report_delay = into.report_delay || change.report_delay;
    if (!into.message) into.message = std::move(change.message);
    into.only = false;
    if (change.stored) into.stored = [a = std::move(into.stored), b = std::move(change.stored)](bool stored) {
      if (a) a(stored);
      b(stored);
    };
  }
  changes_ = std::move(merged);
}

// ---- reading what a change needs -----------------------------------------------------------------------------------

Result<Engine::Prepared> Engine::prepare(Change& change) {
  Prepared prepared;
  prepared.change = &change;
  prepared.message = change.message;
  const auto ended = static_cast<std::size_t>(
      std::count_if(change.groups.begin(), change.groups.end(), [](const auto& g) { return g.after == Change::After::done; }));
  prepared.finishes = change.new_groups.empty() && ended > 0 && scheduler_.groups_left(change.number) == ended;
  for (const auto& [index, r] : change.recipients) prepared.owes = prepared.owes || (r.state == RecipientState::failed && !r.reported);
  if (!prepared.finishes && !change.report_now && !change.report_delay) return prepared;
  if (!prepared.message) {
    TRY_ASSIGN(auto message, spool_.message(change.number));
    prepared.message = std::make_shared<const MessageRecord>(std::move(message));
  }
  if (!change.only) {
    TRY_ASSIGN(prepared.all, spool_.recipients(change.number));
  }
  overlay(prepared.all, change.recipients);
  if (prepared.finishes && !still_waits(prepared)) {
    TRY(finish(prepared));
    return prepared;
  }
  if (change.report_now) {
    add_reports(prepared, ReportKind::failure);
    prepared.owes = false;
  }
  if (change.report_delay) add_reports(prepared, ReportKind::delay);
  return prepared;
}

/// A message is never let go while a recipient of it waits, whatever the schedule believes.
bool Engine::still_waits(Prepared& prepared) {
  std::vector<Change::Regroup>& again = prepared.change->new_groups;
  for (const auto& r : prepared.all) {
    if (r.state != RecipientState::waiting) continue;
    const std::string destination = r.route == Route::local ? std::string{} : r.destination;
    const bool known = std::any_of(again.begin(), again.end(), [&](const auto& g) { return g.route == r.route && g.destination == destination; });
    if (!known) again.push_back({destination, r.route, std::max(r.due, clock_.now())});
  }
  if (again.empty()) return false;
  prepared.finishes = false;
  log_.error("the schedule had lost recipients that wait", {{"number", prepared.change->number}});
  return true;
}

Result<void> Engine::finish(Prepared& prepared) {
  TRY_ASSIGN(const auto schedule, spool_.schedule(prepared.change->number));
  add_reports(prepared, ReportKind::failure);
  add_reports(prepared, ReportKind::success);
  prepared.history = history_of(*prepared.message, prepared.all, schedule.received, clock_.now());
  prepared.owes = false;
  return {};
}

// ---- the transaction -----------------------------------------------------------------------------------------------

Result<void> Engine::write(std::vector<Accept*>& accepts, std::vector<Prepared>& prepared) {
  TRY_ASSIGN(const auto batch, spool_.begin());
  for (auto& p : prepared) {
    const Change& c = *p.change;
    for (const auto& own : p.reports) {
      const TextBody body(own.body);
      TRY(batch->add(own.number, own.message, &body));
    }
    for (const auto& note : c.notes) TRY(batch->note(c.number, note));
    if (p.finishes) {
      TRY(batch->erase(c.number, *p.history));
      continue;
    }
    for (const auto& [index, record] : c.recipients) TRY(batch->put_recipient(c.number, index, record));
    if (c.schedule) TRY(batch->put_schedule(c.number, *c.schedule));
  }
  for (const auto& [destination, reason] : holds_) {
    if (reason) TRY(batch->put_hold(destination, *reason));
    else TRY(batch->remove_hold(destination));
  }
  const auto day = static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::days>(clock_.now().time_since_epoch()).count());
  for (const auto& [what, times] : observations_) TRY(batch->observe(day, what, times));
  if (forget_) TRY(batch->forget(clock_.now() - limits::kHistoryLife, limits::kHistorySweep));
  for (const Accept* accept : accepts) {
    const FileBody body(accept->body.get(), accept->size());
    TRY(batch->add(accept->number, accept->message, accept->is_large() ? nullptr : &body));
    const ScheduleRecord& schedule = accept->message.schedule;
    if (schedule.held)
      TRY(batch->note(accept->number, {.at = schedule.received, .what = "held", .destination = {}, .recipients = {},
                                       .reply = {250, "2.0.0", schedule.held_reason}, .server = {}, .tls = {}, .use = {}}));
    if (!accept->report) continue;
    const TextBody text(accept->report->body);
    TRY(batch->add(accept->report->number, accept->report->message, &text));
  }
  return batch->commit();
}

bool Engine::commit() {
  if (accepts_.empty() && changes_.empty() && holds_.empty() && !forget_ && observations_.empty()) return false;
  std::vector<Accept*> accepts;
  const std::size_t left = choose_accepts(accepts);
  const bool paused = commit_again_ > clock_.now();
  std::vector<Prepared> prepared;
  if (!paused) {
    merge_changes();
    for (auto& change : changes_) {
      auto made = prepare(change);
      if (made) {
        prepared.push_back(*std::move(made));
        continue;
      }
      log_.error("a message's rows cannot be read; it stays as it is until the next start", {{"number", change.number}, {"error", made.error().message}});
      if (change.stored) change.stored(false);
    }
  }
  if (accepts.empty() && prepared.empty() && holds_.empty() && !forget_ && observations_.empty()) {
    if (!paused) changes_.clear();
    return left > 0;
  }
  for (Accept* accept : accepts) report_expanded(*accept);
  const auto began = clock_.steady();
  Result<void> stored = paused ? Result<void>(tl::unexpected<Error>(commit_failure_)) : write(accepts, prepared);
  if (!stored && stored.error().code == "spool.full") {
    if (const auto grown = spool_.grow(); grown && *grown) stored = write(accepts, prepared);
  }
  if (!stored) {
    if (!paused) {
      metrics_.count("queue_commit_failures_total");
      log_.error("a commit failed: nothing of it is accepted", {{"messages", accepts.size()}, {"results", prepared.size()}, {"error", stored.error().message}});
    }
    for (Accept* accept : accepts) {
      if (accept->is_large())
        if (auto swept = spool_.unstage(accept->number); !swept) log_.warning("pieces of a body stay until the next start", {{"error", swept.error().message}});
      refuse(*accept, stored.error());
    }
    std::erase_if(accepts_, [&](const Accept& a) { return std::find(accepts.begin(), accepts.end(), &a) != accepts.end(); });
    accepts.clear();
    // Results must not be lost for want of room for new mail.
    if (!paused && !prepared.empty()) stored = write(accepts, prepared);
    if (!stored) {
      if (!paused) {
        commit_again_ = clock_.now() + kCommitPause;
        commit_failure_ = {stored.error().code, "the last commit failed a moment ago: " + stored.error().message};
      }
      return left > 0;
    }
  }
  metrics_.count("queue_commits_total");
  metrics_.observe_ms("queue_commit_ms", static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began).count()));
  committed(accepts, prepared);
  return left > 0;
}

void Engine::refuse(Accept& accept, const Error& error) {
  metrics_.count("queue_refused_total");
  if (error.code == "spool.full") return accept.answer({452, "4.3.1", "Insufficient system storage, try again later"});
  accept.answer({451, "4.3.0", "The message could not be stored, try again later"});
}

void Engine::park_unread(const Accept& accept) {
  parked_.emplace(accept.number, accept.size());
  metrics_.count("queue_parked_total");
  log_.error("a message is parked", {{"id", accept.message.message.id}, {"number", accept.number}, {"reason", accept.message.schedule.held_reason}});
}

void Engine::committed(std::vector<Accept*>& accepts, std::vector<Prepared>& prepared) {
  metrics_.observe_ms("queue_commit_batch", accepts.size() + prepared.size());
  holds_.clear();
  observations_.clear();
  forget_ = false;
  for (Accept* accept : accepts) {
    const auto& m = accept->message.message;
    log_.info("message accepted", {{"id", m.id}, {"number", accept->number}, {"from", m.reverse_path}, {"recipients", accept->message.recipients.size()}, {"bytes", m.content.size}});
    metrics_.count("queue_accepted_total");
    accept->answer({250, "2.0.0", m.id + " queued"});
    schedule_new(accept->number, accept->message);
    if (accept->report) schedule_new(accept->report->number, accept->report->message);
    if (accept->message.schedule.held_reason == kParkedUnread) park_unread(*accept);
    else remember(accept->number, *accept);
  }
  std::vector<Change> settled = std::exchange(changes_, {});
  for (const Accept* accept : accepts) note_returned(*accept);
  if (!accepts.empty())
    std::erase_if(accepts_, [&](const Accept& a) { return std::find(accepts.begin(), accepts.end(), &a) != accepts.end(); });
  for (auto& p : prepared) {
    Change& c = *p.change;
    for (const auto& group : c.new_groups)
      if (scheduler_.has(c.number)) scheduler_.add_group(c.number, {group.destination, group.route, group.due, 0});
    for (const auto& after : c.groups) {
      switch (after.after) {
        case Change::After::done: scheduler_.done(after.group); break;
        case Change::After::defer: scheduler_.defer(after.group, after.due); break;
        case Change::After::requeue: scheduler_.requeue(after.group, after.due); break;
      }
    }
    carry_out_orders(c);
    refresh(c);
    if (p.finishes || (c.schedule && !c.schedule->held)) parked_.erase(c.number);
    if (p.finishes) forget_fresh(c.number);
    else if (p.owes) scheduler_.report_at(c.number, clock_.now() + limits::kReportDelay);
    for (const auto& own : p.reports) {
      schedule_new(own.number, own.message);
    }
    if (c.stored) c.stored(true);
  }
}

}  // namespace postern::queue
