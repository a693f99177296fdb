#include "privsep/parent/snapshot.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace postern::privsep {

namespace {

using prometheus::ClientMetric;

bool is_metric_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string_view::npos &&
         !text::is_digit(name.front());
}

/// `key="value",key="value"` as label pairs. What a child sends is checked here: a name is letters, digits and '_'.
std::vector<ClientMetric::Label> labels_of(std::string_view text) {
  std::vector<ClientMetric::Label> out;
  while (!text.empty()) {
    const auto equals = text.find("=\"");
    if (equals == std::string_view::npos) break;
    const auto end = text.find('"', equals + 2);
    if (end == std::string_view::npos) break;
    const std::string_view name = text.substr(0, equals);
    if (!is_metric_name(name)) break;
    out.push_back({std::string(name), text::printable(text.substr(equals + 2, end - equals - 2))});
    text.remove_prefix(end + 1);
    if (text.starts_with(',')) text.remove_prefix(1);
  }
  return out;
}

struct Families {
  std::map<std::string, prometheus::MetricFamily> by_name;

  void add(const std::string& name, bool gauge, std::vector<ClientMetric::Label> labels, double value) {
    prometheus::MetricFamily& family = by_name[name];
    family.name = "postern_" + name;
    // A histogram's parts come as counters of their own: untyped families keep them together under their own names.
    family.type = gauge ? prometheus::MetricType::Gauge : prometheus::MetricType::Counter;
    ClientMetric metric;
    metric.label = std::move(labels);
    (gauge ? metric.gauge.value : metric.counter.value) = value;
    family.metric.push_back(std::move(metric));
  }
};

}  // namespace

namespace {

/// The share of a row that a snapshot may take: a child says what its counters are called, and may say too much.
constexpr std::size_t kStatusBytes = StatusSnapshot::row.max_bytes / 2;

enum class Counters : std::uint8_t { with, without };

std::string status_json(const Supervisor& supervisor, WallTime now, Counters counters) {
  nlohmann::json processes = nlohmann::json::array();
  for (const auto& process : supervisor.processes()) {
    nlohmann::json metrics = nlohmann::json::object();
    for (const auto& sample : process->samples)
      if (counters == Counters::with && is_metric_name(sample.name)) metrics[sample.labels.empty() ? sample.name : sample.name + "{" + sample.labels + "}"] = sample.value;
    processes.push_back({{"name", process->name()},
                         {"state", name_of(process->state)},
                         {"pid", process->pid},
                         {"uid", process->ids.uid},
                         {"up_seconds", process->pid > 0 ? std::chrono::duration_cast<std::chrono::seconds>(now - process->started).count() : 0},
                         {"restarts", process->restarts},
                         {"seccomp_deaths", process->seccomp_deaths},
                         {"last_end", process->last_end},
                         {"in_force", process->in_force},
                         {"missing", process->missing},
                         {"metrics", std::move(metrics)}});
  }
  const nlohmann::json status{{"running", supervisor.all_running()},
                              {"smtp", supervisor.address_of("smtp")},
                              {"web", supervisor.address_of("web")},
                              {"processes", std::move(processes)}};
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string status_json(const Supervisor& supervisor, WallTime now) {
  std::string whole = status_json(supervisor, now, Counters::with);
  return whole.size() <= kStatusBytes ? whole : status_json(supervisor, now, Counters::without);
}

std::string metrics_text(const Supervisor& supervisor) {
  Families families;
  for (const auto& process : supervisor.processes()) {
    const ClientMetric::Label who{"process", process->name()};
    families.add("process_up", true, {who}, process->state == ProcessState::running ? 1 : 0);
    families.add("process_restarts_total", false, {who}, static_cast<double>(process->restarts));
    families.add("process_seccomp_deaths_total", false, {who}, static_cast<double>(process->seccomp_deaths));
    for (const auto& sample : process->samples) {
      if (!is_metric_name(sample.name)) continue;
      auto labels = labels_of(sample.labels);
      labels.insert(labels.begin(), who);
      families.add(sample.name, sample.gauge, std::move(labels), static_cast<double>(sample.value));
    }
  }
  std::vector<prometheus::MetricFamily> list;
  for (auto& [name, family] : families.by_name) list.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(list);
}

}  // namespace postern::privsep
