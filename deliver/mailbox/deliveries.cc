#include "deliver/mailbox/deliveries.h"

#include <algorithm>

#include "base/check.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

using privsep::SmtpReply;

namespace {

constexpr std::size_t kUnwritten = 10'000;               // remembered in memory before they are written at once
constexpr std::chrono::seconds kClockSlack{5};           // between the listener's clock reading and ours

std::string_view name_of(RouteKind kind) {
  switch (kind) {
    case RouteKind::store: return "store";
    case RouteKind::maildir: return "maildir";
    case RouteKind::lmtp: return "lmtp";
    case RouteKind::relay: return "relay";
  }
  return "other";
}

std::string_view result_of(const SmtpReply& reply) { return reply.is_success() ? "done" : reply.is_permanent() ? "failed" : "deferred"; }

std::string_view size_label(std::size_t count) {
  if (count == 1) return "size=\"1\"";
  if (count < 10) return "size=\"2-9\"";
  return count < 100 ? "size=\"10-99\"" : "size=\"100-\"";
}

}  // namespace

/// One message on its way to some recipients.
struct Deliveries::Job {
  struct Target {
    std::string address;
    std::size_t open = 0;  // routes that have not ended
    SmtpReply reply = make_reply(250, "2.0.0", "delivered");
  };
  std::uint64_t epoch = 0, number = 0;
  std::string id, reverse_path;
  bool to_junk = false, smtputf8 = false;
  WallTime received{};
  MessageBytesPtr bytes;
  std::vector<Target> targets;
  std::size_t open = 0;  // targets that have not ended, and take() itself
  std::map<std::string, std::vector<std::pair<std::size_t, std::string>>> lmtp;  // by server: target and address
  Done done;
  SteadyTime begun{};

  DeliveryKey key(const std::string& recipient) const { return {epoch, number, recipient}; }
};

Deliveries::Deliveries(const Parts& parts, Options options)
    : parts_(parts), options_(std::move(options)), started_(parts.clock.now()) {}

void Deliveries::take(const privsep::LocalDelivery& delivery, const Fd& body, Done done) {
  auto bytes = MessageBytes::open(delivery.content, body, limits::kMessageBytes);
  if (!bytes) {
    // Not the recipients' fault: the queue keeps the message, and a person finds this line.
    parts_.log.error("a delivery's body is not what it should be", {{"id", delivery.id}, {"error", bytes.error().message}});
    privsep::DeliveryResult result;
    result.outcomes.assign(delivery.targets.size(), {reply_for(bytes.error()), {}, {}, false});
    return done(result);
  }
  auto job = std::make_shared<Job>();
  job->epoch = delivery.spool_epoch;
  job->number = delivery.spool_number;
  job->id = delivery.id;
  job->reverse_path = delivery.reverse_path;
  job->to_junk = delivery.to_junk;
  job->smtputf8 = delivery.smtputf8;
  job->received = delivery.received;
  job->bytes = *std::move(bytes);
  job->done = std::move(done);
  job->begun = parts_.clock.steady();
  for (const auto& target : delivery.targets) job->targets.push_back({target, 0, make_reply(250, "2.0.0", "delivered")});
  job->open = job->targets.size() + 1;
  ++jobs_;
  for (std::size_t target = 0; target < job->targets.size(); ++target) route_target(job, target);
  start_lmtp(job);
  if (--job->open == 0) finish_job(job);
}

void Deliveries::route_target(const JobPtr& job, std::size_t target) {
  Resolution found;
  const auto looked = parts_.directory.database().read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(found, resolve(parts_.directory, txn, job->targets[target].address, options_.plus_separator));
    return {};
  });
  job->targets[target].open = 1;
  if (!looked) {
    parts_.log.error("the directory cannot be read", {{"id", job->id}, {"error", looked.error().message}});
    return finish_route(job, target, RouteKind::store, reply_for(looked.error()));
  }
  // A forward out of here is the queue's to send: it asks again at the front door, where it gets a ticket.
  const bool leads_out = std::ranges::any_of(found.routes, [](const Route& r) { return r.kind == RouteKind::relay; });
  if (found.routes.empty() || leads_out)
    return finish_route(job, target, RouteKind::relay, reply_for(leads_out ? Refusal::not_ours : found.refusal));
  job->targets[target].open = found.routes.size();
  for (const Route& route : found.routes) start_route(job, target, route);
}

void Deliveries::start_route(const JobPtr& job, std::size_t target, const Route& route) {
  switch (route.kind) {
    case RouteKind::store: return to_store(job, target, route);
    case RouteKind::maildir: return to_maildir(job, target, route);
    case RouteKind::lmtp: job->lmtp[route.lmtp_name].emplace_back(target, route.target); return;
    case RouteKind::relay: return finish_route(job, target, route.kind, reply_for(Refusal::not_ours));
  }
}

// ---- our own store -------------------------------------------------------------------------------------------------

void Deliveries::to_store(const JobPtr& job, std::size_t target, const Route& route) {
  auto trace = trace_fields(job->reverse_path, route.target);
  if (!trace) return finish_route(job, target, route.kind, make_reply(553, "5.1.7", "an address that no field can hold"));
  Incoming incoming;
  incoming.key = job->key(route.target);
  incoming.account = route.account.id;
  incoming.folder = job->to_junk ? FolderId::junk : FolderId::inbox;
  incoming.quota_bytes = route.account.quota_bytes;
  incoming.trace = *std::move(trace);
  incoming.bytes = job->bytes;
  incoming.received = job->received;
  waiting_.push_back({job, target, std::move(incoming)});
}

void Deliveries::flush() {
  if (parts_.maildir != nullptr) parts_.maildir->flush();
  auto waiting = std::exchange(waiting_, {});
  std::vector<Waiting> batch;
  std::uint64_t bytes = 0;
  for (Waiting& one : waiting) {
    // Recipients of one message stand side by side and share its body.
    if (batch.empty() || batch.back().incoming.bytes != one.incoming.bytes) bytes += one.incoming.bytes->size();
    batch.push_back(std::move(one));
    if (batch.size() < limits::kBatchMessages && bytes < limits::kBatchBytes) continue;
    commit(std::exchange(batch, {}));
    bytes = 0;
  }
  if (!batch.empty()) commit(std::move(batch));
}

void Deliveries::commit(std::vector<Waiting> batch) {
  std::vector<Incoming> incoming;
  incoming.reserve(batch.size());
  for (Waiting& one : batch) incoming.push_back(std::move(one.incoming));
  const auto stored = parts_.store.deliver(incoming);
  parts_.metrics.count("mailbox_commits_total", size_label(batch.size()));
  if (!stored) parts_.log.error("mail could not be stored", {{"messages", batch.size()}, {"error", stored.error().message}});
  for (std::size_t i = 0; i < batch.size(); ++i)
    finish_route(batch[i].job, batch[i].target, RouteKind::store, stored ? reply_for((*stored)[i]) : reply_for(stored.error()));
}

// ---- Maildir -------------------------------------------------------------------------------------------------------

bool Deliveries::is_known(const DeliveryKey& key, const std::function<void(const SmtpReply&)>& then) {
  if (const auto it = at_work_.find(key); it != at_work_.end()) return it->second.push_back(then), true;
  const auto was = unwritten_.contains(key) ? Result<bool>(true) : parts_.store.was_delivered(key);
  if (was && !*was) return false;
  then(was ? reply_for(Stored::repeated) : reply_for(was.error()));
  return true;
}

void Deliveries::finish_elsewhere(const DeliveryKey& key, const SmtpReply& reply) {
  if (reply.is_success()) unwritten_.emplace(key, '\0');
  const auto it = at_work_.find(key);
  POSTERN_CHECK(it != at_work_.end());
  const auto others = std::move(it->second);
  at_work_.erase(it);
  for (const auto& then : others) then(reply);
  if (unwritten_.size() >= kUnwritten) write_memory();
}

void Deliveries::to_maildir(const JobPtr& job, std::size_t target, const Route& route) {
  const auto done = [this, job, target](const SmtpReply& reply) { finish_route(job, target, RouteKind::maildir, reply); };
  if (parts_.maildir == nullptr) {
    parts_.log.error("an account has a Maildir but mailbox.maildir names no folder", {{"account", route.target}});
    return done(make_reply(451, "4.3.5", "the mailbox is not available at present"));
  }
  const DeliveryKey key = job->key(route.target);
  if (is_known(key, done)) return;
  auto trace = trace_fields(job->reverse_path, route.target);
  if (!trace) return done(make_reply(553, "5.1.7", "an address that no field can hold"));
  at_work_[key].push_back(done);
  MaildirMessage message;
  message.name = maildir_file_name(key, job->received, options_.host_name);
  message.trace = *std::move(trace);
  message.bytes = job->bytes;
  // What came since this process runs can only be a repeat of what it remembers; before that, only the folder knows.
  message.may_be_repeat = job->received < started_ + kClockSlack;
  parts_.maildir->add(route.account.maildir_folder, job->to_junk, std::move(message),
                      [this, key, id = job->id](Result<Stored> stored) {
                        if (!stored) parts_.log.error("a Maildir delivery failed", {{"id", id}, {"error", stored.error().message}});
                        finish_elsewhere(key, stored ? reply_for(*stored) : reply_for(stored.error()));
                      });
}

// ---- LMTP ----------------------------------------------------------------------------------------------------------

void Deliveries::start_lmtp(const JobPtr& job) {
  for (const auto& [server, recipients] : job->lmtp) {
    std::vector<std::string> fresh;
    const auto send = [&, &name = server] {
      LmtpMessage message;
      message.reverse_path = job->reverse_path;
      message.recipients = fresh;
      message.smtputf8 = job->smtputf8;
      // Return-Path and Delivered-To are the final server's to write. Sieve scripts look for this one.
      if (job->to_junk) message.extra = "X-Spam-Flag: YES\r\n";
      message.bytes = job->bytes;
      parts_.lmtp.deliver(name, std::move(message), [this, job, addresses = std::exchange(fresh, {})](const LmtpOutcome& outcome) {
        POSTERN_CHECK(outcome.size() == addresses.size());
        for (std::size_t i = 0; i < addresses.size(); ++i) finish_elsewhere(job->key(addresses[i]), outcome[i]);
      });
    };
    for (const auto& [target, address] : recipients) {
      const auto done = [this, job, place = target](const SmtpReply& reply) { finish_route(job, place, RouteKind::lmtp, reply); };
      const DeliveryKey key = job->key(address);
      if (is_known(key, done)) continue;
      at_work_[key].push_back(done);
      fresh.push_back(address);
      if (fresh.size() == limits::kLmtpRecipients) send();
    }
    if (!fresh.empty()) send();
  }
}

// ---- the end -------------------------------------------------------------------------------------------------------

void Deliveries::finish_route(const JobPtr& job, std::size_t target, RouteKind kind, const SmtpReply& reply) {
  Job::Target& state = job->targets[target];
  state.reply = SmtpReply(worse(state.reply, reply));
  std::string labels = "kind=\"";
  labels.append(name_of(kind)).append("\",result=\"").append(result_of(reply)).append("\"");
  parts_.metrics.count("mailbox_deliveries_total", labels);
  parts_.log.info("delivery", {{"id", job->id}, {"to", state.address}, {"kind", name_of(kind)}, {"reply", reply.code},
                               {"text", reply.enhanced + " " + reply.text}});
  POSTERN_CHECK(state.open > 0);
  if (--state.open == 0 && --job->open == 0) finish_job(job);
}

void Deliveries::finish_job(const JobPtr& job) {
  privsep::DeliveryResult result;
  for (auto& target : job->targets) result.outcomes.push_back({std::move(target.reply), {}, {}, false});
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(parts_.clock.steady() - job->begun);
  parts_.metrics.observe_ms("mailbox_delivery_ms", static_cast<std::uint64_t>(std::max<std::int64_t>(0, took.count())));
  --jobs_;
  const Done done = std::move(job->done);
  done(result);
}

void Deliveries::write_memory() {
  if (unwritten_.empty()) return;
  std::vector<DeliveryKey> keys;
  for (const auto& [key, unused] : unwritten_) keys.push_back(key);
  const auto written = parts_.store.remember(keys);
  if (written) unwritten_.clear();
  // They stay in memory then, and the folder itself still knows.
  if (!written) parts_.log.warning("deliveries could not be remembered", {{"error", written.error().message}});
}

}  // namespace postern::mailbox
