/// What the web process shows: /healthz, /metrics, the status page and its style sheet. Pages are read-only and need no script.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "web/house.h"
#include "web/http_server.h"

namespace postern::web {

/// The status page. Every text in it that is not ours is escaped.
std::string render_status(const House& house, SteadyTime now);

/// Finds pages, and draws the status page at most once a picture of the house.
class StatusPages {
 public:
  StatusPages(const House& house, const Clock& clock);
  std::optional<Page> find(std::string_view path);

 private:
  using Draw = Page (StatusPages::*)();
  struct Entry {
    std::string_view path;
    Draw draw;
  };
  static const Entry kEntries[];
  Page health();
  Page metrics();
  Page status();
  Page style();

  const House& house_;
  const Clock& clock_;
  std::shared_ptr<const std::string> style_;
  std::shared_ptr<const std::string> status_;
  std::uint64_t status_number_ = 0;   // of the picture that status_ shows
  bool status_fresh_ = false;
};

}  // namespace postern::web
