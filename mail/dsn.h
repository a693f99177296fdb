/// Reading delivery status notifications: the machine's part of a report another server sent about a message.
///
/// Trust: none; anybody can write such a report. What is read says what its author claims, bounded and without controls; whether the
/// report belongs to a message of ours is for the caller to know by other means.
/// Source: RFC 3464 §2, RFC 6522 §3, RFC 6533 §3.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace postern::mail::dsn {

/// Source: RFC 3464 §2.3.3.
enum class Action : std::uint8_t { failed = 1, delayed = 2, delivered = 3, relayed = 4, expanded = 5 };
std::string_view name_of(Action action);

struct Recipient {
  std::string original;    ///< address of Original-Recipient, without its type; empty: not said
  std::string final;       ///< address of Final-Recipient, without its type
  Action action = Action::failed;
  std::string status;      ///< "5.1.1"
  std::string diagnostic;  ///< Diagnostic-Code without its type
  std::string remote_mta;  ///< without its type
};

struct Report {
  std::string reporting_mta;         ///< without its type
  std::string original_envelope_id;
  std::string original_message_id;   ///< of the returned message or header, with its brackets; empty: none returned
  std::vector<Recipient> recipients; ///< at most limits::kDsnRecipients, each with a known action and a final recipient
};

/// The report that `message` is; nullopt when it is no multipart/report of a delivery status, or has no group of a recipient.
/// The content type decides, as RFC 6522 §3 has it: what a report says in prose is never guessed at.
std::optional<Report> read(ByteView message);

}  // namespace postern::mail::dsn
