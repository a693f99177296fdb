#include "privsep/parent/snapshot.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/text.h"

namespace postern::privsep {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

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

/// Half of the row each for the two texts, and some for their lengths: a child says what its counters are called, and may say too much.
constexpr std::size_t kStatusBytes = StatusSnapshot::row.max_bytes / 2;
constexpr std::size_t kMetricsBytes = StatusSnapshot::row.max_bytes / 2 - 1024;

constexpr std::size_t kTailBytes = 256;  // the last family

using Labels = std::vector<ClientMetric::Label>;
constexpr std::string_view kBucket = "_bucket", kSum = "_sum", kCount = "_count";

/// The families of one exposition, in the order of their names.
class Families {
 public:
  void add(const std::string& name, bool gauge, Labels labels, double value) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (gauge ? metric.gauge.value : metric.counter.value) = value;
    add(name, gauge ? MetricType::Gauge : MetricType::Counter, std::move(metric));
  }

  void add(const std::string& name, MetricType type, ClientMetric metric) {
    MetricFamily& family = by_name_[name];
    if (family.metric.empty()) {
      family.name = "postern_" + name;
      family.type = type;
    }
    // A family has one type. What another process says differently is left out, and counted.
    if (family.type == type) family.metric.push_back(std::move(metric));
    else ++left_out_;
  }

  void leave_out() { ++left_out_; }
  std::uint64_t left_out() const { return left_out_; }

  std::string text() const {
    std::vector<MetricFamily> list;
    for (const auto& [name, family] : by_name_) list.push_back(family);
    return prometheus::TextSerializer().Serialize(list);
  }

 private:
  std::map<std::string, MetricFamily> by_name_;
  std::uint64_t left_out_ = 0;
};

std::string base_of(std::string_view name, std::string_view ending) {
  return name.ends_with(ending) ? std::string(name.substr(0, name.size() - ending.size())) : std::string();
}

/// The bucket's bound: the label `le`, taken out of the labels; nothing where there is none, or no number in it.
std::optional<double> take_bound(Labels& labels) {
  const auto at = std::find_if(labels.begin(), labels.end(), [](const auto& label) { return label.name == "le"; });
  if (at == labels.end()) return std::nullopt;
  const std::string text = at->value;
  labels.erase(at);
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  const auto bound = text::parse_uint(text, std::numeric_limits<std::uint32_t>::max());
  return bound ? std::optional<double>(static_cast<double>(*bound)) : std::nullopt;
}

/// The parts of the histograms (Metrics::observe_ms) of one process, by their base name.
std::map<std::string, ClientMetric> histograms_of(const std::vector<MetricsReport::Sample>& samples, const ClientMetric::Label& who) {
  std::map<std::string, ClientMetric> out;
  for (const auto& sample : samples) {
    Labels labels = labels_of(sample.labels);
    const std::string base = base_of(sample.name, kBucket);
    const auto bound = take_bound(labels);
    if (base.empty() || !is_metric_name(base) || sample.gauge || !bound || !labels.empty()) continue;
    ClientMetric& metric = out[base];
    metric.label = {who};
    metric.histogram.bucket.push_back({sample.value, *bound});
  }
  for (auto& [base, metric] : out) {
    // As text sorts, "10" comes before "2".
    std::sort(metric.histogram.bucket.begin(), metric.histogram.bucket.end(), [](const auto& a, const auto& b) { return a.upper_bound < b.upper_bound; });
    for (const auto& sample : samples) {
      if (sample.name == base + std::string(kSum)) metric.histogram.sample_sum = static_cast<double>(sample.value);
      if (sample.name == base + std::string(kCount)) metric.histogram.sample_count = sample.value;
    }
  }
  return out;
}

bool is_part(const std::map<std::string, ClientMetric>& histograms, std::string_view name) {
  for (const std::string_view ending : {kBucket, kSum, kCount})
    if (histograms.contains(base_of(name, ending))) return true;
  return false;
}

/// Names that only the parent gives: two families of one name would make the whole answer unreadable.
constexpr std::string_view kOwnNames = "process_";

void add_own(Families& families, const Process& process) {
  const ClientMetric::Label who{"process", process.name()};
  families.add("process_up", true, {who}, process.state == ProcessState::running ? 1 : 0);
  families.add("process_restarts_total", false, {who}, static_cast<double>(process.restarts));
  families.add("process_seccomp_deaths_total", false, {who}, static_cast<double>(process.seccomp_deaths));
  families.add("process_log_lines_dropped_total", false, {who}, static_cast<double>(process.log_allowance.dropped_ever()));
}

/// The most a sample can take in the text: its line, and the line that names its family.
std::size_t cost_of(const MetricsReport::Sample& sample) {
  constexpr std::size_t kAround = 128;
  return kAround + 2 * sample.name.size() + 2 * text::printable(sample.labels, sample.labels.size()).size();  // a backslash takes two bytes
}

/// Adds what the process counts, up to `share` bytes of text.
void add_samples(Families& families, const Process& process, std::size_t share) {
  const ClientMetric::Label who{"process", process.name()};
  std::vector<MetricsReport::Sample> samples;
  for (const auto& sample : process.samples) {
    const std::size_t cost = cost_of(sample);
    if (!is_metric_name(sample.name) || sample.name.starts_with(kOwnNames) || cost > share) {
      families.leave_out();
      continue;
    }
    share -= cost;
    samples.push_back(sample);
  }
  const auto histograms = histograms_of(samples, who);
  for (const auto& [base, metric] : histograms) families.add(base, MetricType::Histogram, metric);
  for (const auto& sample : samples) {
    if (is_part(histograms, sample.name)) continue;
    Labels labels = labels_of(sample.labels);
    labels.insert(labels.begin(), who);
    families.add(sample.name, sample.gauge, std::move(labels), static_cast<double>(sample.value));
  }
}

}  // namespace

namespace {

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
  Families own, counted;
  std::size_t whole = 0;
  for (const auto& process : supervisor.processes()) {
    add_own(own, *process);
    for (const auto& sample : process->samples) whole += cost_of(sample);
  }
  // Where not all fits, nobody's many counters push out the few of another.
  const std::size_t room = kMetricsBytes - std::min(own.text().size() + kTailBytes, kMetricsBytes);
  const std::size_t share = whole <= room ? room : room / std::max<std::size_t>(supervisor.processes().size(), 1);
  for (const auto& process : supervisor.processes()) add_samples(counted, *process, share);
  Families tail;
  tail.add("metrics_left_out", true, {}, static_cast<double>(counted.left_out()));
  return own.text() + counted.text() + tail.text();
}

}  // namespace postern::privsep
