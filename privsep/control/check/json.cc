#include "privsep/control/check/json.h"

#include <nlohmann/json.hpp>

namespace postern::check {

std::string one_line(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace postern::check
