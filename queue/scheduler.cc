#include "queue/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace postern::queue {

namespace {

std::int64_t ms(WallTime t) { return t.time_since_epoch().count(); }
WallTime wall(std::int64_t t) { return WallTime(std::chrono::milliseconds(t)); }

}  // namespace

Scheduler::Scheduler(const Clock& clock, Options options) : clock_(clock), options_(std::move(options)) {}

// ---- messages and groups -------------------------------------------------------------------------------------------

Scheduler::Message* Scheduler::find(Number number) {
  const auto slot = index_.get(number);
  return slot ? &messages_[*slot] : nullptr;
}
const Scheduler::Message* Scheduler::find(Number number) const {
  const auto slot = index_.get(number);
  return slot ? &messages_[*slot] : nullptr;
}

void Scheduler::set_state(Group& group, GroupState state) {
  --states_[static_cast<std::size_t>(group.state)];
  ++states_[static_cast<std::size_t>(state)];
  group.state = state;
}

std::uint32_t Scheduler::new_group(std::uint32_t message, std::uint32_t destination) {
  const std::uint32_t id = take_slot(groups_, free_groups_);
  Group& group = groups_[id];
  const std::uint32_t stamp = group.stamp;
  group = Group{};
  group.stamp = (stamp + 1) & kStampMask;
  ++states_[static_cast<std::size_t>(GroupState::free)];
  group.message = message;
  group.destination = destination;
  ++destinations_[destination].groups;
  Message& owner = messages_[message];
  group.next_of_message = owner.groups;
  owner.groups = id;
  ++owner.group_count;
  return id;
}

void Scheduler::free_group(std::uint32_t id) {
  Group& group = groups_[id];
  set_state(group, GroupState::free);
  --states_[static_cast<std::size_t>(GroupState::free)];
  group.stamp = (group.stamp + 1) & kStampMask;
  free_groups_.push_back(id);
}

void Scheduler::unlink_from_message(std::uint32_t id) {
  Group& group = groups_[id];
  Message& owner = messages_[group.message];
  std::uint32_t* link = &owner.groups;
  while (*link != id) link = &groups_[*link].next_of_message;
  *link = group.next_of_message;
  --owner.group_count;
  Destination& destination = destinations_[group.destination];
  --destination.groups;
}

void Scheduler::remove_message(std::uint32_t slot) {
  Message& message = messages_[slot];
  index_.remove(message.number);
  message.used = false;
  message.stamp = (message.stamp + 1) & kStampMask;
  free_messages_.push_back(slot);
}

void Scheduler::reserve(std::size_t messages) {
  messages_.reserve(messages);
  groups_.reserve(messages);
  index_.reserve(messages);
  wakes_.reserve(messages);
  wakes_kept_ = std::max(wakes_kept_, messages / 2);
}

void Scheduler::add(const Entry& entry, std::span<const NewGroup> groups) {
  POSTERN_CHECK(!has(entry.number));
  const std::uint32_t slot = take_slot(messages_, free_messages_);
  Message& message = messages_[slot];
  const std::uint32_t stamp = message.stamp;
  message = Message{};
  message.number = entry.number;
  message.expires = ms(entry.expires);
  message.sender = entry.sender;
  message.stamp = (stamp + 1) & kStampMask;
  message.used = true;
  message.held = entry.held;
  message.suspect = entry.suspect;
  index_.put(entry.number, slot);
  // One wake a message: the warning arms the expiry.
  if (is_overdue(message)) give_last_chance(slot);
  else if (entry.warn_at != WallTime{} && entry.warn_at < entry.expires) wake_at(ms(entry.warn_at), Timed::late, slot, message.stamp);
  else wake_at(message.expires, Timed::expire, slot, message.stamp);
  for (const NewGroup& group : groups) add_group(entry.number, group);
}

void Scheduler::add_group(Number number, const NewGroup& group) {
  const auto slot = index_.get(number);
  POSTERN_CHECK(slot.has_value());
  const std::uint32_t destination = destination_of(group.destination, group.route);
  const std::uint32_t id = new_group(*slot, destination);
  groups_[id].attempts = group.attempts;
  // Its time is up: what can still be tried is tried at once.
  settle(id, is_overdue(messages_[*slot]) ? now() : ms(group.due));
}

std::size_t Scheduler::groups_left(Number number) const {
  const Message* message = find(number);
  return message == nullptr ? 0 : message->group_count;
}

std::vector<Scheduler::GroupInfo> Scheduler::groups(Number number) const {
  std::vector<GroupInfo> found;
  const Message* message = find(number);
  if (message == nullptr) return found;
  for (std::uint32_t id = message->groups; id != kNone; id = groups_[id].next_of_message) {
    const Group& group = groups_[id];
    const Destination& destination = destinations_[group.destination];
    const bool held = message->held || destination.held || all_held_;
    found.push_back({id, group.state, destination.name, destination.route, wall(group.due), group.attempts, held});
  }
  return found;
}

WallTime Scheduler::expires(Number number) const {
  const Message* message = find(number);
  return message == nullptr ? WallTime{} : wall(message->expires);
}
bool Scheduler::is_suspect(Number number) const {
  const Message* message = find(number);
  return message != nullptr && message->suspect;
}
void Scheduler::set_suspect(Number number) {
  if (Message* message = find(number)) message->suspect = true;
}

void Scheduler::report_at(Number number, WallTime at) {
  const auto slot = index_.get(number);
  if (!slot || messages_[*slot].reporting) return;
  messages_[*slot].reporting = true;
  wake_at(ms(at), Timed::report, *slot, messages_[*slot].stamp);
}

void Scheduler::expire_at(Number number, WallTime at) {
  if (const auto slot = index_.get(number)) wake_at(ms(at), Timed::expire, *slot, messages_[*slot].stamp);
}

void Scheduler::set_expires(Number number, WallTime at) {
  Message* message = find(number);
  if (message == nullptr) return;
  message->expires = ms(at);
  expire_at(number, at);
}

void Scheduler::each(const std::function<bool(Number)>& visit) const {
  for (const Message& message : messages_)
    if (message.used && !visit(message.number)) return;
}

// ---- results -------------------------------------------------------------------------------------------------------

void Scheduler::landed(GroupId id, Feedback feedback) {
  Group& group = groups_[id];
  POSTERN_CHECK(group.state == GroupState::running);
  set_state(group, GroupState::landed);
  Message& message = messages_[group.message];
  Destination& destination = destinations_[group.destination];
  --running_;
  --destination.running;
  --share_running_[static_cast<std::size_t>(group.share)];
  learn(destination, group.destination, feedback);
  refill(group.destination);
  if (group.share != Share::free) wake_parked(group.share);
  const auto route = static_cast<std::size_t>(destination.route);
  if (message.suspect) {
    if (suspects_running_[route] > 0) --suspects_running_[route];
    for (bool found = false; !found && !aside_[route].empty(); aside_[route].pop_front()) {
      const auto [waiting, stamp] = aside_[route].front();
      found = groups_[waiting].state == GroupState::aside && groups_[waiting].stamp == stamp;
      if (found) make_ready(waiting);
    }
  }
  const auto sender_slot = sender_index_.get(message.sender);
  if (!sender_slot) return;
  Sender& sender = senders_[*sender_slot];
  --sender.running;
  sender.capped = false;
  if (sender.lanes.head != kNone) enter_ring(*sender_slot, false);
  release_sender(*sender_slot);
}

void Scheduler::learn(Destination& destination, std::uint32_t index, Feedback feedback) {
  switch (feedback) {
    case Feedback::taken:
      destination.window = std::min(destination.window + 1, most_of(destination));
      [[fallthrough]];
    case Feedback::refused:
      destination.failures = 0;
      destination.blocked_until = 0;
      destination.proven = true;
      return;
    case Feedback::busy:
      destination.window = std::max(destination.window / 2, 1U);
      destination.failures = 0;
      destination.blocked_until = 0;
      destination.proven = true;
      return;
    case Feedback::dead:
      // Deliveries that failed side by side are one failure.
      if (destination.blocked_until > now()) return;
      ++destination.failures;
      destination.window = 1;
      destination.proven = false;
      destination.blocked_until = ms(clock_.now() + options_.curve.dead_pause(destination.failures));
      wake_at(destination.blocked_until, Timed::destination, index, destination.stamp);
      return;
    case Feedback::lost: return;
  }
}

void Scheduler::done(GroupId id) {
  Group& group = groups_[id];
  POSTERN_CHECK(group.state == GroupState::landed);
  const std::uint32_t slot = group.message;
  unlink_from_message(id);
  free_group(id);
  if (messages_[slot].group_count == 0) remove_message(slot);
}

void Scheduler::defer(GroupId id, WallTime due) {
  Group& group = groups_[id];
  POSTERN_CHECK(group.state == GroupState::landed);
  if (group.attempts < UINT16_MAX) ++group.attempts;
  settle(id, ms(due));
}

void Scheduler::requeue(GroupId id, WallTime due) {
  POSTERN_CHECK(groups_[id].state == GroupState::landed);
  settle(id, ms(due));
}

void Scheduler::settle(std::uint32_t id, std::int64_t due) {
  Group& group = groups_[id];
  group.due = due;
  if (due <= now()) return make_ready(id);
  set_state(group, GroupState::waiting);
  group.stamp = (group.stamp + 1) & kStampMask;
  wake_at(due, Timed::group_due, id, group.stamp);
}

std::optional<GroupId> Scheduler::claim(GroupId id) {
  switch (groups_[id].state) {
    case GroupState::free:
    case GroupState::ghost:
    case GroupState::running:
    case GroupState::landed: return std::nullopt;
    case GroupState::waiting:
    case GroupState::held:
    case GroupState::aside:
      set_state(groups_[id], GroupState::landed);
      groups_[id].stamp = (groups_[id].stamp + 1) & kStampMask;
      return id;
    case GroupState::ready: break;
  }
  // It stands in the middle of a lane: a ghost keeps its place there, the group goes on under a new id.
  const std::uint32_t other = new_group(groups_[id].message, groups_[id].destination);
  groups_[other].due = groups_[id].due;
  groups_[other].attempts = groups_[id].attempts;
  set_state(groups_[other], GroupState::landed);
  unlink_from_message(id);
  set_state(groups_[id], GroupState::ghost);
  return other;
}

// ---- holding -------------------------------------------------------------------------------------------------------

void Scheduler::set_held(Number number, bool held) {
  const auto slot = index_.get(number);
  if (!slot) return;
  Message& message = messages_[*slot];
  message.held = held;
  if (held) return;  // its groups are put aside where they are met
  for (std::uint32_t id = message.groups; id != kNone; id = groups_[id].next_of_message)
    if (groups_[id].state == GroupState::held) make_ready(id);
  if (is_overdue(message)) give_last_chance(*slot);
}

void Scheduler::give_last_chance(std::uint32_t slot) {
  const Message& message = messages_[slot];
  for (std::uint32_t id = message.groups; id != kNone; id = groups_[id].next_of_message)
    if (groups_[id].state == GroupState::waiting) make_ready(id);
  wake_at(ms(clock_.now() + limits::kLastChance), Timed::expire, slot, message.stamp);
}

bool Scheduler::is_held(Number number) const {
  const Message* message = find(number);
  return message != nullptr && message->held;
}

bool Scheduler::is_held_group(GroupId id) const {
  const Group& group = groups_[id];
  return all_held_ || messages_[group.message].held || destinations_[group.destination].held;
}

void Scheduler::set_destination_held(std::string_view name, bool held) {
  for (const Route route : {Route::local, Route::remote}) {
    if (route == Route::local && name != "local") continue;
    if (route == Route::remote && name == "local") continue;
    const std::uint32_t index = destination_of(route == Route::local ? std::string_view{} : name, route);
    const bool was_held = std::exchange(destinations_[index].held, held);
    if (held || !was_held) continue;
    refill(index);
    for (std::uint32_t slot = 0; slot < messages_.size(); ++slot) {
      if (!messages_[slot].used || !is_overdue(messages_[slot])) continue;
      bool there = false;
      for (std::uint32_t id = messages_[slot].groups; id != kNone; id = groups_[id].next_of_message) there = there || groups_[id].destination == index;
      if (there) give_last_chance(slot);
    }
  }
}

void Scheduler::set_all_held(bool held) {
  const bool was_held = std::exchange(all_held_, held);
  if (held || !was_held) return;
  for (std::uint32_t slot = 0; slot < messages_.size(); ++slot)
    if (messages_[slot].used && is_overdue(messages_[slot])) give_last_chance(slot);
}

void Scheduler::set_available(Route route, bool available) {
  available_[static_cast<std::size_t>(route)] = available;
  if (!available) return;
  for (std::uint32_t i = 0; i < destinations_.size(); ++i)
    if (destinations_[i].used && destinations_[i].route == route && destinations_[i].waiting_count > 0) refill(i);
}

void Scheduler::expedite(GroupId id) {
  Group& group = groups_[id];
  Destination& destination = destinations_[group.destination];
  destination.blocked_until = 0;
  if (group.state == GroupState::waiting) make_ready(id);
  refill(group.destination);
}

}  // namespace postern::queue
