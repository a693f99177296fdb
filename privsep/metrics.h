/// What a process counts. Values are kept here and sent to the parent once a second when they changed.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "privsep/messages.h"

namespace postern::privsep {

class Metrics {
 public:
  /// Adds to a counter. `labels` as Prometheus writes them: `reason="unknown-user"`; bounded sets of values only.
  void count(std::string_view name, std::string_view labels = {}, std::uint64_t by = 1);
  void gauge(std::string_view name, std::uint64_t value, std::string_view labels = {});
  /// A histogram of milliseconds over fixed buckets: <name>_bucket{le=…}, <name>_count, <name>_sum.
  void observe_ms(std::string_view name, std::uint64_t milliseconds);

  /// All samples when something changed since the last call, else nothing.
  std::vector<MetricsReport::Sample> changed();

 private:
  struct Value {
    bool gauge = false;
    std::uint64_t value = 0;
  };
  std::map<std::pair<std::string, std::string>, Value, std::less<>> values_;
  bool changed_ = false;
};

}  // namespace postern::privsep
