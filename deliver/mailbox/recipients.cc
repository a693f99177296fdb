#include "deliver/mailbox/recipients.h"

#include <algorithm>

#include "deliver/mailbox/client_socket.h"
#include "deliver/mailbox/replies.h"
#include "privsep/ticket.h"

namespace postern::mailbox {

using privsep::RecipientVerdict;
using privsep::TicketKind;

privsep::Ticket Recipients::ticket(TicketKind kind, const std::string& recipient, const std::string& target, bool returns) const {
  privsep::Ticket made;
  made.kind = kind;
  made.recipient = recipient;
  made.target = target;
  made.returns = returns;
  made.expires = clock_.now() + privsep::kTicketLife;
  privsep::seal(made, key_);
  return made;
}

/// Whether mail to `reverse_path` with a detail added would reach an account of ours: then the queue may give each message a return path
/// of its own and know what comes back.
bool Recipients::returns_to_us(const Txn& txn, const std::string& reverse_path) const {
  if (reverse_path.empty() || options_.plus_separator.empty()) return false;
  if (reverse_path.substr(0, reverse_path.rfind('@')).find(options_.plus_separator) != std::string::npos) return false;  // it has one already
  const auto found = resolve(directory_, txn, reverse_path, options_.plus_separator);
  return found && !found->routes.empty();
}

RecipientVerdict Recipients::refuse(privsep::SmtpReply reply, std::string_view reason) {
  metrics_.count("mailbox_recipients_total", "verdict=\"" + std::string(reason) + "\"");
  return {std::move(reply), {}};
}

RecipientVerdict Recipients::judge(const privsep::RecipientQuery& query, const Fd& client) {
  RecipientVerdict verdict;
  const auto looked = directory_.database().read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const Resolution found, resolve(directory_, txn, query.recipient, options_.plus_separator));
    verdict = found.refusal == Refusal::not_ours ? judge_relay(query, txn, client)
              : found.routes.empty()             ? refuse(reply_for(found.refusal), label_of(found.refusal))
                                                 : judge_ours(query, txn, found);
    return {};
  });
  if (looked) return verdict;
  log_.error("the directory cannot be read", {{"error", looked.error().message}});
  return refuse(reply_for(looked.error()), "error");
}

RecipientVerdict Recipients::judge_ours(const privsep::RecipientQuery& query, const Txn& txn, const Resolution& found) {
  RecipientVerdict verdict;
  bool any_room = false;
  for (const Route& route : found.routes) {
    bool room = true;
    if (route.kind == RouteKind::store && route.account.quota_bytes != 0) {
      const auto usage = directory_.find_usage(txn, route.account.id);
      if (!usage) return refuse(reply_for(usage.error()), "error");
      const std::uint64_t quota = route.account.quota_bytes;
      room = usage->bytes < quota && query.size <= quota - usage->bytes;
    }
    any_room |= room;
    // One target without room does not keep mail from the others; the queue tries that one again.
    const auto kind = route.kind == RouteKind::relay ? TicketKind::relay : TicketKind::local;
    verdict.tickets.push_back(ticket(kind, query.recipient, route.target));
  }
  if (!any_room) return refuse(reply_for(Stored::over_quota), "over-quota");
  const bool needs_store = std::ranges::any_of(found.routes, [](const Route& r) { return r.kind == RouteKind::store; });
  if (needs_store && !options_.has_room) return refuse(make_reply(452, "4.3.1", "no room for mail at present"), "no-room");
  verdict.reply = reply_for(Refusal::none);
  metrics_.count("mailbox_recipients_total", "verdict=\"accepted\"");
  return verdict;
}

RecipientVerdict Recipients::judge_relay(const privsep::RecipientQuery& query, const Txn& txn, const Fd& client) {
  const auto denied = make_reply(550, "5.7.1", "relaying denied");
  if (!client) return refuse(denied, "relay-denied");
  const auto address = address_of_client(client);
  if (!address) {
    log_.warning("a client's socket that is none", {{"error", address.error().message}});
    return refuse(denied, "relay-denied");
  }
  const bool may = std::ranges::any_of(options_.relay_networks, [&](const IpPrefix& net) { return net.contains(*address); });
  if (!may) return refuse(denied, "relay-denied");
  const auto named = mail::parse_mailbox(query.recipient, mail::Utf8::allowed);
  if (!named) return refuse(reply_for(Refusal::malformed), "malformed");
  RecipientVerdict verdict{reply_for(Refusal::none), {ticket(TicketKind::relay, query.recipient, named->to_string(), returns_to_us(txn, query.reverse_path))}};
  metrics_.count("mailbox_recipients_total", "verdict=\"relay\"");
  return verdict;
}

}  // namespace postern::mailbox
