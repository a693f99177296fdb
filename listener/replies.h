/// What we say to clients, in one place: code, enhanced code (RFC 3463, RFC 5248), words, and the label it is counted under.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "privsep/envelope.h"

namespace postern::listener {

struct Reply {
  std::uint16_t code;
  std::string_view enhanced;
  std::string_view text;
  std::string_view reason = {};  ///< label of the metric for refusals
};

namespace replies {
inline constexpr Reply kOk{250, "2.0.0", "OK"};
inline constexpr Reply kSenderOk{250, "2.1.0", "Sender OK"};
inline constexpr Reply kChunkOk{250, "2.0.0", "Chunk taken"};
inline constexpr Reply kReset{250, "2.0.0", "Forgotten"};
inline constexpr Reply kBye{221, "2.0.0", "Bye"};
inline constexpr Reply kReadyForTls{220, "2.0.0", "Ready to start TLS"};
inline constexpr Reply kCannotVerify{252, "2.5.0", "Cannot verify an address here, but will take mail and try"};
inline constexpr Reply kNoExpand{502, "5.5.1", "Lists are not expanded here", "expn"};

inline constexpr Reply kUnknownCommand{500, "5.5.1", "No such command", "unknown-command"};
inline constexpr Reply kControl{500, "5.5.2", "A control character in a command", "syntax"};
inline constexpr Reply kLongLine{500, "5.5.2", "Line too long", "long-line"};
inline constexpr Reply kBareNewline{500, "5.5.2", "Lines end in CR LF", "bare-newline"};
inline constexpr Reply kSyntax{501, "5.5.4", "Syntax error in the argument", "syntax"};
inline constexpr Reply kBadValue{501, "5.5.4", "A parameter's value is wrong, or it is given twice", "syntax"};
inline constexpr Reply kUnknownParameter{555, "5.5.4", "No such parameter here", "parameter"};
inline constexpr Reply kBadSender{501, "5.1.7", "Bad sender address", "bad-sender"};
inline constexpr Reply kBadRecipient{501, "5.1.3", "Bad recipient address", "bad-recipient"};
inline constexpr Reply kNeedsUtf8{553, "5.6.7", "Such an address needs SMTPUTF8", "utf8"};
inline constexpr Reply kNeedHello{503, "5.5.1", "Say EHLO first", "sequence"};
inline constexpr Reply kNeedSender{503, "5.5.1", "Say MAIL first", "sequence"};
inline constexpr Reply kHaveSender{503, "5.5.1", "There is a sender already", "sequence"};
inline constexpr Reply kNoRecipients{554, "5.5.1", "No valid recipients", "no-recipients"};
inline constexpr Reply kInChunks{503, "5.5.1", "BDAT is under way", "sequence"};
inline constexpr Reply kBadSequence{503, "5.5.1", "Not now", "sequence"};
inline constexpr Reply kTlsAlready{503, "5.5.1", "TLS is on already", "sequence"};
inline constexpr Reply kTooEarly{554, "5.5.1", "Wait for the reply before you go on", "pipelining"};
inline constexpr Reply kNeedsTls{530, "5.7.10", "REQUIRETLS needs TLS: say STARTTLS first", "requiretls"};
inline constexpr Reply kNoBinary{501, "5.6.1", "BINARYMIME is not offered here", "parameter"};

inline constexpr Reply kTooLarge{552, "5.3.4", "Message too large", "too-large"};
inline constexpr Reply kBareNewlineInText{550, "5.6.0", "A CR or LF alone in the message", "bare-newline"};
inline constexpr Reply kNulInText{550, "5.6.0", "A NUL in the message", "nul"};
inline constexpr Reply kHeaderTooLarge{552, "5.3.4", "The header is too large", "header-too-large"};
inline constexpr Reply kLoop{554, "5.4.6", "Too many Received fields: a loop", "loop"};
inline constexpr Reply kTooManyRecipients{452, "4.5.3", "Too many recipients", "too-many-recipients"};
inline constexpr Reply kNoMemory{452, "4.3.1", "Not enough memory now, try again later", "memory"};
inline constexpr Reply kInternal{451, "4.3.0", "A part of this server is away, try again later", "internal"};
inline constexpr Reply kNoTls{454, "4.7.0", "TLS is not available now", "no-tls"};

inline constexpr Reply kTimeout{421, "4.4.2", "Too slow, closing", "timeout"};
inline constexpr Reply kTooManyErrors{421, "4.7.0", "Too many errors, closing", "too-many-errors"};
inline constexpr Reply kTooManyCommands{421, "4.7.0", "Too many commands, closing", "too-many-commands"};
inline constexpr Reply kTooManyMessages{421, "4.7.0", "Enough messages for one session, closing", "too-many-messages"};
inline constexpr Reply kStopping{421, "4.3.2", "The server is going down, try again later", "stopping"};
inline constexpr Reply kTooManyConnections{421, "4.7.0", "Too many connections, try again later", "too-many-connections"};
}  // namespace replies

/// "250 2.0.0 OK\r\n".
std::string to_line(const Reply& reply);

/// A reply another process decided on. It is checked as foreign text: an impossible code becomes 451, odd bytes are escaped.
std::string to_line(const privsep::SmtpReply& reply);

}  // namespace postern::listener
