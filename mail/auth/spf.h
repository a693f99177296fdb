/// Sender Policy Framework (RFC 7208): may this client send mail for this domain?
///
/// Trust: client name, addresses and every record are written by strangers.
/// Cost: at most limits::kSpfLookups terms and limits::kSpfVoidLookups empty answers for a whole check, includes and redirects
/// counted once (§4.6.4); at most limits::kSpfRounds calls. Nothing is asked that the evaluation has not reached.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/ip.h"
#include "mail/dns.h"

namespace postern::mail::spf {

/// Source: RFC 7208 §2.6.
enum class Outcome : std::uint8_t { none = 1, neutral = 2, pass = 3, fail = 4, softfail = 5, temperror = 6, permerror = 7 };

std::string_view name_of(Outcome outcome);  ///< as Authentication-Results writes it

/// Whose domain was judged.
enum class Identity : std::uint8_t { mail_from = 1, helo = 2 };

/// One check. The texts must outlive the call.
struct Query {
  IpAddress client;             ///< a v4-mapped address is judged as the v4 address (§5)
  std::string_view helo;        ///< as the client said it
  std::string_view mail_from;   ///< local-part@domain; empty: the null sender, postmaster@helo is judged (§2.4)
  std::string_view receiver = "unknown";  ///< our host name, for %{r}
  std::uint64_t time = 0;       ///< seconds since 1970, for %{t}
};

struct Verdict {
  Outcome result = Outcome::none;
  Identity identity = Identity::mail_from;
  std::string domain;           ///< the domain judged, A-labels; what DMARC aligns with. May be malformed when `result` is none
  std::string mechanism;        ///< the directive (or redirect) that decided, as written; "default" where none matched (§9.1)
  std::string explanation;      ///< on fail the domain's own text, expanded, printable ASCII; else ""
  std::size_t lookups = 0;      ///< terms that asked the DNS
  std::size_t void_lookups = 0;  ///< terms that found nothing
  std::string reason;           ///< for a person: why it came out so; foreign bytes are escaped
};

/// Judges `query` by what `facts` hold.
/// Returns the verdict, or the questions whose answers are needed first (never empty, never one that facts answer).
/// Errors: none. Whatever goes wrong is a result of §2.6.
std::variant<Verdict, dns::Questions> check_host(const Query& query, const dns::Facts& facts);

}  // namespace postern::mail::spf
