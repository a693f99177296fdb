/// A policy for people: as a page of the manual, and for a terminal. Both show every row with its reason, in force as shown.
#pragma once

#include <string>

#include "sandbox/policy.h"

namespace postern::sandbox {

/// The content of pkg/doc/policy/<process>.md.
std::string to_markdown(const Policy& policy);
/// The same for a terminal (`posternctl policy PROCESS`), in columns.
std::string to_text(const Policy& policy);

}  // namespace postern::sandbox
