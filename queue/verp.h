/// Return paths of their own: mail of our users leaves with a reverse-path that names the message, so that a report which comes back days
/// later is known to be about it. "alice@example.org" becomes "alice+b-NUMBER-MAC@example.org": the mailbox delivers it to alice as it
/// does any detail, greylists that cut details off see one sender, and the domain stays as SPF and DMARC want it. Pure.
///
/// Trust: whoever got the message knows its return path; nobody can make one for another message or another sender, for the MAC is made
/// with a key that never leaves the spool. A report with a wrong MAC is ordinary mail.
#pragma once

#include <optional>
#include <string>

#include "base/secret.h"
#include "queue/schema.h"

namespace postern::queue::verp {

/// The return path of message `number`, or `reverse_path` itself where there is no room for a detail (RFC 5321 §4.5.3.1.1) or the
/// local part is quoted or holds the separator already.
std::string return_path(std::string_view reverse_path, Number number, std::string_view separator, const Secret& key);

/// The message whose return path `address` is; nullopt when it is none of ours. Letter case does not count: some change it.
std::optional<Number> number_of(std::string_view address, std::string_view separator, const Secret& key);

}  // namespace postern::queue::verp
