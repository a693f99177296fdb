/// The commands of the dialogue: when each may be said, whether others may be sent behind it, how its argument is read and what it does.
#pragma once

#include <cstdint>
#include <string_view>

#include "mail/smtp.h"

namespace postern::listener {

class SmtpSession;

/// Where the dialogue stands; exactly one bit at a time. A Command names the set it is allowed in.
using States = std::uint8_t;
namespace state {
inline constexpr States kConnected = 1;      ///< no HELO or EHLO yet (or again none, after STARTTLS)
inline constexpr States kGreeted = 2;
inline constexpr States kHasSender = 4;
inline constexpr States kHasRecipient = 8;
inline constexpr States kInChunks = 16;      ///< a first BDAT was taken, the last one not yet
inline constexpr States kAnytime = 31;
}  // namespace state

/// Whether more may follow in the same group of commands (RFC 2920 §3.1). What follows a `last` one was sent blindly: it is refused.
enum class Group : std::uint8_t { any, last };

/// Whether the command waits until the verdicts of the RCPTs before it are there.
enum class Turn : std::uint8_t { after_verdicts, at_once };

struct Command {
  mail::smtp::Verb verb;
  States allowed;
  Group group;
  Turn turn;
  void (*run)(SmtpSession& session, std::string_view argument);  ///< parses the argument, then acts
};

/// nullptr for Verb::unknown.
const Command* command_for(mail::smtp::Verb verb);

}  // namespace postern::listener
