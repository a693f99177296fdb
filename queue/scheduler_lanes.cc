// The half of the scheduler that gives deliveries out: senders in turn, lanes, destinations, and the heap of wakes.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "queue/scheduler.h"

namespace postern::queue {

namespace {

std::string key_of(std::string_view name, Route route) {
  std::string key(1, route == Route::local ? 'L' : 'R');
  key += name;
  return key;
}
std::uint64_t lane_key(std::uint32_t destination, std::uint32_t sender) {
  return static_cast<std::uint64_t>(destination) << 32 | sender;
}

}  // namespace

// ---- destinations and senders --------------------------------------------------------------------------------------

std::uint32_t Scheduler::most_of(const Destination& destination) const {
  return destination.route == Route::local ? limits::kLocalWindow : options_.max_concurrency;
}

std::uint32_t Scheduler::destination_of(std::string_view name, Route route) {
  std::string key = key_of(name, route);
  const auto found = destination_index_.find(key);
  if (found != destination_index_.end()) return found->second;
  if (destination_index_.size() >= limits::kIdleDestinations && destination_index_.size() % 1024 == 0) sweep_idle_destinations();
  const std::uint32_t index = take_slot(destinations_, free_destinations_);
  Destination& destination = destinations_[index];
  const std::uint32_t stamp = destination.stamp;
  destination = Destination{};
  destination.stamp = (stamp + 1) & kStampMask;
  destination.name = name;
  destination.route = route;
  destination.used = true;
  destination.proven = route == Route::local;
  destination.window = route == Route::local ? limits::kLocalWindow : std::min(limits::kFirstWindow, options_.max_concurrency);
  destination_index_.emplace(std::move(key), index);
  return index;
}

void Scheduler::sweep_idle_destinations() {
  for (std::uint32_t i = 0; i < destinations_.size(); ++i) {
    Destination& destination = destinations_[i];
    if (!destination.used || destination.groups > 0 || destination.held || destination.blocked_until > now() ||
        destination.waiting_count > 0 || destination.route == Route::local)
      continue;
    destination_index_.erase(key_of(destination.name, destination.route));
    destination.used = false;
    destination.name = {};
    destination.stamp = (destination.stamp + 1) & kStampMask;
    free_destinations_.push_back(i);
  }
}

std::uint32_t Scheduler::sender_of(std::uint32_t key) {
  if (const auto found = sender_index_.get(key)) return *found;
  const std::uint32_t slot = take_slot(senders_, free_senders_);
  senders_[slot] = Sender{};
  senders_[slot].key = key;
  sender_index_.put(key, slot);
  return slot;
}

void Scheduler::release_sender(std::uint32_t slot) {
  const Sender& sender = senders_[slot];
  if (sender.lane_count > 0 || sender.running > 0 || sender.in_ring) return;
  sender_index_.remove(sender.key);
  free_senders_.push_back(slot);
}

// ---- lanes ---------------------------------------------------------------------------------------------------------

void Scheduler::make_ready(std::uint32_t id) {
  Group& group = groups_[id];
  const Message& message = messages_[group.message];
  group.stamp = (group.stamp + 1) & kStampMask;
  if (message.held) return set_state(group, GroupState::held);
  set_state(group, GroupState::ready);
  group.next_in_lane = kNone;
  const std::uint32_t sender = sender_of(message.sender);
  const auto found = lane_index_.get(lane_key(group.destination, sender));
  if (found) {
    Lane& lane = lanes_[*found];
    (lane.head == kNone ? lane.head : groups_[lane.tail].next_in_lane) = id;
    lane.tail = id;
    return;
  }
  const std::uint32_t index = take_slot(lanes_, free_lanes_);
  lanes_[index] = Lane{group.destination, sender, id, id, kNone, Share::free};
  lane_index_.put(lane_key(group.destination, sender), index);
  ++senders_[sender].lane_count;
  offer(index, false);
}

void Scheduler::push_lane(List& list, std::uint32_t lane) {
  lanes_[lane].next = kNone;
  (list.head == kNone ? list.head : lanes_[list.tail].next) = lane;
  list.tail = lane;
}

std::uint32_t Scheduler::pop_lane(List& list) {
  const std::uint32_t lane = list.head;
  if (lane == kNone) return kNone;
  list.head = lanes_[lane].next;
  if (list.head == kNone) list.tail = kNone;
  lanes_[lane].next = kNone;
  return lane;
}

void Scheduler::offer(std::uint32_t lane, bool first) {
  const std::uint32_t slot = lanes_[lane].sender;
  Sender& sender = senders_[slot];
  if (first) {
    lanes_[lane].next = sender.lanes.head;
    sender.lanes.head = lane;
    if (sender.lanes.tail == kNone) sender.lanes.tail = lane;
  } else {
    push_lane(sender.lanes, lane);
  }
  enter_ring(slot, false);
}

void Scheduler::enter_ring(std::uint32_t slot, bool first) {
  Sender& sender = senders_[slot];
  if (sender.in_ring || sender.capped) return;
  sender.in_ring = true;
  sender.next = kNone;
  if (ring_.head == kNone) {
    ring_.head = ring_.tail = slot;
  } else if (first) {
    sender.next = ring_.head;
    ring_.head = slot;
  } else {
    senders_[ring_.tail].next = slot;
    ring_.tail = slot;
  }
}

void Scheduler::free_lane(std::uint32_t index) {
  const Lane& lane = lanes_[index];
  lane_index_.remove(lane_key(lane.destination, lane.sender));
  --senders_[lane.sender].lane_count;
  free_lanes_.push_back(index);
}

std::uint32_t Scheduler::pop_group(Lane& lane) {
  while (lane.head != kNone) {
    const std::uint32_t id = lane.head;
    lane.head = groups_[id].next_in_lane;
    if (lane.head == kNone) lane.tail = kNone;
    Group& group = groups_[id];
    group.next_in_lane = kNone;
    if (group.state == GroupState::ghost) {
      free_group(id);
      continue;
    }
    const Message& message = messages_[group.message];
    const auto route = static_cast<std::size_t>(destinations_[group.destination].route);
    if (message.held) {
      set_state(group, GroupState::held);
    } else if (message.suspect && suspects_running_[route] > 0) {
      set_state(group, GroupState::aside);
      aside_[route].emplace_back(id, group.stamp);
    } else {
      return id;
    }
  }
  return kNone;
}

Scheduler::Verdict Scheduler::can_start(const Destination& destination, bool woken) const {
  if (destination.held || !available_[static_cast<std::size_t>(destination.route)]) return Verdict::wait;
  if (destination.blocked_until > now() || destination.running >= destination.window) return Verdict::wait;
  return has_room(share_of(destination), woken) ? Verdict::start : Verdict::share_used_up;
}

Scheduler::Share Scheduler::share_of(const Destination& destination) {
  if (destination.proven) return Share::free;
  return destination.failures == 0 ? Share::untried : Share::dead;
}

/// Room that is kept for lanes which have waited is none for others.
bool Scheduler::has_room(Share share, bool woken) const {
  constexpr std::uint32_t kPercent[] = {limits::kUntriedPercent, limits::kDeadPercent, 1000};
  const auto index = static_cast<std::size_t>(share);
  return (share_running_[index] + (woken ? 0 : share_woken_[index])) * 100 < options_.max_deliveries * kPercent[index];
}

void Scheduler::park(std::uint32_t lane, Share share) {
  const auto index = static_cast<std::size_t>(share);
  const std::uint32_t slot = lanes_[lane].sender;
  push_lane(senders_[slot].parked[index], lane);
  if (!senders_[slot].in_parked[index]) enter_parked(slot, index);
}

void Scheduler::enter_parked(std::uint32_t slot, std::size_t share) {
  Sender& sender = senders_[slot];
  sender.in_parked[share] = true;
  sender.next_parked[share] = kNone;
  List& ring = parked_ring_[share];
  (ring.head == kNone ? ring.head : senders_[ring.tail].next_parked[share]) = slot;
  ring.tail = slot;
}

/// Senders in turn here too: a list to a hundred thousand new places must not stand before a letter to one.
void Scheduler::wake_parked(Share share) {
  const auto index = static_cast<std::size_t>(share);
  List& ring = parked_ring_[index];
  const std::uint32_t slot = ring.head;
  if (slot == kNone || !has_room(share, false)) return;
  Sender& sender = senders_[slot];
  ring.head = sender.next_parked[index];
  if (ring.head == kNone) ring.tail = kNone;
  sender.in_parked[index] = false;
  const std::uint32_t lane = pop_lane(sender.parked[index]);
  if (sender.parked[index].head != kNone) enter_parked(slot, index);
  lanes_[lane].woken = share;
  ++share_woken_[index];
  offer(lane, true);
}

void Scheduler::wake_some_parked() {
  wake_parked(Share::untried);
  wake_parked(Share::dead);
}

void Scheduler::refill(std::uint32_t index) {
  Destination& destination = destinations_[index];
  const Verdict verdict = can_start(destination);
  if (destination.waiting_count == 0 || verdict == Verdict::wait) return;
  for (std::uint32_t room = destination.window - destination.running; room > 0 && destination.waiting_count > 0; --room) {
    --destination.waiting_count;
    const std::uint32_t lane = pop_lane(destination.waiting);
    if (verdict == Verdict::start) offer(lane, true);
    else park(lane, share_of(destination));
  }
}

std::optional<Scheduler::Job> Scheduler::next() {
  if (all_held_) return std::nullopt;
  while (running_ < options_.max_deliveries) {
    wake_some_parked();
    const std::uint32_t slot = ring_.head;
    if (slot == kNone) break;
    ring_.head = senders_[slot].next;
    if (ring_.head == kNone) ring_.tail = kNone;
    senders_[slot].in_ring = false;
    if (senders_[slot].running * 100 >= options_.max_deliveries * limits::kSenderPercent) {
      senders_[slot].capped = true;
      continue;
    }
    std::uint32_t started = kNone;
    while (started == kNone && senders_[slot].lanes.head != kNone) {
      const std::uint32_t lane = pop_lane(senders_[slot].lanes);
      const std::uint32_t destination = lanes_[lane].destination;
      const Share woken = std::exchange(lanes_[lane].woken, Share::free);
      if (woken != Share::free) --share_woken_[static_cast<std::size_t>(woken)];
      const Verdict verdict = can_start(destinations_[destination], woken == share_of(destinations_[destination]));
      if (verdict == Verdict::share_used_up) {
        park(lane, share_of(destinations_[destination]));
        continue;
      }
      if (verdict == Verdict::wait) {
        push_lane(destinations_[destination].waiting, lane);
        ++destinations_[destination].waiting_count;
        continue;
      }
      started = pop_group(lanes_[lane]);
      if (lanes_[lane].head != kNone) push_lane(senders_[slot].lanes, lane);
      else free_lane(lane);
    }
    if (started != kNone) start(started, senders_[slot]);
    if (senders_[slot].lanes.head != kNone) enter_ring(slot, false);
    else release_sender(slot);
    if (started == kNone) continue;
    const Group& group = groups_[started];
    const Message& message = messages_[group.message];
    const Destination& destination = destinations_[group.destination];
    return Job{started, message.number, destination.name, destination.route, group.attempts, message.suspect};
  }
  return std::nullopt;
}

void Scheduler::start(std::uint32_t id, Sender& sender) {
  Group& group = groups_[id];
  Destination& destination = destinations_[group.destination];
  set_state(group, GroupState::running);
  group.share = share_of(destination);
  ++share_running_[static_cast<std::size_t>(group.share)];
  if (messages_[group.message].suspect) ++suspects_running_[static_cast<std::size_t>(destination.route)];
  ++destination.running;
  ++sender.running;
  ++running_;
}

std::vector<Scheduler::DestinationInfo> Scheduler::destinations(std::size_t most) const {
  std::vector<DestinationInfo> found;
  for (const Destination& d : destinations_) {
    if (!d.used || (d.groups == 0 && !d.held)) continue;
    if (found.size() == most) break;
    found.push_back({d.route == Route::local ? "local" : d.name, d.route, d.groups, d.running, d.window, d.failures,
                     WallTime(std::chrono::milliseconds(d.blocked_until)), d.held});
  }
  return found;
}

// ---- time ----------------------------------------------------------------------------------------------------------

namespace {
constexpr auto later = [](const auto& a, const auto& b) { return a.at > b.at; };
}

void Scheduler::wake_at(std::int64_t at, Timed kind, std::uint32_t index, std::uint32_t stamp) {
  // Messages leave long before they expire: without this their wakes would pile up for days.
  constexpr std::size_t kFew = 4096;
  if (wakes_.size() > 2 * wakes_kept_ + kFew) compact_wakes();
  wakes_.push_back({at, index, static_cast<std::uint32_t>(kind) & 0xF, stamp & kStampMask});
  std::push_heap(wakes_.begin(), wakes_.end(), later);
}

bool Scheduler::is_stale(const Wake& wake) const {
  switch (static_cast<Timed>(wake.kind)) {
    case Timed::group_due: return groups_[wake.index].stamp != wake.stamp || groups_[wake.index].state != GroupState::waiting;
    case Timed::late:
    case Timed::expire:
    case Timed::report: return !messages_[wake.index].used || messages_[wake.index].stamp != wake.stamp;
    case Timed::destination: return !destinations_[wake.index].used || destinations_[wake.index].stamp != wake.stamp;
  }
  return true;
}

void Scheduler::compact_wakes() {
  std::erase_if(wakes_, [this](const Wake& wake) { return is_stale(wake); });
  std::make_heap(wakes_.begin(), wakes_.end(), later);
  wakes_kept_ = wakes_.size();
}

void Scheduler::advance() {
  const std::int64_t time = now();
  while (!wakes_.empty() && wakes_.front().at <= time) {
    std::pop_heap(wakes_.begin(), wakes_.end(), later);
    const Wake wake = wakes_.back();
    wakes_.pop_back();
    if (!is_stale(wake)) fire(wake);
  }
}

void Scheduler::fire(const Wake& wake) {
  switch (static_cast<Timed>(wake.kind)) {
    case Timed::group_due: return make_ready(wake.index);
    case Timed::late:
      events_.push_back({EventKind::late, messages_[wake.index].number});
      return wake_at(messages_[wake.index].expires, Timed::expire, wake.index, wake.stamp);
    case Timed::expire:
      // What a person holds does not run out under his hand; releasing it asks again.
      if (!messages_[wake.index].held && !all_held_ && messages_[wake.index].expires <= now())
        events_.push_back({EventKind::expired, messages_[wake.index].number});
      return;
    case Timed::report:
      messages_[wake.index].reporting = false;
      return events_.push_back({EventKind::report, messages_[wake.index].number});
    case Timed::destination: return refill(wake.index);
  }
}

std::optional<Scheduler::Event> Scheduler::event() {
  if (events_.empty()) return std::nullopt;
  const Event event = events_.front();
  events_.pop_front();
  return event;
}

std::optional<WallTime> Scheduler::wake() {
  while (!wakes_.empty() && is_stale(wakes_.front())) {
    std::pop_heap(wakes_.begin(), wakes_.end(), later);
    wakes_.pop_back();
  }
  if (!events_.empty()) return clock_.now();
  if (wakes_.empty()) return std::nullopt;
  return WallTime(std::chrono::milliseconds(wakes_.front().at));
}

}  // namespace postern::queue
