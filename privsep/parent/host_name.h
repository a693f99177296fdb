/// The name this server calls itself where the configuration gives none.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::privsep {

/// The canonical name the machine's resolver has for `name` (hosts file, DNS); empty: none.
using CanonicalName = std::function<std::string(const std::string& name)>;

/// The machine's full name: its own where that has a domain, else what `resolve` makes of it. RFC 5321 §4.1.1.1 wants a fully
/// qualified one after EHLO, and many servers refuse another.
/// Errors: "config.host_name" (what the machine calls itself, and what to set).
Result<std::string> full_host_name(const std::string& machine_name, const CanonicalName& resolve);

std::string machine_host_name();                       ///< gethostname(2); empty: it has none
std::string canonical_by_resolver(const std::string& name);  ///< getaddrinfo(3); may wait for the DNS

}  // namespace postern::privsep
