#include "privsep/metrics.h"

namespace postern::privsep {

void Metrics::count(std::string_view name, std::string_view labels, std::uint64_t by) {
  values_[{std::string(name), std::string(labels)}].value += by;
  changed_ = true;
}

void Metrics::gauge(std::string_view name, std::uint64_t value, std::string_view labels) {
  Value& slot = values_[{std::string(name), std::string(labels)}];
  if (slot.gauge && slot.value == value) return;
  slot = {.gauge = true, .value = value};
  changed_ = true;
}

void Metrics::observe_ms(std::string_view name, std::uint64_t milliseconds) {
  static constexpr std::array<std::uint64_t, 10> kBounds{1, 2, 5, 10, 20, 50, 100, 500, 2000, 10000};
  const std::string base(name);
  for (const std::uint64_t bound : kBounds)  // cumulative, as Prometheus wants buckets
    count(base + "_bucket", "le=\"" + std::to_string(bound) + "\"", milliseconds <= bound ? 1 : 0);
  count(base + "_bucket", "le=\"+Inf\"");
  count(base + "_count");
  count(base + "_sum", {}, milliseconds);
}

std::vector<MetricsReport::Sample> Metrics::changed() {
  std::vector<MetricsReport::Sample> out;
  if (!std::exchange(changed_, false)) return out;
  for (const auto& [key, value] : values_) out.push_back({key.first, key.second, value.gauge, value.value});
  return out;
}

}  // namespace postern::privsep
