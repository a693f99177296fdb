/// What may enter the spool: the checks of a SpoolRequest, before a byte of it is stored. Pure but for looking at the descriptor.
///
/// Trust: none of the verifiers. A recipient without a ticket of the mailbox's is refused; a relay ticket counts only when it comes by
/// way of the outbound verifier, so that a spoiled listener or inbound verifier cannot send mail to the world.
#pragma once

#include <variant>

#include "base/secret.h"
#include "base/unique.h"
#include "privsep/messages.h"
#include "queue/spool.h"

namespace postern::queue {

struct IntakeRules {
  std::uint64_t max_message_size = 0;
  std::chrono::seconds expire{0};
  std::chrono::seconds warn_after{0};  ///< 0: never
};

struct Refusal {
  privsep::SmtpReply reply;  ///< to the client
  std::string why;           ///< for the log
};

/// The message to store, or why it is refused: "550 5.7.1" for a ticket that is not ours or may not come this way, "451 4.7.1" for one
/// that is too old, "554 5.6.0" for a request that is not of the form agreed on.
std::variant<NewMessage, Refusal> take_in(const privsep::SpoolRequest& request, privsep::Role from, const Fd& body,
                                          const Secret& ticket_key, WallTime now, const IntakeRules& rules);

/// Whether the header says "TLS-Required: No". `header` is the beginning of a message. Source: RFC 8689 §5.
bool says_tls_optional(ByteView header);

/// What fairness between senders goes by: the account, else the reverse-path, else the client.
std::uint32_t sender_key(std::string_view account, std::string_view reverse_path, const IpAddress& client);

/// `content`'s prefix and body put together, without the cuts, at most `most` bytes of the result. `body` is its beginning.
std::string final_bytes(const privsep::Content& content, std::string_view body, std::size_t most);

}  // namespace postern::queue
