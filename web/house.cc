#include "web/house.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "web/limits.h"

namespace postern::web {

namespace {

using nlohmann::json;

const json* member(const json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}
std::string text_in(const json& object, const char* key) {
  const json* found = member(object, key);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}
std::uint64_t number_in(const json& object, const char* key) {
  const json* found = member(object, key);
  return found != nullptr && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}
std::vector<std::string> texts_in(const json& object, const char* key) {
  std::vector<std::string> out;
  const json* found = member(object, key);
  if (found == nullptr || !found->is_array()) return out;
  for (const json& element : *found)
    if (element.is_string()) out.push_back(element.get<std::string>());
  return out;
}

ProcessState read_process(const json& object) {
  ProcessState out;
  out.name = text_in(object, "name");
  out.state = text_in(object, "state");
  out.pid = number_in(object, "pid");
  out.uid = number_in(object, "uid");
  // Bounded, so that a clock that was set cannot make an hour of it overflow.
  out.up = std::chrono::seconds(std::min<std::uint64_t>(number_in(object, "up_seconds"), UINT32_MAX));
  out.restarts = number_in(object, "restarts");
  out.seccomp_deaths = number_in(object, "seccomp_deaths");
  out.last_end = text_in(object, "last_end");
  out.in_force = texts_in(object, "in_force");
  out.missing = texts_in(object, "missing");
  return out;
}

void read_samples(const json& process, std::vector<Sample>& out) {
  const json* metrics = member(process, "metrics");
  if (metrics == nullptr || !metrics->is_object()) return;
  for (const auto& [key, value] : metrics->items()) {
    if (!value.is_number_unsigned()) continue;
    const auto brace = key.find('{');
    Sample sample{.name = key.substr(0, brace), .labels = {}, .value = value.get<std::uint64_t>()};
    if (brace != std::string::npos && key.ends_with('}')) sample.labels = key.substr(brace + 1, key.size() - brace - 2);
    out.push_back(std::move(sample));
  }
}

}  // namespace

std::optional<std::uint64_t> Snapshot::total(std::string_view name) const {
  std::optional<std::uint64_t> out;
  for (const Sample& sample : samples)
    if (sample.name == name) out = out.value_or(0) + sample.value;
  return out;
}

std::optional<std::uint64_t> Snapshot::value(std::string_view name, std::string_view labels) const {
  std::optional<std::uint64_t> out;
  for (const Sample& sample : samples)
    if (sample.name == name && sample.labels == labels) out = out.value_or(0) + sample.value;
  return out;
}

std::optional<Snapshot> read_snapshot(const privsep::StatusSnapshot& message) {
  const json status = json::parse(message.status_json, nullptr, false);
  const json* running = member(status, "running");
  const json* processes = member(status, "processes");
  if (running == nullptr || !running->is_boolean() || processes == nullptr || !processes->is_array()) return std::nullopt;
  Snapshot out;
  out.running = running->get<bool>();
  out.smtp = text_in(status, "smtp");
  for (const json& process : *processes) {
    out.processes.push_back(read_process(process));
    read_samples(process, out.samples);
  }
  out.metrics_text = message.metrics_text;
  return out;
}

std::uint64_t Trend::sum() const { return std::accumulate(per_second.begin(), per_second.end(), std::uint64_t{0}); }

double Trend::per_minute() const {
  return window.count() == 0 ? 0 : static_cast<double>(sum()) * 60 / static_cast<double>(window.count());
}

void History::add(SteadyTime at, std::uint64_t counter) {
  // What was counted before we first looked has no time.
  if (!since_) since_ = at;
  else if (const std::uint64_t more = counter >= last_ ? counter - last_ : counter; more > 0) steps_.push_back({at, more});
  last_ = counter;
  while (!steps_.empty() && at - steps_.front().at > limits::kRateWindow) steps_.pop_front();
}

Trend History::trend(SteadyTime now) const {
  using std::chrono::seconds;
  Trend out;
  if (!since_ || now < *since_) return out;
  out.window = std::min(std::chrono::duration_cast<seconds>(now - *since_), seconds(limits::kRateWindow));
  out.per_second.assign(static_cast<std::size_t>(out.window.count()), 0);
  for (const Step& step : steps_) {
    if (step.at > now) continue;
    const auto ago = static_cast<std::size_t>(std::chrono::duration_cast<seconds>(now - step.at).count());
    if (ago < out.per_second.size()) out.per_second[out.per_second.size() - 1 - ago] += step.more;
  }
  return out;
}

bool House::take(const privsep::StatusSnapshot& message, SteadyTime now) {
  auto fresh = read_snapshot(message);
  if (!fresh) return false;
  snapshot_ = std::move(fresh);
  ++number_;
  taken_ = now;
  accepted_.add(now, snapshot_->total("queue_accepted_total").value_or(0));
  delivered_.add(now, snapshot_->total("queue_delivered_total").value_or(0));
  return true;
}

bool House::is_fresh(SteadyTime now) const { return snapshot_ && now - taken_ < limits::kFreshFor; }

}  // namespace postern::web
