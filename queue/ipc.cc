#include "queue/ipc.h"

#include <optional>

#include "base/text.h"
#include "io/loop.h"
#include "io/timer.h"
#include "queue/admin.h"
#include "queue/engine.h"
#include "queue/limits.h"
#include "queue/lmdb_spool.h"
#include "queue/sts_store.h"

namespace postern::queue {

namespace {

using privsep::From;
using privsep::Reply;
using privsep::Role;

constexpr std::chrono::minutes kLocalPatience{10};
constexpr std::chrono::minutes kRemotePatience{60};   // longer than the timeouts of RFC 5321 §4.5.3.2 of one delivery together
constexpr std::chrono::seconds kDiskPeriod{1};
constexpr std::chrono::minutes kForgetPeriod{1};
constexpr const char* kSpoolName = "/spool.lmdb";

/// Asks the two peers.
class PeerCourier final : public Courier {
 public:
  explicit PeerCourier(privsep::Peers& peers) : peers_(peers) {}
  void deliver(const privsep::LocalDelivery& request, int body, Done done) override { ask(Role::mailbox, request, body, kLocalPatience, std::move(done)); }
  void deliver(const privsep::RemoteDelivery& request, int body, Done done) override { ask(Role::remote, request, body, kRemotePatience, std::move(done)); }

 private:
  template <class M>
  void ask(Role role, const M& request, int body, std::chrono::milliseconds patience, Done done) {
    if (!peers_.has(role)) {
      peers_.loop().post([done = std::move(done)] { done(failure("ipc.absent", "no such process just now")); });
      return;
    }
    peers_.ask<privsep::DeliveryResult>(role, request, body, patience,
                                        [done = std::move(done)](Result<privsep::DeliveryResult> result, Fd) { done(std::move(result)); });
  }
  privsep::Peers& peers_;
};

class QueueService final : public privsep::Service {
 public:
  explicit QueueService(privsep::Child& child)
      : child_(child), dispatch_(*this, child.peers), courier_(child.peers), wake_(child.loop), disk_(child.loop), forget_(child.loop),
        refresh_(child.loop) {}

  Result<void> open() override;
  void start() override;
  void reload() override;
  void stop(std::function<void()> done) override;
  void peer_came(From from) override;
  void peer_gone(From from) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::SpoolRequest& request, Reply<privsep::SpoolRequest> reply, From from, Fd body) {
    engine_->accept(request, from.role, std::move(body), [reply](const privsep::SmtpReply& answer) { reply(privsep::SpoolAnswer{answer}); });
  }
  void on(const privsep::AdminRequest& request, Reply<privsep::AdminRequest> reply, From, Fd) {
    administer(*engine_, request, [reply](const privsep::AdminAnswer& answer) { reply(answer); });
  }
  void on(const privsep::StsQuery& query, Reply<privsep::StsQuery> reply, From, Fd);
  void on(const privsep::StsLearnt& learnt, From, Fd);

 private:
  EngineOptions options() const;
  void before_block();
  void look_at_disk();
  void tell_state();
  void refresh_policies();

  privsep::Child& child_;
  privsep::Dispatch<Role::queue, QueueService> dispatch_;
  PeerCourier courier_;
  Fd folder_;
  std::unique_ptr<LmdbSpool> spool_;
  std::optional<StsStore> policies_;
  std::unique_ptr<Engine> engine_;
  io::Timer wake_, disk_, forget_, refresh_;
  bool serving_ = false;
  privsep::SpoolState state_;
  std::function<void()> stopped_;
};

EngineOptions QueueService::options() const {
  const auto& config = child_.config;
  EngineOptions options;
  options.host = config.text("server.host_name").empty() ? "localhost" : config.text("server.host_name");
  options.intake.max_message_size = config.number("smtp.max_message_size");
  options.intake.expire = config.seconds("queue.expire");
  options.intake.warn_after = config.seconds("queue.warn_after");
  std::vector<std::chrono::seconds> pauses;
  for (const auto& pause : config.list("queue.retry"))
    if (const auto parsed = parse_duration(pause)) pauses.push_back(*parsed);
  if (!pauses.empty()) options.curve = RetryCurve(std::move(pauses));
  options.max_deliveries = static_cast<std::uint32_t>(config.number("queue.max_deliveries"));
  options.max_concurrency = static_cast<std::uint32_t>(config.number("queue.max_concurrency"));
  options.max_attempts = static_cast<std::uint16_t>(config.number("queue.max_attempts"));
  for (const auto& rule : config.list("queue.hold")) options.holds.push_back(text::to_lower(rule));
  if (config.flag("queue.hold_all")) options.holds.emplace_back("*");
  options.verp = config.flag("queue.verp");
  options.plus_separator = config.text("mailbox.plus_separator");
  options.headers_only = config.flag("queue.dsn_headers_only");
  return options;
}

Result<void> QueueService::open() {
  TRY_ASSIGN(folder_, child_.take_file("spool"));
  std::uint64_t epoch = 0;
  child_.entropy.fill(std::as_writable_bytes(std::span(&epoch, 1)));
  // The folder by its descriptor: what the parent opened is what is used, whatever happens to the path.
  const std::string path = "/proc/self/fd/" + std::to_string(folder_.get()) + kSpoolName;
  TRY_ASSIGN(spool_, LmdbSpool::open(path, child_.config.number("queue.max_size"), epoch));
  TRY_ASSIGN(policies_, StsStore::open(spool_->env()));
  engine_ = std::make_unique<Engine>(*spool_, courier_, child_.loop, child_.entropy, child_.log, child_.metrics, child_.ticket_key, options());
  TRY(engine_->load());
  return {};
}

void QueueService::start() {
  serving_ = true;
  child_.log.info("the queue serves", {{"messages", engine_->scheduler().messages()}});
  engine_->set_available(Route::local, child_.peers.has(Role::mailbox));
  engine_->set_available(Route::remote, child_.peers.has(Role::remote));
  child_.loop.before_block([this] { before_block(); });
  look_at_disk();
  tell_state();
  disk_.repeat(kDiskPeriod, [this] {
    look_at_disk();
    engine_->report_gauges();
  });
  forget_.repeat(kForgetPeriod, [this] { engine_->forget_old(); });
  refresh_.repeat(limits::kStsPeriod, [this] { refresh_policies(); });
}

void QueueService::reload() {
  engine_->set_options(options());
  spool_->set_limit(child_.config.number("queue.max_size"));
}

void QueueService::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  engine_->stop();
}

void QueueService::peer_came(From from) {
  if (!serving_) return;  // start() looks who is there
  if (from.role == Role::listener) child_.peers.tell_one(from, state_);
  if (from.role == Role::mailbox) engine_->set_available(Route::local, true);
  if (from.role == Role::remote) engine_->set_available(Route::remote, true);
}

void QueueService::peer_gone(From from) {
  if (!engine_) return;
  if (from.role == Role::mailbox && !child_.peers.has(Role::mailbox)) engine_->set_available(Route::local, false);
  if (from.role == Role::remote && !child_.peers.has(Role::remote)) engine_->set_available(Route::remote, false);
}

void QueueService::before_block() {
  if (!serving_) return;
  if (engine_->turn()) child_.loop.post([] {});  // another turn before the loop sleeps
  if (stopped_ && engine_->is_stored()) {
    serving_ = false;
    return std::exchange(stopped_, nullptr)();
  }
  const auto at = engine_->wake();
  if (!at) return wake_.stop();
  wake_.start(std::max(*at - child_.loop.now(), std::chrono::milliseconds{1}), [] {});
}

/// Below the reserve, or past 95 % of what the spool may hold, nothing new is taken; deliveries go on and make room.
void QueueService::look_at_disk() {
  const auto space = io::disk_space(folder_);
  const auto usage = spool_->usage();
  bool room = true;
  if (space && space->total_bytes > 0) {
    const std::uint64_t reserve = space->total_bytes / 100 * child_.config.number("queue.reserve_percent");
    constexpr std::uint64_t kLeastFiles = 16;
    room = space->free_bytes > reserve && (space->free_files == 0 || space->free_files > kLeastFiles);
  }
  if (usage) {
    room = room && usage->used_bytes < usage->limit_bytes / 100 * 95;
    child_.metrics.gauge("queue_spool_bytes", usage->used_bytes);
    child_.metrics.gauge("queue_spool_limit_bytes", usage->limit_bytes);
  }
  if (room == state_.accepting) return;
  state_.accepting = room;
  state_.reply = room ? privsep::SmtpReply{250, "2.0.0", "OK"} : privsep::SmtpReply{452, "4.3.1", "Insufficient system storage, try again later"};
  engine_->set_accepting(room);
  child_.log.warning(room ? "there is room again: mail is taken" : "no room: new mail is answered 452");
  tell_state();
}

void QueueService::on(const privsep::StsQuery& query, Reply<privsep::StsQuery> reply, From, Fd) {
  auto found = policies_->find(query.domain, child_.clock.now());
  if (found) return reply(privsep::StsKnown{{}, std::move(*found)});
  child_.log.error("a kept MTA-STS policy cannot be read", {{"domain", text::printable(query.domain)}, {"error", found.error().message}});
  // A row that is spoiled will not mend: the policy is fetched anew. A disk that does not answer may.
  if (found.error().code == "spool.corrupt" || found.error().code == "spool.version") return reply(privsep::StsKnown{});
  reply(privsep::StsKnown{found.error().message, {}});
}

void QueueService::on(const privsep::StsLearnt& learnt, From, Fd) {
  const auto kept = policies_->keep(learnt.policy, child_.clock.now());
  if (!kept) child_.log.warning("an MTA-STS policy is not kept", {{"domain", text::printable(learnt.policy.domain)}, {"error", kept.error().message}});
}

/// A policy that is refreshed before it expires leaves no gap in which somebody could hide the domain's next one.
void QueueService::refresh_policies() {
  const WallTime now = child_.clock.now();
  if (const auto swept = policies_->sweep(now, limits::kStsSweep); !swept) child_.log.warning("old MTA-STS policies stay", {{"error", swept.error().message}});
  const auto old = policies_->old_ones(now, limits::kStsRefreshes);
  if (!old) return child_.log.warning("MTA-STS policies cannot be read", {{"error", old.error().message}});
  for (const std::string& domain : *old) child_.peers.tell(Role::remote, privsep::StsRefresh{domain});
}

void QueueService::tell_state() {
  if (state_.accepting) state_.reply = {250, "2.0.0", "OK"};
  child_.peers.tell_all(Role::listener, state_);
}

}  // namespace

std::unique_ptr<privsep::Service> make_service(privsep::Child& child) { return std::make_unique<QueueService>(child); }

}  // namespace postern::queue
