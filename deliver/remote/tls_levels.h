/// How much TLS a message must have: by its destination, its sender and the exceptions in force. Pure.
///
/// Trust: the rows are the administrator's word. What DANE, MTA-STS and REQUIRETLS add is decided in tls_choice.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "privsep/tls_rules.h"

namespace postern::remote {

using privsep::TlsRule;

struct TlsDemand {
  TlsRule rule = TlsRule::opportunistic;
  /// An exception is in force: what the destination publishes (DANE, MTA-STS) is not held against it. Empty: none.
  std::string exception;
};

struct TlsLevels {
  TlsRule fallback = TlsRule::opportunistic;        ///< relay.tls
  std::vector<privsep::TlsDomainRow> destinations;  ///< relay.tls_domains
  std::vector<privsep::TlsDomainRow> senders;       ///< relay.require_tls
  std::vector<privsep::TlsException> exceptions;    ///< relay.tls_exceptions, past ones too

  /// The stronger of what the destination's row (else `fallback`) and the sender's ask for; an exception in force counts instead of both.
  TlsDemand demand(std::string_view destination, std::string_view reverse_path, WallTime now) const;
  /// Exceptions for `destination` whose day is past: they count no longer, and the log says so.
  std::vector<const privsep::TlsException*> lapsed(std::string_view destination, WallTime now) const;
};

}  // namespace postern::remote
