/// The queue itself: takes messages in, commits, gives out deliveries, takes their results, tells senders. Everything it needs comes in
/// through its constructor, so a test runs it without a process around it.
///
/// One turn: all that came in since the last one, new messages and results alike, is stored in one transaction and synced once; then
/// everybody is answered. What could not be stored is not accepted (451, 452), and results wait for the next try.
///
/// Trust: see intake.h and delivery.h for what comes from others.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/crypto.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/unique.h"
#include "privsep/metrics.h"
#include "queue/bounce.h"
#include "queue/delivery.h"
#include "queue/intake.h"
#include "queue/scheduler.h"
#include "queue/spool.h"

namespace postern::queue {

struct EngineOptions {
  std::string host = "localhost";
  IntakeRules intake;
  RetryCurve curve{{std::chrono::minutes{5}}};
  std::uint32_t max_deliveries = 500;
  std::uint32_t max_concurrency = 20;
  std::uint16_t max_attempts = 0;             ///< at one recipient; 0: as many as the time allows
  bool verp = false;                          ///< mail of our users leaves with return paths of its own (verp.h)
  std::string plus_separator = "+";           ///< that of the mailbox
  bool headers_only = false;                  ///< reports never return a whole message
  std::vector<std::string> holds;             ///< rules of the configuration, as Engine::put_hold() takes them
};

/// Begins a hold rule for a sender.
inline constexpr std::string_view kSenderRule = "sender:";
/// The name by which commands know a group's destination.
std::string shown_destination(std::string_view destination, Route route);

/// Who carries deliveries to the two peers.
class Courier {
 public:
  /// "ipc.gone" and "ipc.timeout" in place of a result: the peer fell, or is stuck.
  using Done = std::function<void(Result<privsep::DeliveryResult>)>;
  virtual ~Courier() = default;
  virtual void deliver(const privsep::LocalDelivery& request, int body, Done done) = 0;
  virtual void deliver(const privsep::RemoteDelivery& request, int body, Done done) = 0;
};

/// Changes to one message that are committed together.
struct Change {
  enum class After : std::uint8_t { done = 1, defer = 2, requeue = 3 };
  struct GroupAfter {
    GroupId group = 0;
    After after = After::done;
    WallTime due{};
  };
  struct Regroup {
    std::string destination;
    Route route = Route::local;
    WallTime due{};
  };
  Number number = 0;
  std::vector<IndexedRecipient> recipients;   ///< the later of two with the same index counts
  std::optional<ScheduleRecord> schedule;
  std::vector<AttemptRecord> notes;
  std::vector<GroupAfter> groups;             ///< landed ones, settled after the commit
  std::vector<Regroup> new_groups;
  bool report_now = false;                    ///< tell the sender of the failures there are
  bool report_delay = false;
  std::shared_ptr<const MessageRecord> message;  ///< where it is at hand
  bool only = false;                          ///< `recipients` are all the message has
  std::function<void(bool stored)> stored;    ///< told after the commit, or when it was given up
};

/// What Engine::end() found.
struct Ending {
  std::size_t busy = 0;    ///< deliveries under way
  bool changing = false;   ///< something is ended with the next commit
};

class Engine {
 public:
  Engine(Spool& spool, Courier& courier, const Clock& clock, crypto::Entropy& entropy, const Log& log, privsep::Metrics& metrics,
         const Secret& ticket_key, EngineOptions options);

  /// Brings what lies in the spool into the schedule. Nothing is delivered before.
  Result<void> load();
  void set_options(EngineOptions options);

  /// A request of a verifier; `answer` is called once, after the commit or at once with a refusal.
  void accept(const privsep::SpoolRequest& request, privsep::Role from, Fd body, std::function<void(privsep::SmtpReply)> answer);

  /// Stores what came in and gives out deliveries. True: there is more to do at once.
  bool turn();
  /// When turn() has something to do by itself; nullopt: never.
  std::optional<WallTime> wake();

  /// Whether mail is taken; the service looks at the disk.
  void set_accepting(bool accepting) { accepting_ = accepting; }
  void set_available(Route route, bool available) { scheduler_.set_available(route, available); }
  /// Nothing new is delivered or taken from now on.
  void stop() { stopping_ = true; }
  /// Nothing waits for a commit.
  bool is_stored() const { return accepts_.empty() && changes_.empty(); }
  /// Forgets old history with the next commit.
  void forget_old() { forget_ = true; }
  void report_gauges();

  /// Whether the message was taken unread, to be held: it is not delivered unless a person releases it.
  bool is_parked_unread(Number number) const { return parked_.contains(number); }
  /// Queues a change, to be committed with the next turn. Used by admin.h.
  void change(Change change) { changes_.push_back(std::move(change)); }

  // engine_orders.cc: what a person wants
  /// Holds (or lets go) mail by rule, also what comes later: "*", a destination ("local" is one), or kSenderRule + an address or
  /// "@domain". Stored with the next commit. For a sender, what lies in the queue already is the caller's to hold or release.
  void put_hold(std::string rule, std::string reason, bool held);
  /// The rules in force, those of the configuration among them: rule, reason.
  std::vector<std::pair<std::string, std::string>> holds() const;
  /// Ends the deliveries of `number` at `destination` (empty: all). Those under way are ended when they come back with something left
  /// to do. `stored` is called as Change::stored is, once, if the answer says `changing`.
  Ending end(Number number, std::string_view destination, const Order& order, std::function<void(bool)> stored);

  Spool& spool() { return spool_; }
  Scheduler& scheduler() { return scheduler_; }
  const Clock& clock() const { return clock_; }
  const EngineOptions& options() const { return options_; }

 private:
  /// A report that is stored in the same transaction as the end it tells of.
  struct OwnMessage {
    Number number = 0;
    NewMessage message;
    std::string body;
  };
  struct Accept {
    NewMessage message;
    Fd body;
    std::string id;
    std::function<void(privsep::SmtpReply)> answer;
    Number number = 0;
    std::shared_ptr<OwnMessage> report;      // stored with it
    Number about = 0;                        // it came back for this message, and says:
    std::vector<AttemptRecord> returned;
    std::uint64_t staged = 0;
    SteadyTime came{};
    std::uint64_t size() const { return message.message.content.size; }
    bool is_large() const;
  };
  /// A body kept open, with what else the first delivery needs.
  struct Fresh {
    std::shared_ptr<const MessageRecord> message;
    std::vector<RecipientRecord> recipients;
    Fd body;
  };
  /// A change made ready for the transaction: all that had to be read is read.
  struct Prepared {
    Change* change = nullptr;
    std::shared_ptr<const MessageRecord> message;
    std::vector<RecipientRecord> all;         // where the whole message is needed
    bool finishes = false;
    bool owes = false;                        // failures that nobody was told of yet
    std::optional<HistoryRecord> history;
    std::vector<OwnMessage> reports;
  };

  // engine.cc
  void pump();
  void handle_events();
  void fail_expired(Number number);
  void launch(const Scheduler::Job& job);
  Result<Flight> prepare_flight(const Scheduler::Job& job, Fd& body);
  void returned(Flight flight, SteadyTime began, Result<privsep::DeliveryResult> result);
  void lost(Flight& flight, const Error& error);
  void park(Number number, std::string reason, std::vector<Change::GroupAfter> groups);
  void schedule_new(Number number, const NewMessage& message);
  Result<void> load_parked(const std::vector<Number>& numbers);
  void park_unread(const Accept& accept);
  bool has_room_to_park(std::uint64_t bytes) const;
  void remember(Number number, Accept& accept);
  void forget_fresh(Number number);
  void refresh(const Change& change);
  std::string new_id();

  // engine_reports.cc
  bool may_tell(const MessageRecord& message, ReportKind kind);
  OwnMessage make_report(ReportInput input);
  void add_reports(Prepared& prepared, ReportKind kind);
  void report_expanded(Accept& accept);
  Result<std::string> original_of(Number number, const MessageRecord& message, bool& whole);
  std::string return_path_of(const MessageRecord& message, Number number) const;
  void look_for_return(Accept& accept);
  void note_returned(const Accept& accept);

  // engine_orders.cc
  void load_holds(std::vector<std::pair<std::string, std::string>> stored);
  void configure_holds(const std::vector<std::string>& before, const std::vector<std::string>& now);
  void apply_hold(const std::string& rule);
  void release_senders(const std::string& rule);
  void hold_by_sender(NewMessage& message) const;
  bool is_stale_hold(const ScheduleRecord& schedule) const;
  void carry_out_orders(const Change& change);

  // engine_commit.cc
  bool stage_large();
  bool commit();
  void merge_changes();
  Result<Prepared> prepare(Change& change);
  bool still_waits(Prepared& prepared);
  Result<void> finish(Prepared& prepared);
  Result<void> write(std::vector<Accept*>& accepts, std::vector<Prepared>& prepared);
  void committed(std::vector<Accept*>& accepts, std::vector<Prepared>& prepared);
  void refuse(Accept& accept, const Error& error);
  std::size_t choose_accepts(std::vector<Accept*>& chosen);

  Spool& spool_;
  Courier& courier_;
  const Clock& clock_;
  crypto::Entropy& entropy_;
  const Log& log_;
  privsep::Metrics& metrics_;
  const Secret& ticket_key_;
  Secret return_key_;
  EngineOptions options_;
  Scheduler scheduler_;

  std::deque<Accept> accepts_;
  std::vector<Change> changes_;
  std::map<std::string, std::uint64_t> observations_;
  std::vector<std::pair<std::string, std::optional<std::string>>> holds_;  // to be stored
  std::map<std::string, std::string, std::less<>> stored_holds_;           // rule, reason
  std::map<std::string, std::string, std::less<>> configured_holds_;
  std::map<GroupId, Order> orders_;            // for deliveries under way
  bool forget_ = false;
  bool accepting_ = true;
  bool stopping_ = false;
  std::size_t flights_ = 0;
  WallTime commit_again_{};                   // after a failure: not before
  Error commit_failure_;                       // why, for those answered meanwhile
  std::unordered_map<Number, Fresh> fresh_;
  std::deque<Number> fresh_order_;
  std::uint64_t fresh_bytes_ = 0;
  std::unordered_map<Number, std::uint64_t> parked_;  // taken unread and still held, with the bytes of each
};

}  // namespace postern::queue
