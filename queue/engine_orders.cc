// The part of the engine that does what a person wants: hold rules, and the ends of deliveries.
#include <algorithm>

#include "base/text.h"
#include "queue/engine.h"

namespace postern::queue {

namespace {

constexpr std::string_view kConfigured = "by the configuration";

/// How a message held by a sender's rule says so in its row; "sender:a@b.example: why".
std::string held_words(std::string_view rule, std::string_view reason) { return std::string(rule) + ": " + std::string(reason); }

/// Whether the rule ("sender:a@b.example", "sender:@b.example") is about this message.
bool is_about(std::string_view rule, const MessageRecord& message) {
  const auto wanted = rule.substr(kSenderRule.size());
  for (const std::string& sender : {message.reverse_path, message.arrival.account}) {
    if (text::iequals(sender, wanted)) return true;
    if (wanted.starts_with('@') && domain_of(sender) == wanted.substr(1)) return true;
  }
  return false;
}

}  // namespace

std::string shown_destination(std::string_view destination, Route route) { return route == Route::local ? "local" : std::string(destination); }

// ---- holding -------------------------------------------------------------------------------------------------------

void Engine::load_holds(std::vector<std::pair<std::string, std::string>> stored) {
  for (auto& [rule, reason] : stored) stored_holds_.emplace(std::move(rule), std::move(reason));
  for (const auto& rule : options_.holds) configured_holds_.emplace(rule, kConfigured);
  for (const auto& [rule, reason] : holds()) apply_hold(rule);
}

std::vector<std::pair<std::string, std::string>> Engine::holds() const {
  std::vector<std::pair<std::string, std::string>> all(stored_holds_.begin(), stored_holds_.end());
  for (const auto& hold : configured_holds_)
    if (!stored_holds_.contains(hold.first)) all.push_back(hold);
  return all;
}

/// Brings the schedule to what the rules say of `rule`.
void Engine::apply_hold(const std::string& rule) {
  const bool held = stored_holds_.contains(rule) || configured_holds_.contains(rule);
  if (rule.starts_with(kSenderRule)) {
    if (!held) release_senders(rule);
  } else if (rule == "*") {
    scheduler_.set_all_held(held);
  } else {
    scheduler_.set_destination_held(rule, held);
  }
}

void Engine::put_hold(std::string rule, std::string reason, bool held) {
  if (held) stored_holds_.insert_or_assign(rule, reason);
  else stored_holds_.erase(rule), configured_holds_.erase(rule);  // a person's word counts until the configuration changes
  apply_hold(rule);
  holds_.emplace_back(std::move(rule), held ? std::optional<std::string>(std::move(reason)) : std::nullopt);
}

/// After a reload: rules that came hold, rules that went let go, others stay as they are.
void Engine::configure_holds(const std::vector<std::string>& before, const std::vector<std::string>& now) {
  const auto has = [](const std::vector<std::string>& rules, const std::string& rule) { return std::ranges::find(rules, rule) != rules.end(); };
  for (const auto& rule : before)
    if (!has(now, rule) && configured_holds_.erase(rule) > 0) apply_hold(rule);
  for (const auto& rule : now)
    if (!has(before, rule) && configured_holds_.emplace(rule, kConfigured).second) apply_hold(rule);
}

void Engine::hold_by_sender(NewMessage& message) const {
  for (const auto& [rule, reason] : holds()) {
    if (!rule.starts_with(kSenderRule) || !is_about(rule, message.message)) continue;
    message.schedule.held = true;
    message.schedule.held_reason = held_words(rule, reason);
    return;
  }
}

/// Held by a sender's rule of the configuration that is no longer there.
bool Engine::is_stale_hold(const ScheduleRecord& schedule) const {
  if (!schedule.held || !schedule.held_reason.starts_with(kSenderRule)) return false;
  return std::ranges::none_of(holds(), [&](const auto& hold) { return schedule.held_reason.starts_with(hold.first + ": "); });
}

/// Lets go what the rule, gone now, has held.
void Engine::release_senders(const std::string& rule) {
  std::vector<Number> held;
  scheduler_.each([&](Number number) {
    if (scheduler_.is_held(number)) held.push_back(number);
    return true;
  });
  for (const Number number : held) {
    auto schedule = spool_.schedule(number);
    if (!schedule || !schedule->held || !schedule->held_reason.starts_with(rule + ": ")) continue;
    schedule->held = false;
    schedule->held_reason.clear();
    scheduler_.set_held(number, false);
    Change released;
    released.number = number;
    released.schedule = *std::move(schedule);
    change(std::move(released));
  }
}

// ---- ending --------------------------------------------------------------------------------------------------------

Ending Engine::end(Number number, std::string_view destination, const Order& order, std::function<void(bool)> stored) {
  auto all = spool_.recipients(number);
  if (!all) {
    log_.error("a message cannot be read", {{"number", number}, {"error", all.error().message}});
    stored(false);
    return {0, true};
  }
  Ending found;
  Change ended;
  ended.number = number;
  for (const auto& group : scheduler_.groups(number)) {
    const std::string place(group.destination);
    if (!destination.empty() && shown_destination(place, group.route) != destination) continue;
    if (order.how == End::reroute && group.route == Route::local) continue;
    const auto claimed = scheduler_.claim(group.id);
    if (!claimed) {
      // It is under way, or its result is being stored. What it leaves to be done is ended then.
      orders_.insert_or_assign(group.id, order);
      ++found.busy;
      continue;
    }
    ended.groups.push_back({*claimed, Change::After::done, {}});
    if (order.how == End::reroute) ended.new_groups.push_back({order.word, Route::remote, clock_.now()});
    for (std::uint32_t i = 0; i < all->size(); ++i) {
      auto& r = (*all)[i];
      if (r.state != RecipientState::waiting || r.route != group.route || (r.route == Route::remote && r.destination != place)) continue;
      carry_out(order, r, clock_.now());
      ended.recipients.emplace_back(i, r);
    }
  }
  if (ended.groups.empty()) return found;
  found.changing = true;
  AttemptRecord note;
  note.at = clock_.now();
  note.what = name_of(order.how);
  note.reply = {250, "2.0.0", text::printable(order.word)};
  ended.notes.push_back(std::move(note));
  ended.stored = std::move(stored);
  change(std::move(ended));
  return found;
}

/// For deliveries that have just come back: those that would go on waiting are ended as was ordered meanwhile.
void Engine::carry_out_orders(const Change& change) {
  if (orders_.empty()) return;
  for (const auto& after : change.groups) {
    auto order = orders_.extract(after.group);
    if (order.empty() || after.after == Change::After::done) continue;
    for (const auto& group : scheduler_.groups(change.number)) {
      if (group.id != after.group) continue;
      end(change.number, shown_destination(group.destination, group.route), order.mapped(), [](bool) {});
      break;
    }
  }
}

}  // namespace postern::queue
