/// iprev: does the client's address have a name that leads back to it? (RFC 8601 §2.7.3, §3)
///
/// Trust: whoever owns the address writes the PTR records, whoever owns the names writes the rest.
/// Cost: one PTR question, then at most limits::kIprevNames address questions, asked together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/ip.h"
#include "mail/dns.h"

namespace postern::mail::iprev {

/// Source: RFC 8601 §2.7.3.
enum class Outcome : std::uint8_t {
  pass = 1,       ///< a name leads back to the address
  fail = 2,       ///< there are names, none leads back
  temperror = 3,  ///< the DNS did not answer
  permerror = 4,  ///< the address has no name
};

std::string_view name_of(Outcome outcome);

struct Verdict {
  Outcome result = Outcome::permerror;
  std::string name;    ///< on pass the name that led back; else ""
  std::string reason;  ///< for a person; foreign bytes are escaped
};

/// Judges `client` (a v4-mapped address as the v4 address) by what `facts` hold.
/// Returns the verdict, or the questions whose answers are needed first. Errors: none.
std::variant<Verdict, dns::Questions> check(const IpAddress& client, const dns::Facts& facts);

}  // namespace postern::mail::iprev
