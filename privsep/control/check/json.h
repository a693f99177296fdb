/// JSON as the commands print it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace postern::check {

/// `object` on one line; bytes that are not UTF-8 are replaced.
std::string one_line(const nlohmann::json& object);

}  // namespace postern::check
