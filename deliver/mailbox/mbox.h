/// Mail as an mbox file, for taking it elsewhere. Source: RFC 4155, in the "mboxrd" form, which loses nothing.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace postern::mailbox {

/// One message as an entry: the "From " line, the message with lines ended by LF and ">" in front of every line that looks like a
/// "From " line (with or without ">" before it), and an empty line.
std::string mbox_entry(std::string_view message, WallTime received);

}  // namespace postern::mailbox
