#include "listener/command_table.h"

#include <array>

#include "listener/smtp_session.h"

namespace postern::listener {

using mail::smtp::Verb;
using namespace state;

/// The parsers and actions that rows are made of.
struct CommandRows {
  using S = SmtpSession;

  /// Reads the argument with `parse` and does `act`, or refuses.
  template <auto parse, auto act>
  static void step(S& session, std::string_view argument) {
    auto parsed = parse(argument);
    if (!parsed) return session.refuse(parsed.error());
    (session.*act)(*parsed);
  }
  static void rcpt(S& session, std::string_view argument) {
    auto parsed = mail::smtp::parse_rcpt(argument, session.utf8());
    if (!parsed) return session.refuse_recipient(parsed.error());
    session.add_recipient(*parsed);
  }
  static void bdat(S& session, std::string_view argument) {
    const auto parsed = mail::smtp::parse_bdat(argument);
    if (!parsed) return session.close_with(replies::kSyntax);  // how many octets follow is not known: the dialogue is lost
    session.take_chunk(*parsed);
  }

  // clang-format off
  static constexpr Command kCommands[] = {
      // verb          allowed in               group         turn                  argument, action
      {Verb::helo,     kAnytime & ~kInChunks,   Group::last,  Turn::after_verdicts, &step<mail::smtp::parse_helo, &S::greet_plain>},
      {Verb::ehlo,     kAnytime & ~kInChunks,   Group::last,  Turn::after_verdicts, &step<mail::smtp::parse_helo, &S::greet>},
      {Verb::starttls, kGreeted,                Group::last,  Turn::after_verdicts, &step<mail::smtp::parse_nothing, &S::start_tls>},       // RFC 3207 §4
      {Verb::mail,     kGreeted,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_mail, &S::open_transaction>},   // RFC 5321 §4.1.1.2
      {Verb::rcpt,     kHasSender | kHasRecipient, Group::any, Turn::at_once,       &rcpt},
      {Verb::data,     kHasRecipient,           Group::last,  Turn::after_verdicts, &step<mail::smtp::parse_nothing, &S::open_text>},
      {Verb::bdat,     kAnytime,                Group::any,   Turn::after_verdicts, &bdat},                                                // RFC 3030 §2: refused or not, its octets follow
      {Verb::rset,     kAnytime,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_nothing, &S::reset>},
      {Verb::noop,     kAnytime,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_anything, &S::noop>},
      {Verb::vrfy,     kAnytime,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_something, &S::verify>},        // RFC 5321 §3.5.3
      {Verb::expn,     kAnytime,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_something, &S::expand>},
      {Verb::help,     kAnytime,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_anything, &S::help>},
      {Verb::quit,     kAnytime,                Group::any,   Turn::after_verdicts, &step<mail::smtp::parse_nothing, &S::quit>},
  };
  // clang-format on

  static constexpr auto index() {
    std::array<const Command*, mail::smtp::kVerbs> by_verb{};
    for (const Command& command : kCommands) by_verb[static_cast<std::size_t>(command.verb)] = &command;
    return by_verb;
  }
};

const Command* command_for(Verb verb) {
  static constexpr auto kByVerb = CommandRows::index();
  static_assert([] {
    for (const Command* command : kByVerb)
      if (command == nullptr) return false;
    return true;
  }(), "every verb has its row");
  return verb == Verb::unknown ? nullptr : kByVerb[static_cast<std::size_t>(verb)];
}

}  // namespace postern::listener
