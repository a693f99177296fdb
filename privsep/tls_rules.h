/// The rows of the configuration that say how much TLS mail going out must have: for a destination, for a sending domain, and the
/// exceptions with a reason and a last day. Pure; read by `postern -n` and by the process that sends.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace postern::privsep {

/// The least protection, weakest first.
enum class TlsRule : std::uint8_t {
  opportunistic = 1,  ///< TLS where it is offered; what DANE and MTA-STS demand is kept
  required = 2,       ///< TLS, whoever the server is
  verified = 3,       ///< TLS, and DANE or an authority vouches for the server
  dane_only = 4,      ///< TLS, and a TLSA record vouches for the server
};
std::string_view name_of(TlsRule rule);
/// Errors: "tls_rule.level".
Result<TlsRule> parse_tls_rule(std::string_view text);

/// "example.org=verified"; ".example.org=required" stands for all names below it, but not for itself.
struct TlsDomainRow {
  std::string domain;  ///< canonical, perhaps with a dot in front
  TlsRule rule = TlsRule::verified;
};
/// Without "=LEVEL" the level is `fallback`, where there is one. Errors: "tls_rule.domain", "tls_rule.level".
Result<TlsDomainRow> parse_tls_domain(std::string_view text, const TlsRule* fallback);

/// "old.example=opportunistic until 2027-01-31: their certificate is late".
struct TlsException {
  TlsDomainRow row;
  WallTime ends{};      ///< the first moment after its last day (UTC)
  std::string last_day; ///< as written
  std::string reason;   ///< printable, never empty
};
/// Errors: "tls_rule.domain", "tls_rule.level", "tls_rule.until", "tls_rule.reason".
Result<TlsException> parse_tls_exception(std::string_view text);

/// How well a row fits a canonical `domain`: bytes that match plus one, 0 where it does not. The exact name fits best.
std::size_t fit(const TlsDomainRow& row, std::string_view domain);

}  // namespace postern::privsep
