/// What a message must be before it is judged: a header that can be read, one author, no NUL.
#pragma once

#include "base/bytes.h"
#include "mail/header.h"
#include "privsep/envelope.h"

namespace postern::verifier {

/// The reply to refuse `message` with, or a success when it may go on. `header` is its header block.
/// Exactly one From field (RFC 5322 §3.6, RFC 9989 §11.5) is asked of mail from outside only: what our own people send is mended later.
privsep::SmtpReply check_structure(ByteView message, const mail::HeaderBlockView& header, bool from_outside);

/// Stretches of the message to leave out: fields that only we may add (RFC 8601 §5).
std::vector<privsep::Cut> cuts_of(ByteView message, const mail::HeaderBlockView& header, std::string_view authserv_id);

}  // namespace postern::verifier
