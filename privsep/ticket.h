/// Tickets: who decides a thing says so in a form that others can check (HMAC-SHA-256, 16 bytes kept).
/// The key is made by the parent at each start and given to mailbox, queue and the outbound verifier only.
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "privsep/envelope.h"

namespace postern::privsep {

inline constexpr std::chrono::hours kTicketLife{2};  ///< longer than any SMTP transaction may take

/// Fills in `ticket.mac`.
void seal(Ticket& ticket, const Secret& key);

/// Errors: "ticket.forged", "ticket.expired".
Result<void> check(const Ticket& ticket, const Secret& key, WallTime now);

}  // namespace postern::privsep
