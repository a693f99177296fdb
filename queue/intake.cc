#include "queue/intake.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "io/memfd.h"
#include "mail/header.h"
#include "privsep/ticket.h"
#include "queue/limits.h"

namespace postern::queue {

namespace {

Refusal malformed(std::string why) { return {{554, "5.6.0", "The message cannot be queued"}, std::move(why)}; }

bool is_clean(std::string_view text, std::size_t most) {
  if (text.size() > most) return false;
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

bool is_id(std::string_view id) {
  if (id.empty() || id.size() > limits::kIdBytes) return false;
  return std::all_of(id.begin(), id.end(), [](char c) { return text::is_alpha(c) || text::is_digit(c); });
}

/// Ascending, not overlapping, inside the body: what comes after must not have to think about it.
bool cuts_are_sound(const privsep::Content& content) {
  if (content.cuts.size() > limits::kCuts) return false;
  std::uint64_t free_from = 0;
  for (const auto& cut : content.cuts) {
    if (cut.offset < free_from || cut.offset > content.size || cut.length > content.size - cut.offset) return false;
    free_from = cut.offset + cut.length;
  }
  return true;
}

std::string form_error(const privsep::SpoolRequest& request) {
  const auto& e = request.envelope;
  if (!is_id(e.id)) return "the id is not of letters and digits";
  if (!is_clean(e.reverse_path, limits::kAddressBytes)) return "the reverse-path";
  if (!is_clean(e.envid, limits::kAddressBytes)) return "the envelope id";
  if (!is_clean(e.arrival.account, limits::kAddressBytes)) return "the account";
  if (!is_clean(request.auth_domain, limits::kAddressBytes)) return "the authenticated domain";
  if (e.recipients.empty()) return "no recipient";
  if (e.recipients.size() > limits::kRecipients) return "too many recipients";
  if (request.evidence.size() > limits::kEvidenceBytes) return "too much evidence";
  if (request.content.prefix.size() > limits::kPrefixBytes) return "too large a prefix";
  if (!request.content.prefix.empty() && !request.content.prefix.ends_with("\r\n")) return "the prefix ends within a line";
  if (!cuts_are_sound(request.content)) return "the cuts";
  return {};
}

std::optional<Refusal> check_ticket(const privsep::Ticket& ticket, privsep::Role from, const Secret& key, WallTime now) {
  if (auto good = privsep::check(ticket, key, now); !good) {
    if (good.error().code == "ticket.expired") return Refusal{{451, "4.7.1", "The recipient's acceptance has expired, try again"}, good.error().message};
    return Refusal{{550, "5.7.1", "Delivery not authorized"}, good.error().message};
  }
  if (ticket.kind == privsep::TicketKind::relay && from != privsep::Role::verifier_out)
    return Refusal{{550, "5.7.1", "Relaying denied"}, "a relay ticket for " + ticket.recipient + " came by way of " + std::string(privsep::name_of(from))};
  if (!is_clean(ticket.target, limits::kAddressBytes) || !is_clean(ticket.recipient, limits::kAddressBytes) || ticket.target.empty())
    return malformed("a recipient's address");
  return std::nullopt;
}

RecipientRecord record_of(const privsep::Recipient& recipient, WallTime now) {
  RecipientRecord record;
  record.recipient = recipient.ticket.recipient;
  record.target = recipient.ticket.target;
  record.route = recipient.ticket.kind == privsep::TicketKind::local ? Route::local : Route::remote;
  if (record.route == Route::remote) record.destination = domain_of(record.target);
  record.notify = recipient.notify;
  record.orcpt = recipient.orcpt;
  record.due = now;
  return record;
}

/// An alias that stands for several: its expansion is the success that is reported; the copies go on without SUCCESS, and where that
/// leaves nothing to be told, with NEVER. Source: RFC 3461 §5.2.7.3.
void expand(NewMessage& made) {
  using privsep::Notify;
  if (made.recipients.size() < 2) return;
  std::map<std::string_view, std::size_t> copies;
  for (const auto& r : made.recipients)
    if ((r.notify.bits & Notify::kSuccess) != 0) ++copies[r.recipient];
  std::set<std::string> told;
  for (auto& r : made.recipients) {
    const auto found = copies.find(r.recipient);
    if (found == copies.end() || found->second < 2) continue;
    if (told.insert(r.recipient).second) made.expanded.push_back(r);
    r.notify.bits = static_cast<std::uint8_t>(r.notify.bits & ~unsigned{Notify::kSuccess});
    if (r.notify.bits == 0) r.notify.bits = Notify::kNever;
  }
}

MessageRecord message_of(const privsep::SpoolRequest& request) {
  const auto& e = request.envelope;
  MessageRecord m;
  m.id = e.id;
  m.reverse_path = e.reverse_path;
  m.body = e.body;
  m.smtputf8 = e.smtputf8;
  m.require_tls = e.require_tls;
  m.ret = e.ret;
  m.envid = e.envid;
  m.arrival = e.arrival;
  m.content = request.content;
  m.to_junk = request.to_junk;
  m.auth_domain = text::to_lower(request.auth_domain);
  m.chunks = chunks_of(request.content.size);
  return m;
}

/// RFC 8689 §5: the field tells the sender's wish for delivery even where TLS fails; REQUIRETLS overrides it (§4.1).
bool find_tls_optional(const MessageRecord& message, const Fd& body) {
  if (message.require_tls) return false;
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(message.content.size, limits::kReturnedHeaderBytes)), '\0');
  if (!FileBody(body.get(), message.content.size).read(0, {reinterpret_cast<std::byte*>(head.data()), head.size()})) return false;
  return says_tls_optional(bytes_of(head));
}

}  // namespace

std::variant<NewMessage, Refusal> take_in(const privsep::SpoolRequest& request, privsep::Role from, const Fd& body,
                                          const Secret& ticket_key, WallTime now, const IntakeRules& rules) {
  if (auto error = form_error(request); !error.empty()) return malformed(std::move(error));
  if (auto good = io::check_sealed(body, request.content.size, rules.max_message_size); !good) return malformed(good.error().message);
  NewMessage made;
  bool remote = false;
  std::set<std::pair<Route, std::string_view>> seen;  // one copy an account, whatever names it was reached by
  for (const auto& recipient : request.envelope.recipients) {
    if (auto refusal = check_ticket(recipient.ticket, from, ticket_key, now)) return *std::move(refusal);
    if (!is_clean(recipient.orcpt, 2 * limits::kAddressBytes)) return malformed("an original recipient");
    RecipientRecord record = record_of(recipient, now);
    if (record.route == Route::remote && record.destination.empty()) return malformed("a recipient without a domain");
    if (request.envelope.recipients.size() > 1 && !seen.emplace(record.route, recipient.ticket.target).second) continue;
    remote = remote || record.route == Route::remote;
    made.recipients.push_back(std::move(record));
  }
  expand(made);
  made.message = message_of(request);
  made.message.returns = std::ranges::any_of(request.envelope.recipients, [](const auto& r) { return r.ticket.returns; });
  // Nothing reads a message that is parked.
  made.message.tls_optional = remote && !request.park && find_tls_optional(made.message, body);
  made.evidence = request.evidence;
  made.schedule.received = now;
  made.schedule.expires = now + rules.expire;
  made.schedule.held = request.park;
  if (request.park) made.schedule.held_reason = kParkedUnread;
  if (rules.warn_after.count() > 0 && !request.park) made.schedule.warn_at = now + rules.warn_after;
  const auto& arrival = request.envelope.arrival;
  made.schedule.sender = sender_key(arrival.account, request.envelope.reverse_path, arrival.client);
  return made;
}

bool says_tls_optional(ByteView header) {
  auto block = mail::parse_header(header);
  if (!block) return false;
  const auto* field = block->first("TLS-Required");
  return field != nullptr && text::iequals(mail::unfold(field->value), "no");
}

std::uint32_t sender_key(std::string_view account, std::string_view reverse_path, const IpAddress& client) {
  const std::string_view name = !account.empty() ? account : !reverse_path.empty() ? reverse_path : client.octets();
  std::uint32_t hash = 0x811C'9DC5U;  // FNV-1a; a collision merely shares a turn
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(text::lower(c))) * 0x0100'0193U;
  return hash;
}

std::string final_bytes(const privsep::Content& content, std::string_view body, std::size_t most) {
  std::string out = content.prefix.substr(0, most);
  std::size_t at = 0;
  const auto take = [&](std::size_t until) {
    until = std::min(until, body.size());
    if (until > at && out.size() < most) out += body.substr(at, std::min(until - at, most - out.size()));
  };
  for (const auto& cut : content.cuts) {
    take(static_cast<std::size_t>(cut.offset));
    at = std::max(at, std::min(static_cast<std::size_t>(cut.offset + cut.length), body.size()));
  }
  take(body.size());
  return out;
}

}  // namespace postern::queue
