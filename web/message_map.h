/// The message map as a drawing: who may talk to whom, from privsep/message_table.h itself, with the way of a message standing out.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "privsep/message_table.h"

namespace postern::web {

/// How a process is drawn.
enum class Health : std::uint8_t { unknown = 0, running = 1, troubled = 2 };

/// A pair of processes with a channel, and all that is said on it. The parent, which has one to everybody, is left out.
struct MapEdge {
  privsep::Role from = privsep::Role::parent;   ///< who begins
  privsep::Role to = privsep::Role::parent;
  std::vector<const privsep::Row*> rows;        ///< tells and requests
  bool carries_mail = false;                    ///< a step of a message's way
};
std::vector<MapEdge> map_edges();

/// An SVG element, styled by classes of the page's style sheet. Holds only names from our tables.
std::string draw_message_map(const std::function<Health(privsep::Role)>& health);

}  // namespace postern::web
