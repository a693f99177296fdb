/// Delivery status notifications: who is owed one, and their text. Pure.
///
/// Trust: addresses, ids and replies in a report are foreign words; every one is put on a line of its own, without control characters.
/// No report goes to a null sender, and none to a sender whose address nobody vouched for (backscatter).
/// Source: RFC 3461 (when), RFC 3464 (form), RFC 6533 (addresses in UTF-8), RFC 3834 (automatic replies).
#pragma once

#include <string>
#include <vector>

#include "queue/schema.h"

namespace postern::queue {

/// The kinds of reports, in the order in which they are worth sending.
enum class ReportKind : std::uint8_t { failure = 1, delay = 2, success = 3, expanded = 4 };

/// Whether the sender may be written to at all.
enum class Recourse : std::uint8_t {
  allowed = 1,
  null_sender = 2,    ///< RFC 5321 §4.5.5: nobody to tell
  unvouched = 3,      ///< the address may be forged: silence
};
/// Allowed for what an account of ours or a client that may relay sent, and where the reverse-path's domain was authenticated.
Recourse recourse(const MessageRecord& message);

/// Whether a report about `message` needs SMTPUTF8 to be sent: its To does.
bool needs_smtputf8(const MessageRecord& message);

/// Whether `recipient`'s NOTIFY asks for a report of this kind in its present state. Absent means FAILURE, and DELAY at our
/// discretion (RFC 3461 §4.1): we tell.
bool is_owed(const RecipientRecord& recipient, ReportKind kind);

struct ReportInput {
  const MessageRecord* message = nullptr;
  std::vector<const RecipientRecord*> recipients;  ///< those reported on, at least one
  ReportKind kind = ReportKind::failure;
  std::string_view original;     ///< the message's final bytes, or as many of its first as are there
  bool original_whole = false;   ///< whether `original` is all of it
  std::string_view host;         ///< our name
  std::string_view boundary;     ///< random, of letters and digits
  WallTime received{};
  WallTime expires{};
  WallTime now{};
};

/// The report as a message: header and body, CRLF lines. Whether it holds bytes above 127 decides on 8BITMIME.
std::string compose_report(const ReportInput& input);

/// `time` as RFC 5322 §3.3 writes it, in UTC.
std::string mail_date(WallTime time);

}  // namespace postern::queue
