#include "queue/delivery.h"

#include <algorithm>

#include "base/text.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {

constexpr std::size_t kServerBytes = 512;
constexpr std::uint16_t kNotLocal = 551;  // agreed with mailbox: no account of ours, try the world

/// Foreign words become one bounded line here, once, before they are stored anywhere.
privsep::SmtpReply tame(const privsep::SmtpReply& reply) {
  privsep::SmtpReply tamed;
  tamed.code = reply.code >= 200 && reply.code < 600 ? reply.code : std::uint16_t{451};
  const std::string digit = std::to_string(tamed.code / 100);
  // RFC 3463 §2: class "." subject "." detail, and the class must be the code's; otherwise say no more than the code does.
  const bool sound = reply.enhanced.size() <= 11 && reply.enhanced.starts_with(digit + ".") &&
                     reply.enhanced.find_first_not_of("0123456789.") == std::string::npos;
  tamed.enhanced = sound ? reply.enhanced : digit + ".0.0";
  tamed.text = text::printable(reply.text, limits::kReplyTextBytes);
  return tamed;
}

/// What `remote` says of a server and its protection, every field bounded and printable.
privsep::TlsUse tame(privsep::TlsUse use) {
  constexpr std::size_t kWordBytes = 64, kSentenceBytes = 200;
  for (std::string* field : {&use.got, &use.version, &use.cipher, &use.key_exchange, &use.certificate_key, &use.address})
    *field = text::printable(*field, kWordBytes);
  for (std::string* field : {&use.host, &use.wanted, &use.dane, &use.mta_sts}) *field = text::printable(*field, kSentenceBytes);
  if (use.obstacle.code != 0) use.obstacle = tame(use.obstacle);
  return use;
}

/// Servers that were come to and left again before the one whose word counts.
void note_detours(Landing& landing, const Flight& flight, const privsep::DeliveryResult& result, WallTime now) {
  for (std::size_t i = 0; i + 1 < result.uses.size() && i < limits::kDetours; ++i) {
    AttemptRecord detour;
    detour.at = now;
    detour.what = "passed over";
    detour.destination = flight.destination;
    detour.use = tame(result.uses[i]);
    detour.reply = detour.use.obstacle;
    detour.server = detour.use.host + (detour.use.address.empty() ? "" : " " + detour.use.address);
    landing.notes.push_back(std::move(detour));
  }
}

void note(Landing& landing, const Flight& flight, const RecipientRecord& r, std::string_view what) {
  for (auto& same : landing.notes) {
    if (same.what != what || same.reply.code != r.reply.code || same.reply.text != r.reply.text || same.server != r.server) continue;
    if (same.recipients.size() < limits::kHistoryRecipients) same.recipients.push_back(r.recipient);
    return;
  }
  AttemptRecord attempt;
  attempt.at = r.last_attempt;
  attempt.what = what;
  attempt.destination = flight.route == Route::local ? "local" : flight.destination;
  attempt.recipients.push_back(r.recipient);
  attempt.reply = r.reply;
  attempt.server = r.server;
  attempt.tls = r.tls;
  attempt.use = r.use;
  landing.notes.push_back(std::move(attempt));
}

/// Returns whether the recipient waits for another attempt.
bool settle(Flight& flight, IndexedRecipient& entry, const privsep::Outcome& outcome, WallTime now, Landing& landing) {
  auto& [index, r] = entry;
  r.reply = tame(outcome.reply);
  r.server = text::printable(outcome.server, kServerBytes);
  r.tls = text::printable(outcome.tls, kServerBytes);
  r.last_attempt = now;
  if (r.attempts < UINT16_MAX) ++r.attempts;
  if (r.try_local && flight.route == Route::local && r.reply.code == kNotLocal) {
    r.try_local = false;
    r.route = Route::remote;
    r.destination = domain_of(r.target);
    r.attempts = 0;
    landing.moved.push_back(index);
    return false;
  }
  if (r.reply.is_success()) {
    r.state = flight.route == Route::local ? RecipientState::delivered
              : outcome.relayed            ? RecipientState::relayed_blind
                                           : RecipientState::relayed;
    ++landing.delivered;
    return false;
  }
  if (r.reply.is_permanent()) {
    r.state = RecipientState::failed;
    ++landing.failed;
    note(landing, flight, r, "failed");
    return false;
  }
  if (r.reply.code < 400) r.reply.code = 451;  // 3xx ends no delivery
  const bool enough = flight.max_attempts != 0 && r.attempts >= flight.max_attempts;
  if (now >= flight.expires || enough) {
    note(landing, flight, r, "expired");
    expire_recipient(r, now, enough ? "Delivery was tried too often" : "Delivery time expired");
    ++landing.failed;
    return false;
  }
  ++landing.deferred;
  note(landing, flight, r, "deferred");
  return true;
}

Feedback feedback_of(const Flight& flight, const privsep::DeliveryResult& result, const Landing& landing) {
  if (result.host_dead && landing.delivered == 0) return flight.route == Route::remote ? Feedback::dead : Feedback::refused;
  if (landing.delivered > 0) return Feedback::taken;
  for (const auto& [index, r] : flight.recipients)
    if (asks_for_less(r.reply)) return Feedback::busy;
  return Feedback::refused;
}

}  // namespace

std::vector<IndexedRecipient> choose_recipients(const std::vector<RecipientRecord>& all, Route route, std::string_view destination,
                                                bool& partial) {
  std::vector<IndexedRecipient> chosen;
  std::size_t bytes = 0;
  partial = false;
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    const auto& r = all[i];
    if (r.state != RecipientState::waiting || r.route != route || (route == Route::remote && r.destination != destination)) continue;
    bytes += r.target.size() + r.orcpt.size() + 16;
    if (chosen.size() == limits::kDeliveryTargets || bytes > limits::kDeliveryTargetBytes) {
      partial = true;
      break;
    }
    chosen.emplace_back(i, r);
  }
  return chosen;
}

privsep::LocalDelivery local_request(const Flight& flight, std::uint64_t epoch) {
  const auto& m = *flight.message;
  privsep::LocalDelivery request;
  request.spool_number = flight.number;
  request.spool_epoch = epoch;
  request.id = m.id;
  request.reverse_path = m.reverse_path;
  for (const auto& [index, r] : flight.recipients) request.targets.push_back(r.target);
  request.to_junk = m.to_junk;
  request.smtputf8 = m.smtputf8;
  request.content = m.content;
  request.received = m.arrival.received;
  return request;
}

privsep::RemoteDelivery remote_request(const Flight& flight) {
  const auto& m = *flight.message;
  privsep::RemoteDelivery request;
  request.id = m.id;
  request.destination = flight.destination;
  request.reverse_path = m.reverse_path;
  for (const auto& [index, r] : flight.recipients) request.targets.push_back({r.target, r.notify, r.orcpt});
  request.body = m.body;
  request.smtputf8 = m.smtputf8;
  request.require_tls = m.require_tls;
  request.tls_optional = m.tls_optional;
  request.ret = m.ret;
  request.envid = m.envid;
  request.content = m.content;
  return request;
}

Landing apply(Flight& flight, const privsep::DeliveryResult& result, WallTime now, const RetryCurve& curve) {
  Landing landing;
  if (result.outcomes.size() != flight.recipients.size()) {
    // Not an answer to what was asked: as if the peer had fallen.
    landing.waiting = true;
    landing.due = now + curve.pause(flight.attempts + 1U, {});
    return landing;
  }
  std::chrono::seconds pause{0};
  note_detours(landing, flight, result, now);
  const privsep::TlsUse use = result.uses.empty() ? privsep::TlsUse{} : tame(result.uses.back());
  for (std::size_t i = 0; i < result.outcomes.size(); ++i) {
    flight.recipients[i].second.use = use;
    if (!settle(flight, flight.recipients[i], result.outcomes[i], now, landing)) continue;
    const auto wanted = curve.pause(flight.attempts + 1U, flight.recipients[i].second.reply);
    pause = landing.waiting ? std::min(pause, wanted) : wanted;
    landing.waiting = true;
  }
  if (landing.waiting) landing.due = std::min(now + pause, std::max(now, flight.expires));
  if (flight.partial) {
    if (!landing.waiting) landing.due = now;
    landing.waiting = true;
  }
  for (auto& [index, r] : flight.recipients)
    if (r.state == RecipientState::waiting) r.due = landing.due;
  landing.feedback = feedback_of(flight, result, landing);
  return landing;
}

std::string_view name_of(End how) {
  switch (how) {
    case End::fail: return "failed";
    case End::drop: return "dropped";
    case End::reroute: return "rerouted";
  }
  return "";
}

void carry_out(const Order& order, RecipientRecord& r, WallTime now) {
  if (order.how == End::reroute) {
    r.destination = order.word;
    r.due = now;
    return;
  }
  r.state = order.how == End::fail ? RecipientState::failed : RecipientState::dropped;
  r.reply = {554, "5.0.0", order.word.empty() ? "Ended by the administrator" : text::printable(order.word, limits::kReplyTextBytes)};
  r.last_attempt = now;
}

void expire_recipient(RecipientRecord& r, WallTime now, std::string_view why) {
  r.state = RecipientState::failed;
  const std::string last = r.reply.text.empty() || r.attempts == 0 ? std::string{} : "; last reply: " + std::to_string(r.reply.code) + " " + r.reply.text;
  r.reply = {554, "5.4.7", text::printable(std::string(why) + last, limits::kReplyTextBytes)};  // RFC 3463 §3.5
  if (r.attempts == 0) r.last_attempt = now;
}

}  // namespace postern::queue
