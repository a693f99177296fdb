/// A password from the caller: never an argument, where every process of the machine could read it.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace postern::posternctl {

inline constexpr std::size_t kPasswordBytes = 1024;

/// The first line of standard input. Errors: "password.read" (none there, or longer than kPasswordBytes).
Result<Secret> password_from_stdin();
/// Asked for twice at the terminal, without echo. Errors: "password.read" (no terminal, not the same twice, empty).
Result<Secret> password_from_terminal(std::string_view what_for);

}  // namespace postern::posternctl
