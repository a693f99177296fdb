#include "web/message_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace postern::web {

namespace {

using privsep::Role;
using privsep::Row;

constexpr double kHalfWidth = 68;
constexpr double kHalfHeight = 25;

struct Place {
  Role role;
  double x, y;             // the middle of its box
  std::string_view task;
};
// The way of a message runs from left to right along the middle.
constexpr Place kPlaces[] = {
    {Role::listener, 210, 235, "SMTP in"},       {Role::verifier_in, 420, 155, "judges mail"},     {Role::verifier_out, 420, 315, "checks permits"},
    {Role::queue, 630, 235, "spool and retry"},  {Role::mailbox, 840, 155, "accounts, mail"},      {Role::remote, 840, 315, "SMTP out"},
    {Role::web, 210, 45, "these pages"},         {Role::signer, 420, 45, "private keys"},          {Role::control, 630, 45, "posternctl"},
    {Role::resolver, 630, 415, "DNS"},
};
const Place* place_of(Role role) {
  const auto* found = std::find_if(std::begin(kPlaces), std::end(kPlaces), [role](const Place& p) { return p.role == role; });
  return found == std::end(kPlaces) ? nullptr : found;
}

// Most channels are straight lines; these would run through a box, and bend.
struct Bend {
  Role from, to;
  std::string_view path;
};
constexpr Bend kBends[] = {
    {Role::listener, Role::mailbox, "M 195 208 C 215 60, 700 60, 800 128"},
    {Role::verifier_in, Role::resolver, "M 475 180 C 530 240, 540 320, 582 390"},
};

// Steps of a message: from the wire to the disk and on. Answers go back the same way.
constexpr std::string_view kMailRows[] = {"submission", "spool-request", "local-delivery", "remote-delivery"};
bool carries_mail(const Row& row) { return std::find(std::begin(kMailRows), std::end(kMailRows), row.name) != std::end(kMailRows); }

struct Point {
  double x, y;
};
/// Where the line from the middle of `box` towards `other` leaves the box, and `gap` beyond.
Point edge_of(const Place& box, const Place& other, double gap) {
  const double dx = other.x - box.x;
  const double dy = other.y - box.y;
  const double across = std::abs(dx) > 0 ? kHalfWidth / std::abs(dx) : HUGE_VAL;
  const double along = std::abs(dy) > 0 ? kHalfHeight / std::abs(dy) : HUGE_VAL;
  const double part = std::min(across, along) + gap / std::hypot(dx, dy);
  return {box.x + dx * part, box.y + dy * part};
}

std::string path_of(const MapEdge& edge, const Place& from, const Place& to) {
  for (const Bend& bend : kBends)
    if (bend.from == edge.from && bend.to == edge.to) return std::string(bend.path);
  const Point a = edge_of(from, to, 2);
  const Point b = edge_of(to, from, edge.carries_mail ? 9 : 6);
  return fmt::format("M {:.1f} {:.1f} L {:.1f} {:.1f}", a.x, a.y, b.x, b.y);
}

void draw_edge(std::string& out, const MapEdge& edge) {
  const Place* from = place_of(edge.from);
  const Place* to = place_of(edge.to);
  if (from == nullptr || to == nullptr) return;
  out += fmt::format(R"(<g class="edge{}" data-from="{}" data-to="{}"><title>{} to {}:)", edge.carries_mail ? " mail" : "", name_of(edge.from), name_of(edge.to),
                     name_of(edge.from), name_of(edge.to));
  for (const Row* row : edge.rows) out += fmt::format("\n{}", row->name);
  const std::string path = path_of(edge, *from, *to);
  // The wide one is not seen: it gives a thin line a place to point at.
  out += fmt::format(R"svg(</title><path class="reach" d="{0}"/><path class="line" d="{0}" marker-end="url(#{1})"/></g>)svg", path, edge.carries_mail ? "tip-mail" : "tip");
}

std::string_view class_of(Health health) {
  switch (health) {
    case Health::unknown: return "unknown";
    case Health::running: return "good";
    case Health::troubled: return "bad";
  }
  return "";
}

void draw_box(std::string& out, const Place& place, Health health) {
  out += fmt::format(R"(<g class="box {}"><title>{}: {}</title><rect x="{}" y="{}" width="{}" height="{}" rx="9"/><circle cx="{}" cy="{}" r="4"/>)", class_of(health),
                     name_of(place.role), place.task, place.x - kHalfWidth, place.y - kHalfHeight, 2 * kHalfWidth, 2 * kHalfHeight, place.x - kHalfWidth + 14,
                     place.y - 7);
  out += fmt::format(R"(<text x="{0}" y="{1}" class="name">{2}</text><text x="{0}" y="{3}" class="task">{4}</text></g>)", place.x - kHalfWidth + 25, place.y - 2,
                     name_of(place.role), place.y + 15, place.task);
}

void draw_outside(std::string& out) {
  struct Outside {
    std::string_view path, text;
    double x, y;
  };
  static constexpr Outside kOutside[] = {
      {"M 58 235 L 133 235", "the internet", 8, 216},
      {"M 908 155 L 962 155", "mailboxes", 918, 142},
      {"M 908 315 L 962 315", "other servers", 918, 302},
  };
  for (const Outside& o : kOutside)
    out += fmt::format(R"svg(<g class="edge mail"><path class="line" d="{}" marker-end="url(#tip-mail)"/></g><text class="outside" x="{}" y="{}">{}</text>)svg", o.path, o.x, o.y,
                       o.text);
}

}  // namespace

std::vector<MapEdge> map_edges() {
  std::vector<MapEdge> out;
  for (const Role from : privsep::kRoles)
    for (const Role to : privsep::kRoles) {
      if (from == Role::parent || to == Role::parent) continue;
      MapEdge edge{.from = from, .to = to, .rows = {}, .carries_mail = false};
      for (const Row& row : privsep::kRows) {
        if (row.kind == privsep::Kind::answer || !row.from.has(from) || !row.to.has(to)) continue;
        edge.rows.push_back(&row);
        edge.carries_mail = edge.carries_mail || carries_mail(row);
      }
      if (!edge.rows.empty()) out.push_back(std::move(edge));
    }
  return out;
}

std::string draw_message_map(const std::function<Health(privsep::Role)>& health) {
  std::string out = R"(<svg class="map" viewBox="0 0 1010 520" role="img" aria-label="Processes and who may talk to whom"><defs>)";
  for (const std::string_view tip : {"tip", "tip-mail"})
    out += fmt::format(
        R"(<marker id="{0}" class="{0}" viewBox="0 0 10 10" refX="{1}" refY="5" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto"><path d="M 0 0 L 10 5 L 0 10 z"/></marker>)",
        tip, tip == "tip" ? 8 : 6);
  out += "</defs>";
  // Thin lines first: the way of a message lies over them, the boxes over both.
  const auto edges = map_edges();
  for (const bool mail : {false, true})
    for (const MapEdge& edge : edges)
      if (edge.carries_mail == mail) draw_edge(out, edge);
  draw_outside(out);
  for (const Place& place : kPlaces) draw_box(out, place, health(place.role));
  out += fmt::format(
      R"(<g class="house {}"><rect x="142" y="466" width="766" height="44" rx="9"/><text x="525" y="493" class="name">parent: starts, watches and restarts each of them</text></g></svg>)",
      class_of(health(Role::parent)));
  return out;
}

}  // namespace postern::web
