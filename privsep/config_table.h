/// Every key of postern.toml, once: the parser, `postern -n`, each child's slice, the commented default file and postern.toml(5)
/// come from these rows. Machine facts only; domains, accounts and their policies live in the mailbox process.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "privsep/role.h"

namespace postern::privsep {

enum class ValueKind : std::uint8_t {
  text,
  choice,     ///< one of `choices`, separated by '|'
  integer,    ///< between least and most
  size,       ///< bytes, written 25MiB, 64KiB, 10GiB or a plain number
  duration,   ///< written 30s, 5m, 4h, 5d or seconds
  flag,       ///< true or false
  endpoints,  ///< list of "ADDRESS:PORT", "[ADDRESS]:PORT"
  prefixes,   ///< list of CIDR networks
  texts,      ///< list of texts
  tls_levels, ///< list of "DOMAIN=LEVEL" (tls_rules.h); the row's `choices` is the level of a domain without one, or empty
  tls_exceptions,  ///< list of "DOMAIN=LEVEL until YYYY-MM-DD: REASON"
  durations,  ///< list of durations
  routes,     ///< list of static routes (static_route.h)
  path,       ///< absolute path, or empty
};

struct ConfigRow {
  std::string_view key;            ///< "section.name"
  ValueKind kind;
  std::string_view default_value;  ///< as it would be written in the file; lists as TOML arrays
  std::uint64_t least = 0;
  std::uint64_t most = 0;          ///< 0: no bound
  std::string_view choices;
  Roles receivers;                 ///< which processes get it
  std::string_view help;           ///< one or two sentences, for the manual and the default file
};

std::span<const ConfigRow> config_rows();
const ConfigRow* config_row(std::string_view key);

}  // namespace postern::privsep
