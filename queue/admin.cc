#include "queue/admin.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {

using nlohmann::json;
using privsep::AdminAnswer;
using privsep::AdminRequest;
using Answer = std::function<void(AdminAnswer)>;

/// Foreign bytes that are no UTF-8 must not throw.
std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }
AdminAnswer failed(std::string why) { return {std::move(why), {}}; }

std::int64_t seconds(WallTime t) { return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count(); }

json reply_json(const privsep::SmtpReply& reply) { return {{"code", reply.code}, {"enhanced", reply.enhanced}, {"text", reply.text}}; }

std::string_view name_of(GroupState state) {
  switch (state) {
    case GroupState::waiting: return "deferred";
    case GroupState::ready:
    case GroupState::aside: return "ready";
    case GroupState::running:
    case GroupState::landed: return "delivering";
    case GroupState::held: return "held";
    case GroupState::free:
    case GroupState::ghost: return "";
  }
  return "";
}


// ---- which messages ------------------------------------------------------------------------------------------------

struct Selection {
  std::vector<Number> numbers;
  std::string destination;  ///< only groups there; empty: all
  std::string rule;         ///< what a hold of these is kept under; empty: a message alone
};

std::optional<Number> number_of(Engine& engine, const std::string& id) {
  const auto found = engine.spool().find(id);
  return found && *found ? *found : std::nullopt;
}

bool has_destination(Engine& engine, Number number, const std::string& destination) {
  for (const auto& group : engine.scheduler().groups(number))
    if (shown_destination(group.destination, group.route) == destination) return true;
  return false;
}

/// Whether `sender` (an address, or "@domain") sent this message.
bool is_from(Engine& engine, Number number, std::string_view sender) {
  const auto message = engine.spool().message(number);
  if (!message) return false;
  for (const std::string& address : {message->reverse_path, message->arrival.account})
    if (text::iequals(address, sender) || (sender.starts_with('@') && domain_of(address) == sender.substr(1))) return true;
  return false;
}

std::variant<Selection, std::string> select(Engine& engine, const AdminRequest& request) {
  Selection selection;
  const std::string id = request.get("id");
  const std::string sender = text::to_lower(request.get("sender"));
  selection.destination = text::to_lower(request.get("destination"));
  const bool all = request.get("all") == "true" || request.get("all") == "1" || request.get("all") == "yes";
  if (!id.empty()) {
    const auto number = number_of(engine, id);
    if (!number || !engine.scheduler().has(*number)) return "no message " + text::printable(id) + " in the queue";
    selection.numbers.push_back(*number);
    return selection;
  }
  if (selection.destination.empty() + sender.empty() + !all != 2) return std::string("name a message, a destination, a sender or all");
  if (!sender.empty() && (sender.find('@') == std::string::npos || sender.size() > limits::kAddressBytes || text::printable(sender) != sender))
    return std::string("sender is an address, or @domain");
  selection.rule = !sender.empty() ? std::string(kSenderRule) + sender : all ? "*" : selection.destination;
  engine.scheduler().each([&](Number number) {
    const bool chosen = !sender.empty() ? is_from(engine, number, sender)
                        : all           ? true
                                        : has_destination(engine, number, selection.destination);
    if (chosen) selection.numbers.push_back(number);
    return selection.numbers.size() < limits::kAdminSweep;
  });
  return selection;
}

// ---- looking -------------------------------------------------------------------------------------------------------

json row_of(Engine& engine, Number number) {
  json row{{"number", number}};
  const auto message = engine.spool().message(number);
  const auto schedule = engine.spool().schedule(number);
  if (message) {
    row["id"] = message->id;
    row["sender"] = message->reverse_path;
    row["size"] = message->content.prefix.size() + message->content.size;
  }
  if (schedule) {
    row["received"] = seconds(schedule->received);
    row["expires"] = seconds(schedule->expires);
    row["held"] = schedule->held;
    if (schedule->held) row["held_reason"] = schedule->held_reason;
  }
  row["deliveries"] = json::array();
  for (const auto& group : engine.scheduler().groups(number))
    row["deliveries"].push_back({{"destination", shown_destination(group.destination, group.route)}, {"state", name_of(group.state)},
                                 {"due", seconds(group.due)}, {"attempts", group.attempts}});
  return row;
}

AdminAnswer list(Engine& engine, const AdminRequest& request) {
  const auto limit = text::parse_uint(request.get("limit", std::to_string(limits::kAdminPage)), limits::kAdminPageMost);
  const auto page = text::parse_uint(request.get("page", "0"), 1'000'000);
  if (!limit || *limit == 0 || !page) return failed("limit is a number up to " + std::to_string(limits::kAdminPageMost) + ", page a number");
  const std::string destination = text::to_lower(request.get("destination"));
  const std::string state = request.get("state");
  std::vector<Number> numbers;
  engine.scheduler().each([&](Number number) {
    const bool there = destination.empty() || has_destination(engine, number, destination);
    const auto groups = state.empty() ? std::vector<Scheduler::GroupInfo>{} : engine.scheduler().groups(number);
    const bool fits = state.empty() || (state == "held" && engine.scheduler().is_held(number)) ||
                      std::any_of(groups.begin(), groups.end(), [&](const auto& g) { return name_of(g.state) == state; });
    if (there && fits) numbers.push_back(number);
    return true;
  });
  std::sort(numbers.begin(), numbers.end());
  json out{{"total", numbers.size()}, {"page", *page}, {"messages", json::array()}};
  constexpr std::size_t kRoom = privsep::kAdminBytes - 16 * 1024;
  std::size_t bytes = 0;
  for (std::size_t i = *page * *limit; i < numbers.size() && i < (*page + 1) * *limit; ++i) {
    json row = row_of(engine, numbers[i]);
    bytes += dump(row).size() + 1;
    if (bytes > kRoom) {
      out["truncated"] = true;
      break;
    }
    out["messages"].push_back(std::move(row));
  }
  return {{}, dump(out)};
}

/// What was wanted of a connection and what it was, for `queue show`.
json security_json(const privsep::TlsUse& use) {
  if (use == privsep::TlsUse{}) return nullptr;
  json out{{"host", use.host}, {"address", use.address}, {"wanted", use.wanted}, {"got", use.got}, {"dane", use.dane}};
  if (!use.mta_sts.empty()) out["mta_sts"] = use.mta_sts;
  if (!use.version.empty())
    out.update({{"version", use.version}, {"cipher", use.cipher}, {"key_exchange", use.key_exchange}, {"forward_secrecy", use.forward_secrecy},
                {"certificate_key", use.certificate_key}});
  if (use.obstacle.code != 0) out["obstacle"] = reply_json(use.obstacle);
  return out;
}

json attempts_json(Engine& engine, Number number) {
  json rows = json::array();
  const auto attempts = engine.spool().attempts(number);
  if (!attempts) return rows;
  constexpr std::size_t kShown = 50;
  const std::size_t first = attempts->size() > kShown ? attempts->size() - kShown : 0;
  for (std::size_t i = first; i < attempts->size(); ++i) {
    const auto& a = (*attempts)[i];
    json recipients = json::array();
    for (std::size_t k = 0; k < a.recipients.size() && k < 20; ++k) recipients.push_back(a.recipients[k]);
    rows.push_back({{"at", seconds(a.at)}, {"what", a.what}, {"destination", a.destination}, {"recipients", recipients},
                    {"reply", reply_json(a.reply)}, {"server", a.server}, {"tls", a.tls}, {"security", security_json(a.use)}});
  }
  return rows;
}

void add_evidence(Engine& engine, Number number, json& out) {
  const auto evidence = engine.spool().evidence(number);
  if (!evidence || evidence->empty()) return;
  auto parsed = json::parse(*evidence, nullptr, false);
  out["evidence"] = parsed.is_discarded() ? json(*evidence) : std::move(parsed);
}

json live_json(Engine& engine, Number number) {
  json out = row_of(engine, number);
  out["in_queue"] = true;
  out["recipients"] = json::array();
  const auto recipients = engine.spool().recipients(number);
  if (!recipients) return out;
  for (const auto& r : *recipients) {
    if (out["recipients"].size() == limits::kHistoryRecipients) break;
    out["recipients"].push_back({{"recipient", r.recipient}, {"target", r.target}, {"route", name_of(r.route)}, {"destination", shown_destination(r.destination, r.route)},
                                 {"state", name_of(r.state)}, {"attempts", r.attempts}, {"due", seconds(r.due)}, {"reply", reply_json(r.reply)},
                                 {"server", r.server}, {"tls", r.tls}, {"security", security_json(r.use)}});
  }
  return out;
}

json past_json(const HistoryRecord& history, Number number) {
  json out{{"number", number}, {"id", history.id}, {"sender", history.reverse_path}, {"account", history.account}, {"size", history.size},
           {"received", seconds(history.received)}, {"finished", seconds(history.finished)}, {"in_queue", false}, {"recipients", json::array()}};
  for (std::size_t i = 0; i < history.ends.size(); ++i) {
    const auto& end = history.ends[i];
    const bool known = i < history.use_of.size() && history.use_of[i] < history.uses.size();
    out["recipients"].push_back({{"recipient", end.recipient}, {"state", name_of(end.state)}, {"attempts", end.attempts}, {"at", seconds(end.at)},
                                 {"reply", reply_json(end.reply)}, {"server", end.server}, {"tls", end.tls},
                                 {"security", known ? security_json(history.uses[history.use_of[i]]) : json(nullptr)}});
  }
  return out;
}

AdminAnswer show(Engine& engine, const AdminRequest& request) {
  const std::string id = request.get("id");
  const auto number = number_of(engine, id);
  if (!number) return failed("no message " + text::printable(id) + "; messages are forgotten three days after they left");
  json out;
  if (engine.scheduler().has(*number)) {
    out = live_json(engine, *number);
  } else {
    const auto history = engine.spool().history(*number);
    if (!history || !*history) return failed("no message " + text::printable(id));
    out = past_json(**history, *number);
  }
  out["history"] = attempts_json(engine, *number);
  add_evidence(engine, *number, out);
  std::string text = dump(out);
  if (text.size() > privsep::kAdminBytes - 1024) {
    out.erase("history");
    out["truncated"] = true;
    text = dump(out);
  }
  return {{}, std::move(text)};
}

AdminAnswer why(Engine& engine, const AdminRequest& request) {
  const std::string id = request.get("id");
  const auto number = number_of(engine, id);
  if (!number) return failed("no message " + text::printable(id) + "; messages are forgotten three days after they left");
  json out{{"id", id}, {"evidence", nullptr}};
  if (engine.is_parked_unread(*number)) out["held_reason"] = kParkedUnread;
  add_evidence(engine, *number, out);
  if (const auto message = engine.spool().message(*number)) {
    out["sender"] = message->reverse_path;
    out["to_junk"] = message->to_junk;
    out["auth_domain"] = message->auth_domain;
  }
  return {{}, dump(out)};
}

AdminAnswer stats(Engine& engine, const AdminRequest& request) {
  const auto limit = text::parse_uint(request.get("limit", std::to_string(limits::kAdminPage)), limits::kAdminPageMost);
  if (!limit) return failed("limit is a number up to " + std::to_string(limits::kAdminPageMost));
  auto& scheduler = engine.scheduler();
  using enum GroupState;
  json out{{"messages", scheduler.messages()},
           {"deliveries", {{"deferred", scheduler.groups_in(waiting)}, {"ready", scheduler.groups_in(ready) + scheduler.groups_in(aside)},
                           {"delivering", scheduler.groups_in(running) + scheduler.groups_in(landed)}, {"held", scheduler.groups_in(held)}}},
           {"all_held", scheduler.all_held()}, {"holds", json::array()}, {"destinations", json::array()}};
  for (const auto& [rule, reason] : engine.holds()) out["holds"].push_back({{"rule", rule}, {"reason", reason}});
  if (const auto usage = engine.spool().usage()) out["spool"] = {{"bytes", usage->used_bytes}, {"limit", usage->limit_bytes}};
  for (const auto& d : scheduler.destinations(*limit))
    out["destinations"].push_back({{"destination", d.name}, {"deliveries", d.groups}, {"running", d.running}, {"window", d.window},
                                   {"failures", d.failures}, {"blocked_until", seconds(d.blocked_until)}, {"held", d.held}});
  return {{}, dump(out)};
}

/// The words of an observation of remote's: "domain policy result [server [receiving-ip sending-ip]]".
AdminAnswer tls(Engine& engine, const AdminRequest& request) {
  const auto limit = text::parse_uint(request.get("limit", std::to_string(limits::kAdminPage)), limits::kAdminPageMost);
  if (!limit) return failed("limit is a number up to " + std::to_string(limits::kAdminPageMost));
  const std::string domain = text::to_lower(request.get("destination"));
  const auto rows = engine.spool().observations(domain.empty() ? *limit : limits::kObservationDays * limits::kObservationsPerDay);
  if (!rows) return failed("the observations cannot be read");
  json out{{"observations", json::array()}};
  for (const Observation& row : *rows) {
    const auto words = text::split(row.what, ' ');
    const auto word = [&](std::size_t i) { return i < words.size() ? std::string(words[i]) : std::string(); };
    if (!domain.empty() && word(0) != domain) continue;
    if (out["observations"].size() == *limit) break;
    out["observations"].push_back({{"day", std::int64_t{row.day} * 86'400}, {"domain", word(0)}, {"policy", word(1)}, {"result", word(2)}, {"server", word(3)}, {"address", word(4)}, {"from", word(5)}, {"count", row.times}});
  }
  return {{}, dump(out)};
}

// ---- changing ------------------------------------------------------------------------------------------------------

/// Counts what a command did; the answer goes out when the last of its changes is stored.
struct Tally {
  std::size_t messages = 0, busy = 0, pending = 0;
  bool failed = false, armed = false;
  Answer answer;
  void settle() {
    if (!armed || pending > 0) return;
    armed = false;
    if (failed) return answer({"not everything could be stored; look at queue list", {}});
    answer({{}, dump(json{{"messages", messages}, {"busy", busy}})});
  }
};

void submit(Engine& engine, Change change, const std::shared_ptr<Tally>& tally) {
  ++tally->messages;
  ++tally->pending;
  change.stored = [tally](bool stored) {
    --tally->pending;
    tally->failed = tally->failed || !stored;
    tally->settle();
  };
  engine.change(std::move(change));
}

AttemptRecord note_of(Engine& engine, std::string_view what, const std::string& text) {
  AttemptRecord note;
  note.at = engine.clock().now();
  note.what = what;
  note.reply = {250, "2.0.0", text};
  return note;
}

void set_held(Engine& engine, Number number, bool held, const std::string& reason, const std::shared_ptr<Tally>& tally) {
  auto schedule = engine.spool().schedule(number);
  if (!schedule) return void(tally->failed = true);
  Change change;
  change.number = number;
  change.schedule = *std::move(schedule);
  change.schedule->held = held;
  change.schedule->held_reason = held ? reason : std::string{};
  if (!held) change.schedule->deaths = 0;  // a person vouches for it
  // Evidence may lie for weeks; from its release on it has a life like any other mail.
  if (!held && engine.is_parked_unread(number)) {
    change.schedule->expires = engine.clock().now() + engine.options().intake.expire;
    engine.scheduler().set_expires(number, change.schedule->expires);
  }
  change.notes.push_back(note_of(engine, held ? "held" : "released", reason));
  engine.scheduler().set_held(number, held);
  submit(engine, std::move(change), tally);
}

void retry(Engine& engine, Number number, const std::string& destination, const std::shared_ptr<Tally>& tally) {
  ++tally->messages;
  for (const auto& group : engine.scheduler().groups(number))
    if (destination.empty() || shown_destination(group.destination, group.route) == destination) engine.scheduler().expedite(group.id);
}

void end(Engine& engine, Number number, const Selection& selection, const Order& order, const std::shared_ptr<Tally>& tally) {
  ++tally->pending;  // before the call: it may be settled within
  const Ending found = engine.end(number, selection.destination, order, [tally](bool stored) {
    --tally->pending;
    tally->failed = tally->failed || !stored;
    tally->settle();
  });
  tally->busy += found.busy;
  if (found.changing) ++tally->messages;
  else --tally->pending;
}

bool is_destination(std::string_view text) {
  if (text.empty() || text.size() > 260) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return text::is_alpha(c) || text::is_digit(c) || c == '.' || c == '-' || c == '_' || c == '[' || c == ']' || c == ':';
  });
}

/// A destination, a sender or everything is held by a rule: mail that comes later is held too. A message alone is held by itself.
void hold(Engine& engine, const Selection& selection, bool held, const std::string& reason, const std::shared_ptr<Tally>& tally) {
  const bool by_sender = selection.rule.starts_with(kSenderRule);
  if (!selection.rule.empty()) engine.put_hold(selection.rule, reason, held);
  for (const Number number : selection.numbers) {
    // Evidence is released by its id; who lets all mail go does not mean it.
    const bool itself = selection.rule.empty() || (held ? by_sender : engine.scheduler().is_held(number) && !engine.is_parked_unread(number));
    if (itself) set_held(engine, number, held, held && by_sender ? selection.rule + ": " + reason : reason, tally);
    else ++tally->messages;
  }
}

void change_many(Engine& engine, const AdminRequest& request, std::string_view verb, Answer answer) {
  auto selected = select(engine, request);
  if (auto* error = std::get_if<std::string>(&selected)) return answer(failed(*error));
  const auto& selection = std::get<Selection>(selected);
  if (!selection.destination.empty() && !is_destination(selection.destination)) return answer(failed("no such destination"));
  const std::string reason = text::printable(request.get("reason", "by the administrator"));
  auto tally = std::make_shared<Tally>();
  tally->answer = std::move(answer);
  if (verb == "hold" || verb == "release") {
    hold(engine, selection, verb == "hold", reason, tally);
  } else if (verb == "retry") {
    for (const Number number : selection.numbers) retry(engine, number, selection.destination, tally);
  } else {
    Order order{verb == "fail" ? End::fail : verb == "drop" ? End::drop : End::reroute, request.get("reason")};
    if (order.how == End::reroute) order.word = text::to_lower(request.get("to"));
    if (order.how == End::reroute && !is_destination(order.word)) return tally->answer(failed("to is a domain, or \"[host]:port\""));
    for (const Number number : selection.numbers) end(engine, number, selection, order, tally);
  }
  tally->armed = true;
  tally->settle();
}

}  // namespace

void administer(Engine& engine, const AdminRequest& request, Answer answer) {
  if (request.command == "queue list") return answer(list(engine, request));
  if (request.command == "queue show") return answer(show(engine, request));
  if (request.command == "message why") return answer(why(engine, request));
  if (request.command == "queue stats") return answer(stats(engine, request));
  if (request.command == "queue tls") return answer(tls(engine, request));
  for (const std::string_view verb : {"hold", "release", "retry", "fail", "drop", "reroute"})
    if (request.command == "queue " + std::string(verb)) return change_many(engine, request, verb, std::move(answer));
  answer(failed("the queue has no command " + text::printable(request.command)));
}

}  // namespace postern::queue
