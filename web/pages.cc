#include "web/pages.h"

namespace postern::web {

extern const std::string_view kStyleSheet;  // assets/style.css

namespace {
constexpr std::string_view kPlain = "text/plain; charset=utf-8";
Page text_page(int status, std::string_view type, std::string body) { return {status, type, std::make_shared<const std::string>(std::move(body))}; }
}  // namespace

const StatusPages::Entry StatusPages::kEntries[] = {
    {"/", &StatusPages::status},
    {"/healthz", &StatusPages::health},
    {"/metrics", &StatusPages::metrics},
    {"/style.css", &StatusPages::style},
};

StatusPages::StatusPages(const House& house, const Clock& clock) : house_(house), clock_(clock), style_(std::make_shared<const std::string>(kStyleSheet)) {}

std::optional<Page> StatusPages::find(std::string_view path) {
  for (const Entry& entry : kEntries)
    if (entry.path == path) return (this->*entry.draw)();
  return std::nullopt;
}

Page StatusPages::health() {
  const SteadyTime now = clock_.steady();
  if (house_.is_healthy(now)) return text_page(200, kPlain, "ok\n");
  return text_page(503, kPlain, !house_.snapshot() ? "nothing heard yet\n" : !house_.is_fresh(now) ? "nothing heard for a while\n" : "not all processes are running\n");
}

Page StatusPages::metrics() {
  if (!house_.is_fresh(clock_.steady())) return text_page(503, kPlain, "no fresh figures\n");
  // The Prometheus text format 0.0.4.
  return text_page(200, "text/plain; version=0.0.4; charset=utf-8", house_.snapshot()->metrics_text);
}

Page StatusPages::status() {
  const SteadyTime now = clock_.steady();
  const bool fresh = house_.is_fresh(now);
  if (status_ == nullptr || status_number_ != house_.number() || status_fresh_ != fresh) {
    status_ = std::make_shared<const std::string>(render_status(house_, now));
    status_number_ = house_.number();
    status_fresh_ = fresh;
  }
  return {200, "text/html; charset=utf-8", status_};
}

Page StatusPages::style() { return {200, "text/css; charset=utf-8", style_}; }

}  // namespace postern::web
