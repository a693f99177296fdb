/// postern.toml(5), made from the table of configuration keys.
#pragma once

#include <string>

namespace postern::posternctl {

/// The page as troff with the man macros.
std::string config_manual();

}  // namespace postern::posternctl
