/// The row of a message that lists and searches read instead of the message.
#pragma once

#include <string_view>

#include "deliver/mailbox/schema.h"
#include "mail/charset.h"

namespace postern::mailbox {

/// From the beginning of a message (limits::kIndexHeadBytes are enough). Total: what cannot be read is empty. Fields are unfolded,
/// decoded (RFC 2047), UTF-8 without control characters, cut at limits::kIndexFieldBytes.
IndexRow index_row(std::string_view head, mail::Charsets& charsets);

/// What `mail search` compares: a part of the text, ASCII letters without case; empty ones match all.
struct Search {
  std::string from, to, subject, message_id;
  bool matches(const IndexRow& row) const;
  bool matches_all() const { return from.empty() && to.empty() && subject.empty() && message_id.empty(); }
};

}  // namespace postern::mailbox
