/// The state of the house for people and machines: JSON for posternctl and the pages, Prometheus text for /metrics.
#pragma once

#include <string>

#include "privsep/parent/supervisor.h"

namespace postern::privsep {

std::string status_json(const Supervisor& supervisor, WallTime now);
std::string metrics_text(const Supervisor& supervisor);

}  // namespace postern::privsep
