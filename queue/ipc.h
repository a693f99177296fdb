/// The queue as a process: its rows of the message table, its timers, the disk it watches.
#pragma once

#include <memory>

#include "privsep/child.h"

namespace postern::queue {

std::unique_ptr<privsep::Service> make_service(privsep::Child& child);

}  // namespace postern::queue
