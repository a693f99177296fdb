#include "queue/engine.h"

#include <algorithm>

#include "base/text.h"
#include "io/memfd.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {
constexpr std::chrono::seconds kStuckPause{60};     // after a peer that did not answer in time
constexpr std::chrono::seconds kExpireAgain{10};
constexpr unsigned kMostDeaths = 2;                 // the second time a peer dies over the same message it is parked
}  // namespace

Engine::Engine(Spool& spool, Courier& courier, const Clock& clock, crypto::Entropy& entropy, const Log& log, privsep::Metrics& metrics,
               const Secret& ticket_key, EngineOptions options)
    : spool_(spool), courier_(courier), clock_(clock), entropy_(entropy), log_(log), metrics_(metrics), ticket_key_(ticket_key),
      options_(std::move(options)), scheduler_(clock, {options_.curve, options_.max_deliveries, options_.max_concurrency}) {}

void Engine::set_options(EngineOptions options) {
  const EngineOptions before = std::exchange(options_, std::move(options));
  scheduler_.set_options({options_.curve, options_.max_deliveries, options_.max_concurrency});
  configure_holds(before.holds, options_.holds);
}

namespace {

OpenRecipient open_of(const RecipientRecord& r) { return {r.destination, r.route, r.due, r.attempts}; }

/// One group a (route, destination) of the recipients that wait, into `groups`. A message has few destinations, or many with one
/// recipient each; sorting serves both. The names stay where `open` has them.
void group(std::span<const OpenRecipient> open, std::vector<Scheduler::NewGroup>& groups) {
  groups.clear();
  for (const auto& r : open) groups.push_back({r.route == Route::local ? std::string_view{} : r.destination, r.route, r.due, r.attempts});
  if (groups.size() < 2) return;
  const auto key = [](const auto& g) { return std::make_pair(g.route, g.destination); };
  std::stable_sort(groups.begin(), groups.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (kept > 0 && key(groups[kept - 1]) == key(groups[i])) {
      groups[kept - 1].due = std::min(groups[kept - 1].due, groups[i].due);
      groups[kept - 1].attempts = std::max(groups[kept - 1].attempts, groups[i].attempts);
    } else {
      groups[kept++] = groups[i];
    }
  }
  groups.resize(kept);
}

Scheduler::Entry entry_of(Number number, const ScheduleRecord& schedule) {
  return {number, schedule.expires, schedule.warn_at, schedule.sender, schedule.held, schedule.deaths > 0};
}

}  // namespace

Result<void> Engine::load() {
  std::array<std::byte, 32> fresh_key{};
  entropy_.fill(fresh_key);
  // The key of return paths lives with the messages they name: both outlast this process, and a backup holds both.
  TRY_ASSIGN(auto return_key, spool_.keep("return key", std::string(text_of(fresh_key))));
  return_key_ = Secret(std::move(return_key));
  TRY_ASSIGN(auto holds, spool_.holds());
  load_holds(std::move(holds));
  TRY_ASSIGN(const auto messages, spool_.count());
  scheduler_.reserve(static_cast<std::size_t>(messages));
  std::vector<Number> parked;
  std::vector<Number> finished;  // all recipients done, but the end was not committed: cannot be, and is looked after
  std::vector<Scheduler::NewGroup> groups;
  TRY_ASSIGN(const auto spoiled, spool_.load([&](LoadedMessage& loaded) {
    group(loaded.open, groups);
    if (is_stale_hold(loaded.schedule)) loaded.schedule.held = false;
    if (groups.empty()) finished.push_back(loaded.number);
    else scheduler_.add(entry_of(loaded.number, loaded.schedule), groups);
    if (loaded.schedule.held && loaded.schedule.held_reason == kParkedUnread) parked.push_back(loaded.number);
    return true;
  }));
  TRY(load_parked(parked));
  if (spoiled > 0) log_.error("spool rows cannot be read and are left alone", {{"rows", spoiled}});
  for (const Number number : finished) log_.error("a message without open recipients lies in the spool", {{"number", number}});
  return {};
}

Result<void> Engine::load_parked(const std::vector<Number>& numbers) {
  for (const Number number : numbers) {
    TRY_ASSIGN(const auto message, spool_.message(number));
    parked_.emplace(number, message.content.size);
  }
  return {};
}

bool Engine::has_room_to_park(std::uint64_t bytes) const {
  std::size_t messages = parked_.size();
  for (const auto& [number, size] : parked_) bytes += size;
  for (const Accept& accept : accepts_) {
    if (!accept.message.schedule.held) continue;
    ++messages;
    bytes += accept.size();
  }
  return messages < limits::kParkedMessages && bytes <= limits::kParkedBytes;
}

void Engine::accept(const privsep::SpoolRequest& request, privsep::Role from, Fd body, std::function<void(privsep::SmtpReply)> answer) {
  if (stopping_ || !accepting_) return answer({452, "4.3.1", "Insufficient system storage, try again later"});
  auto taken = take_in(request, from, body, ticket_key_, clock_.now(), options_.intake);
  if (auto* refusal = std::get_if<Refusal>(&taken)) {
    metrics_.count("queue_refused_total");
    log_.notice("message refused by the queue", {{"id", request.envelope.id}, {"from", privsep::name_of(from)}, {"why", refusal->why}});
    return answer(refusal->reply);
  }
  if (request.park && !has_room_to_park(request.content.size)) {
    metrics_.count("queue_refused_total");
    log_.error("a message cannot be parked: too many are", {{"id", request.envelope.id}, {"parked", parked_.size()}});
    return answer({451, "4.3.0", "The message cannot be kept for inspection now, try again later"});
  }
  Accept accept;
  accept.message = std::move(std::get<NewMessage>(taken));
  hold_by_sender(accept.message);
  accept.body = std::move(body);
  accept.answer = std::move(answer);
  accept.came = clock_.steady();
  look_for_return(accept);
  accepts_.push_back(std::move(accept));
}

bool Engine::turn() {
  const bool staging = stage_large();
  bool more = commit();
  handle_events();
  if (!changes_.empty() && commit_again_ <= clock_.now()) more = true;
  pump();
  return more || staging;
}

std::optional<WallTime> Engine::wake() {
  auto at = scheduler_.wake();
  if (!changes_.empty() && (!at || commit_again_ < *at)) at = commit_again_;
  return at;
}

// ---- what happens by itself ----------------------------------------------------------------------------------------

void Engine::handle_events() {
  scheduler_.advance();
  while (const auto event = scheduler_.event()) {
    switch (event->kind) {
      case Scheduler::EventKind::expired: fail_expired(event->number); break;
      case Scheduler::EventKind::report: {
        Change report;
        report.number = event->number;
        report.report_now = true;
        change(std::move(report));
        break;
      }
      case Scheduler::EventKind::late: {
        Change report;
        report.number = event->number;
        report.report_delay = true;
        if (auto schedule = spool_.schedule(event->number)) {
          report.schedule = *std::move(schedule);
          report.schedule->warn_at = WallTime{};
          change(std::move(report));
        }
        break;
      }
    }
  }
}

void Engine::fail_expired(Number number) {
  if (!scheduler_.has(number)) return;
  Change failed;
  failed.number = number;
  auto all = spool_.recipients(number);
  if (!all) return log_.error("a message that expired cannot be read", {{"number", number}, {"error", all.error().message}});
  bool later = false;
  for (const auto& group : scheduler_.groups(number)) {
    if (group.held) continue;
    const std::string destination(group.destination);
    const auto claimed = scheduler_.claim(group.id);
    if (!claimed) {
      later = true;
      continue;
    }
    failed.groups.push_back({*claimed, Change::After::done, {}});
    for (std::uint32_t i = 0; i < all->size(); ++i) {
      auto& r = (*all)[i];
      if (r.state != RecipientState::waiting || r.route != group.route || (r.route == Route::remote && r.destination != destination)) continue;
      expire_recipient(r, clock_.now());
      failed.recipients.emplace_back(i, r);
      metrics_.count("queue_expired_total");
    }
  }
  if (later) scheduler_.expire_at(number, clock_.now() + kExpireAgain);
  if (!failed.groups.empty()) change(std::move(failed));
}

// ---- deliveries ----------------------------------------------------------------------------------------------------

void Engine::pump() {
  if (stopping_) return;
  while (const auto job = scheduler_.next()) launch(*job);
}

Result<Flight> Engine::prepare_flight(const Scheduler::Job& job, Fd& body) {
  Flight flight;
  flight.group = job.group;
  flight.number = job.number;
  flight.route = job.route;
  flight.destination = job.destination;
  flight.attempts = job.attempts;
  flight.suspect = job.suspect;
  flight.expires = scheduler_.expires(job.number);
  flight.max_attempts = options_.max_attempts;
  flight.started = clock_.now();
  if (const auto fresh = fresh_.find(job.number); fresh != fresh_.end()) {
    flight.message = fresh->second.message;
    flight.recipients = choose_recipients(fresh->second.recipients, job.route, job.destination, flight.partial);
    flight.only = flight.recipients.size() == fresh->second.recipients.size();
    body = fresh->second.body.duplicate();
    if (body) return flight;
  }
  TRY_ASSIGN(auto message, spool_.message(job.number));
  TRY_ASSIGN(const auto all, spool_.recipients(job.number));
  flight.message = std::make_shared<const MessageRecord>(std::move(message));
  flight.recipients = choose_recipients(all, job.route, job.destination, flight.partial);
  flight.only = flight.recipients.size() == all.size();
  TRY_ASSIGN(auto writer, io::MemfdWriter::create("postern-body"));
  TRY(spool_.read_body(job.number, UINT64_MAX, [&](ByteView chunk) { return writer.append(chunk); }));
  if (writer.size() != flight.message->content.size) return failure("spool.corrupt", "the body has lost bytes");
  TRY_ASSIGN(body, std::move(writer).seal());
  return flight;
}

void Engine::launch(const Scheduler::Job& job) {
  Fd body;
  auto flight = prepare_flight(job, body);
  if (flight && !flight->recipients.empty()) {
    ++flights_;
    const int fd = body.get();
    const SteadyTime began = clock_.steady();
    const Route route = job.route;
    // The requests are made before the flight moves into its own callback.
    if (route == Route::local) {
      const auto request = local_request(*flight, spool_.epoch());
      courier_.deliver(request, fd, [this, began, f = std::make_shared<Flight>(*std::move(flight))](Result<privsep::DeliveryResult> result) {
        returned(std::move(*f), began, std::move(result));
      });
    } else {
      auto request = remote_request(*flight);
      request.reverse_path = return_path_of(*flight->message, flight->number);
      courier_.deliver(request, fd, [this, began, f = std::make_shared<Flight>(*std::move(flight))](Result<privsep::DeliveryResult> result) {
        returned(std::move(*f), began, std::move(result));
      });
    }
    return;
  }
  scheduler_.landed(job.group, Feedback::lost);
  if (flight) {  // its recipients ended some other way
    Change nothing;
    nothing.number = job.number;
    nothing.groups.push_back({job.group, Change::After::done, {}});
    return change(std::move(nothing));
  }
  const Error& error = flight.error();
  log_.error("a message cannot be read from the spool", {{"number", job.number}, {"error", error.message}});
  if (error.code == "spool.corrupt" || error.code == "spool.version" || error.code == "spool.absent")
    return park(job.number, "cannot be read: " + error.message, {{job.group, Change::After::requeue, clock_.now()}});
  Change later;  // no descriptor or no memory just now
  later.number = job.number;
  later.groups.push_back({job.group, Change::After::requeue, clock_.now() + kExpireAgain});
  change(std::move(later));
}

void Engine::returned(Flight flight, SteadyTime began, Result<privsep::DeliveryResult> result) {
  --flights_;
  if (!result) return lost(flight, result.error());
  if (scheduler_.is_held_group(flight.group)) flight.expires = WallTime::max();
  Landing landing = apply(flight, *result, clock_.now(), options_.curve);
  scheduler_.landed(flight.group, landing.feedback);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began).count();
  metrics_.observe_ms(flight.route == Route::local ? "queue_local_delivery_ms" : "queue_remote_delivery_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(took, 0)));
  if (landing.delivered > 0) metrics_.count("queue_delivered_total", flight.route == Route::local ? "route=\"local\"" : "route=\"remote\"", landing.delivered);
  if (landing.deferred > 0) metrics_.count("queue_deferred_total", {}, landing.deferred);
  if (landing.failed > 0) metrics_.count("queue_failed_total", {}, landing.failed);
  for (const auto& what : result->tls_observations) ++observations_[text::printable(what, limits::kObservationBytes)];
  const auto& [index, first] = flight.recipients.front();
  log_.info("delivery ended", {{"id", flight.message->id}, {"to", first.target}, {"recipients", flight.recipients.size()},
                               {"delivered", landing.delivered}, {"deferred", landing.deferred}, {"failed", landing.failed},
                               {"reply", std::to_string(first.reply.code) + " " + first.reply.enhanced + " " + first.reply.text},
                               {"server", first.server}, {"tls", first.tls}});
  Change made;
  made.number = flight.number;
  made.notes = std::move(landing.notes);
  made.message = flight.message;
  made.only = flight.only;
  if (landing.waiting) made.groups.push_back({flight.group, Change::After::defer, landing.due});
  else made.groups.push_back({flight.group, Change::After::done, {}});
  for (const auto moved : landing.moved)
    for (const auto& [at, r] : flight.recipients)
      if (at == moved) made.new_groups.push_back({r.destination, Route::remote, clock_.now()});
  if (landing.waiting || !landing.moved.empty()) forget_fresh(flight.number);
  made.recipients = std::move(flight.recipients);
  change(std::move(made));
}

void Engine::lost(Flight& flight, const Error& error) {
  scheduler_.landed(flight.group, Feedback::lost);
  metrics_.count("queue_lost_deliveries_total");
  Change back;
  back.number = flight.number;
  back.groups.push_back({flight.group, Change::After::requeue, clock_.now()});
  if (error.code != "ipc.gone") {
    if (error.code != "ipc.absent") back.groups.back().due = clock_.now() + kStuckPause;
    log_.warning("a delivery got no answer", {{"id", flight.message->id}, {"error", error.code}});
    return change(std::move(back));
  }
  auto schedule = spool_.schedule(flight.number);
  if (!schedule) return change(std::move(back));
  // Many were under way when the peer fell; from now on each of these goes alone, and the second time says which it was.
  schedule->deaths = static_cast<std::uint8_t>(std::min(schedule->deaths + 1U, 255U));
  scheduler_.set_suspect(flight.number);
  if (flight.suspect && schedule->deaths >= kMostDeaths)
    return park(flight.number, "the " + std::string(flight.route == Route::local ? "mailbox" : "remote") + " process died twice while delivering it",
                std::move(back.groups));
  schedule->deaths = 1;
  back.schedule = *std::move(schedule);
  change(std::move(back));
}

void Engine::park(Number number, std::string reason, std::vector<Change::GroupAfter> groups) {
  Change parked;
  parked.number = number;
  parked.groups = std::move(groups);
  if (auto schedule = spool_.schedule(number)) {
    parked.schedule = *std::move(schedule);
    parked.schedule->held = true;
    parked.schedule->held_reason = reason;
    AttemptRecord note;
    note.at = clock_.now();
    note.what = "held";
    note.reply.text = reason;
    parked.notes.push_back(std::move(note));
  }
  scheduler_.set_held(number, true);
  forget_fresh(number);
  metrics_.count("queue_parked_total");
  log_.error("a message is parked", {{"number", number}, {"reason", reason}});
  change(std::move(parked));
}

// ---- small things --------------------------------------------------------------------------------------------------

void Engine::schedule_new(Number number, const NewMessage& message) {
  std::vector<OpenRecipient> open;
  for (const auto& r : message.recipients)
    if (r.state == RecipientState::waiting) open.push_back(open_of(r));
  std::vector<Scheduler::NewGroup> groups;
  group(open, groups);
  scheduler_.add(entry_of(number, message.schedule), groups);
}

void Engine::remember(Number number, Accept& accept) {
  if (accept.size() > limits::kBodyCacheBytes / 8) return;
  fresh_bytes_ += accept.size();
  fresh_[number] = {std::make_shared<const MessageRecord>(std::move(accept.message.message)), std::move(accept.message.recipients), std::move(accept.body)};
  fresh_order_.push_back(number);
  while (!fresh_order_.empty() && (fresh_bytes_ > limits::kBodyCacheBytes || fresh_.size() > limits::kBodyCacheFiles || !fresh_.contains(fresh_order_.front()))) {
    forget_fresh(fresh_order_.front());
    fresh_order_.pop_front();
  }
  if (fresh_order_.size() > 4 * limits::kBodyCacheFiles) std::erase_if(fresh_order_, [this](Number n) { return !fresh_.contains(n); });
}

void Engine::forget_fresh(Number number) {
  const auto found = fresh_.find(number);
  if (found == fresh_.end()) return;
  fresh_bytes_ -= found->second.message->content.size;
  fresh_.erase(found);
}

/// What is kept open must not show an older state than the disk.
void Engine::refresh(const Change& change) {
  const auto found = fresh_.find(change.number);
  if (found == fresh_.end()) return;
  for (const auto& [index, record] : change.recipients)
    if (index < found->second.recipients.size()) found->second.recipients[index] = record;
}

std::string Engine::new_id() {
  static constexpr std::string_view kLetters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
  std::array<std::byte, 16> random{};
  entropy_.fill(random);
  std::string id;
  for (const auto b : random) id += kLetters[std::to_integer<std::size_t>(b) % kLetters.size()];
  return id;
}

void Engine::report_gauges() {
  using enum GroupState;
  metrics_.gauge("queue_messages", scheduler_.messages());
  const std::pair<std::string_view, std::size_t> states[] = {
      {"state=\"waiting\"", scheduler_.groups_in(waiting)},
      {"state=\"ready\"", scheduler_.groups_in(ready) + scheduler_.groups_in(aside)},
      {"state=\"running\"", scheduler_.groups_in(running) + scheduler_.groups_in(landed)},
      {"state=\"held\"", scheduler_.groups_in(held)},
  };
  for (const auto& [label, value] : states) metrics_.gauge("queue_deliveries", value, label);
  metrics_.gauge("queue_bodies_open", fresh_.size());
  metrics_.gauge("queue_parked_unread", parked_.size());
}

}  // namespace postern::queue
