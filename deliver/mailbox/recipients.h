/// The answer to RCPT: tickets for a recipient of ours, or for a client that may relay, or the reply to give.
///
/// Trust: the listener is exposed to the internet. What it says of the client is not believed: only the client's own socket, whose address
/// the kernel tells, gives a relay ticket.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "base/secret.h"
#include "deliver/mailbox/resolve.h"
#include "privsep/messages.h"
#include "privsep/metrics.h"

namespace postern::mailbox {

class Recipients {
 public:
  struct Options {
    std::string plus_separator = "+";
    std::vector<IpPrefix> relay_networks;
    bool has_room = true;  ///< whether the store takes mail
  };
  /// All outlive it.
  Recipients(Directory& directory, const Secret& ticket_key, const Clock& clock, privsep::Metrics& metrics, const Log& log)
      : directory_(directory), key_(ticket_key), clock_(clock), metrics_(metrics), log_(log) {}
  void configure(Options options) { options_ = std::move(options); }
  void set_room(bool has_room) { options_.has_room = has_room; }

  /// `client`: the client's socket, or empty.
  privsep::RecipientVerdict judge(const privsep::RecipientQuery& query, const Fd& client);

 private:
  privsep::RecipientVerdict judge_ours(const privsep::RecipientQuery& query, const Txn& txn, const Resolution& found);
  privsep::RecipientVerdict judge_relay(const privsep::RecipientQuery& query, const Txn& txn, const Fd& client);
  privsep::RecipientVerdict refuse(privsep::SmtpReply reply, std::string_view reason);
  privsep::Ticket ticket(privsep::TicketKind kind, const std::string& recipient, const std::string& target, bool returns = false) const;
  bool returns_to_us(const Txn& txn, const std::string& reverse_path) const;

  Directory& directory_;
  const Secret& key_;
  const Clock& clock_;
  privsep::Metrics& metrics_;
  const Log& log_;
  Options options_;
};

}  // namespace postern::mailbox
