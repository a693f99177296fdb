/// The Received field that this server puts in front of each message (RFC 5321 §4.4).
#pragma once

#include <string>
#include <string_view>

#include "privsep/envelope.h"

namespace postern::listener {

/// What the field is made of. Views and references must outlive the call.
struct Trace {
  const privsep::Arrival& arrival;
  std::string_view host_name;   ///< ours
  std::string_view id;
  std::string_view recipient;   ///< the single recipient, or empty: with several, none may learn of the others (RFC 5321 §7.6)
  bool smtputf8 = false;
};

/// The folded field with its CRLF. Whatever the client called itself, the field is well-formed and holds no line of its making.
std::string received_field(const Trace& trace);

/// The protocol as registered for "with": SMTP, ESMTP, ESMTPS, UTF8SMTP, UTF8SMTPS. Source: RFC 3848, RFC 6531 §4.3.
std::string_view protocol_name(const privsep::Arrival& arrival, bool smtputf8);

}  // namespace postern::listener
