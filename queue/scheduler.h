/// Who is delivered next. In memory only; what must survive is in the spool. Pure: time comes from a Clock, nothing is sent here.
///
/// A *group* is what one delivery handles: the recipients of one message at one destination. Groups wait until they are due, then
/// stand in a *lane*, one for each (sender, destination) pair, first in first out. Deliveries are given out to senders in turn, within
/// a sender to destinations in turn; a lane whose destination takes no more just now waits at that destination, so nothing is
/// looked at twice: giving out a delivery costs the same with ten messages and with a million.
///
/// Destinations begin with few deliveries at once, get one more for each that was taken, half as many when they ask for less,
/// and a pause that all their messages share when they cannot be reached. Destinations that never answered, those that could not be
/// reached the last time, and one sender's mail, may each use only a share of all deliveries.
///
/// Trust: callers. Memory: about 200 bytes a message with one group.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "queue/flat_map.h"
#include "queue/limits.h"
#include "queue/retry.h"
#include "queue/schema.h"

namespace postern::queue {

using GroupId = std::uint32_t;

/// What a delivery taught us about its destination.
enum class Feedback : std::uint8_t {
  taken = 1,    ///< something was delivered
  refused = 2,  ///< it answers, and took nothing
  busy = 3,     ///< it asks for less
  dead = 4,     ///< it cannot be reached
  lost = 5,     ///< we learnt nothing: our own process fell
};

enum class GroupState : std::uint8_t {
  free = 0,
  waiting = 1,  ///< for its time
  ready = 2,    ///< in a lane
  running = 3,  ///< being delivered
  landed = 4,   ///< its result is being committed
  held = 5,
  aside = 6,    ///< a suspect, waiting for another suspect
  ghost = 7,    ///< in a lane, but its group has gone on under another id
};

class Scheduler {
 public:
  struct Options {
    RetryCurve curve;
    std::uint32_t max_deliveries = 500;
    std::uint32_t max_concurrency = 20;
  };
  struct Entry {
    Number number = 0;
    WallTime expires{};
    WallTime warn_at{};         ///< zero: no warning
    std::uint32_t sender = 0;
    bool held = false;
    bool suspect = false;       ///< a peer died over it: delivered with no other suspect at the same time
  };
  struct NewGroup {
    std::string_view destination;
    Route route = Route::local;
    WallTime due{};
    std::uint16_t attempts = 0;
  };
  struct Job {
    GroupId group = 0;
    Number number = 0;
    std::string destination;
    Route route = Route::local;
    std::uint16_t attempts = 0;
    bool suspect = false;
  };
  enum class EventKind : std::uint8_t { late = 1, expired = 2, report = 3 };
  struct Event {
    EventKind kind;
    Number number;
  };
  struct GroupInfo {
    GroupId id = 0;
    GroupState state = GroupState::waiting;
    std::string_view destination;  ///< lives until the next call
    Route route = Route::local;
    WallTime due{};
    std::uint16_t attempts = 0;
    bool held = false;             ///< with its message, its destination or everything: it does not expire
  };
  struct DestinationInfo {
    std::string name;
    Route route = Route::local;
    std::uint32_t groups = 0, running = 0, window = 0, failures = 0;
    WallTime blocked_until{};
    bool held = false;
  };

  Scheduler(const Clock& clock, Options options);
  void set_options(Options options) { options_ = std::move(options); }

  /// Makes room for this many messages at once.
  void reserve(std::size_t messages);
  void add(const Entry& entry, std::span<const NewGroup> groups);
  void add_group(Number number, const NewGroup& group);

  /// Lets what has become due be due. Call before next() and event().
  void advance();
  /// The next delivery to start, now counted as running; nullopt: none may start now.
  std::optional<Job> next();
  /// What happened to a message without a delivery; nullopt: nothing more.
  std::optional<Event> event();
  /// When advance() will have something to do; nullopt: never.
  std::optional<WallTime> wake();

  /// A running delivery has ended. Its group stays `landed` until done(), defer() or requeue() says what became of it.
  void landed(GroupId group, Feedback feedback);
  void done(GroupId group);                    ///< nothing more to deliver; the message goes with its last group
  void defer(GroupId group, WallTime due);     ///< counts as an attempt
  void requeue(GroupId group, WallTime due);   ///< does not
  /// Takes a group that is not being delivered out of the schedule, as if it had landed. Its new id; nullopt: it is being
  /// delivered, or its last result is not committed yet.
  std::optional<GroupId> claim(GroupId group);

  bool has(Number number) const { return index_.get(number).has_value(); }
  std::size_t groups_left(Number number) const;
  std::vector<GroupInfo> groups(Number number) const;
  std::size_t messages() const { return index_.size(); }
  std::size_t groups_in(GroupState state) const { return states_[static_cast<std::size_t>(state)]; }
  WallTime expires(Number number) const;
  bool is_suspect(Number number) const;
  void set_suspect(Number number);
  /// Asks for a report event at `at` (once at a time).
  void report_at(Number number, WallTime at);

  /// Asks for the expired event (again) at `at`: a group could not be claimed when the first came.
  void expire_at(Number number, WallTime at);

  /// Gives a message another end of its life.
  void set_expires(Number number, WallTime at);

  /// What a person holds (a message, a destination, everything) does not expire meanwhile. What had expired by the time it is let go
  /// is due at once and has limits::kLastChance for a last attempt; so has what expired while the queue was not running.
  void set_held(Number number, bool held);
  bool is_held(Number number) const;
  bool is_held_group(GroupId group) const;
  void set_destination_held(std::string_view destination, bool held);
  void set_all_held(bool held);
  bool all_held() const { return all_held_; }
  void set_available(Route route, bool available);
  /// Lets a waiting group be due now and its destination be tried again.
  void expedite(GroupId group);

  /// Message numbers in ascending order of arrival in memory; `visit` returns false to stop.
  void each(const std::function<bool(Number)>& visit) const;
  std::vector<DestinationInfo> destinations(std::size_t most) const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  /// Destinations that nothing is known of, or nothing good, have a share of all deliveries each kind; others have no bound.
  enum class Share : std::uint8_t { untried = 0, dead = 1, free = 2 };
  static constexpr std::size_t kShares = 2;
  struct Message {
    Number number = 0;
    std::int64_t expires = 0;
    std::uint32_t sender = 0;         // a hash
    std::uint32_t groups = kNone;     // first of them
    std::uint32_t group_count = 0;
    std::uint32_t stamp = 0;
    bool used = false, held = false, suspect = false, reporting = false;
  };
  struct Group {
    std::int64_t due = 0;
    std::uint32_t message = kNone, destination = kNone;
    std::uint32_t next_of_message = kNone;
    std::uint32_t next_in_lane = kNone;
    std::uint32_t stamp = 0;
    std::uint16_t attempts = 0;
    GroupState state = GroupState::free;
    Share share = Share::free;        // what it counts against while it runs
  };
  struct Lane {
    std::uint32_t destination = kNone, sender = kNone;
    std::uint32_t head = kNone, tail = kNone;
    std::uint32_t next = kNone;       // in its sender's list or its destination's
    Share woken = Share::free;        // has room in this share kept for it: it has waited for that
  };
  struct List {
    std::uint32_t head = kNone, tail = kNone;
  };
  struct Destination {
    std::string name;
    std::int64_t blocked_until = 0;
    std::uint32_t groups = 0, running = 0, window = 0, failures = 0;
    List waiting;                     // lanes
    std::uint32_t waiting_count = 0;
    std::uint32_t stamp = 0;
    Route route = Route::local;
    bool used = false, held = false, proven = false;
  };
  struct Sender {
    std::uint32_t key = 0;
    List lanes;                       // that may be able to start
    std::array<List, kShares> parked; // that wait for room in their share
    std::uint32_t lane_count = 0;     // wherever they stand
    std::uint32_t running = 0;
    std::uint32_t next = kNone;
    std::array<std::uint32_t, kShares> next_parked{kNone, kNone};
    std::array<bool, kShares> in_parked{};
    bool in_ring = false, capped = false;
  };
  enum class Timed : std::uint32_t { group_due = 0, late = 1, expire = 2, report = 3, destination = 4 };
  struct Wake {
    std::int64_t at = 0;
    std::uint32_t index = 0;
    std::uint32_t kind : 4;
    std::uint32_t stamp : 28;
  };

  template <class T>
  static std::uint32_t take_slot(std::vector<T>& slots, std::vector<std::uint32_t>& unused) {
    if (unused.empty()) return slots.emplace_back(), static_cast<std::uint32_t>(slots.size() - 1);
    const std::uint32_t slot = unused.back();
    unused.pop_back();
    return slot;
  }

  static constexpr std::uint32_t kStampMask = (1U << 28) - 1;  // what a Wake has room for
  std::int64_t now() const { return clock_.now().time_since_epoch().count(); }
  Message* find(Number number);
  const Message* find(Number number) const;
  void set_state(Group& group, GroupState state);
  std::uint32_t new_group(std::uint32_t message, std::uint32_t destination);
  void free_group(std::uint32_t id);
  void unlink_from_message(std::uint32_t id);
  void remove_message(std::uint32_t slot);
  std::uint32_t destination_of(std::string_view name, Route route);
  void sweep_idle_destinations();
  std::uint32_t sender_of(std::uint32_t key);
  void release_sender(std::uint32_t slot);

  void make_ready(std::uint32_t id);
  void settle(std::uint32_t id, std::int64_t due);
  void push_lane(List& list, std::uint32_t lane);
  std::uint32_t pop_lane(List& list);
  void offer(std::uint32_t lane, bool first);
  void enter_ring(std::uint32_t sender, bool first);
  void free_lane(std::uint32_t lane);
  std::uint32_t pop_group(Lane& lane);
  enum class Verdict : std::uint8_t { start, wait, share_used_up };
  Verdict can_start(const Destination& destination, bool woken = false) const;
  static Share share_of(const Destination& destination);
  bool has_room(Share share, bool woken) const;
  void park(std::uint32_t lane, Share share);
  void enter_parked(std::uint32_t sender, std::size_t share);
  void wake_parked(Share share);
  void wake_some_parked();
  void refill(std::uint32_t destination);
  void start(std::uint32_t id, Sender& sender);
  void learn(Destination& destination, std::uint32_t index, Feedback feedback);
  std::uint32_t most_of(const Destination& destination) const;

  void wake_at(std::int64_t at, Timed kind, std::uint32_t index, std::uint32_t stamp);
  bool is_stale(const Wake& wake) const;
  void compact_wakes();
  void fire(const Wake& wake);
  bool is_overdue(const Message& message) const { return message.expires <= now(); }
  void give_last_chance(std::uint32_t slot);

  const Clock& clock_;
  Options options_;
  std::vector<Message> messages_;
  std::vector<Group> groups_;
  std::vector<Lane> lanes_;
  std::vector<Destination> destinations_;
  std::vector<Sender> senders_;
  std::vector<std::uint32_t> free_messages_, free_groups_, free_lanes_, free_destinations_, free_senders_;
  FlatMap index_;                     // number → message
  FlatMap lane_index_;                // destination and sender → lane
  FlatMap sender_index_;              // hash → sender
  std::unordered_map<std::string, std::uint32_t> destination_index_;
  List ring_;                         // senders with lanes that may be able to start
  std::vector<Wake> wakes_;           // a heap, the earliest first
  std::size_t wakes_kept_ = 0;        // its size after the last compaction
  std::deque<Event> events_;
  std::array<std::deque<std::pair<std::uint32_t, std::uint32_t>>, 3> aside_;  // by route: group, stamp
  std::array<std::uint32_t, 3> suspects_running_{};
  std::array<List, kShares> parked_ring_;  // senders with lanes that wait for room in a share, in turn
  std::array<std::size_t, 8> states_{};
  std::array<bool, 3> available_{true, true, true};
  std::uint32_t running_ = 0;
  std::array<std::uint32_t, kShares + 1> share_running_{};
  std::array<std::uint32_t, kShares + 1> share_woken_{};  // lanes for which room is kept
  bool all_held_ = false;
};

}  // namespace postern::queue
