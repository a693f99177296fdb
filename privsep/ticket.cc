#include "privsep/ticket.h"

#include "base/crypto.h"
#include "privsep/wire.h"

namespace postern::privsep {

namespace {

constexpr std::size_t kMacBytes = 16;

Bytes mac_of(const Ticket& ticket, const Secret& key) {
  // The wire's encoding is unambiguous: every text carries its length.
  Encoder encoder;
  encoder(std::string("postern-ticket-1"), ticket.kind, ticket.recipient, ticket.target, ticket.expires, ticket.returns);
  const auto full = crypto::hmac_sha256(key.view(), bytes_of(encoder.take()));
  return {full.begin(), full.begin() + kMacBytes};
}

}  // namespace

void seal(Ticket& ticket, const Secret& key) { ticket.mac = mac_of(ticket, key); }

Result<void> check(const Ticket& ticket, const Secret& key, WallTime now) {
  if (key.empty() || !crypto::equal(ticket.mac, mac_of(ticket, key)))
    return failure("ticket.forged", "no decision of ours about " + ticket.recipient);
  if (ticket.expires < now) return failure("ticket.expired", "the decision about " + ticket.recipient + " is too old");
  return {};
}

}  // namespace postern::privsep
