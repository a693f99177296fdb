/// What we say about a recipient: one place for the codes, so that RCPT and delivery agree.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "deliver/mailbox/resolve.h"
#include "deliver/mailbox/store.h"
#include "privsep/envelope.h"

namespace postern::mailbox {

privsep::SmtpReply make_reply(std::uint16_t code, std::string_view enhanced, std::string_view text);

/// Of a recipient that has no route. `not_ours` is answered as at delivery: 551 5.1.0.
privsep::SmtpReply reply_for(Refusal refusal);
privsep::SmtpReply reply_for(Stored stored);
/// Of a failure of ours (disk, database, LMTP server): always 4xx, without the words of `error`, which go to the log.
privsep::SmtpReply reply_for(const Error& error);

/// The reason as a metric's label.
std::string_view label_of(Refusal refusal);

/// Of several routes of one recipient: the worst. Temporary before permanent before done, so that nothing is given up too early.
const privsep::SmtpReply& worse(const privsep::SmtpReply& a, const privsep::SmtpReply& b);

}  // namespace postern::mailbox
