// The status page: from a House to the fields of templates/status.mustache, whose {{name}} escapes. Only drawings made of our own
// names and numbers go in as they are ({{{name}}}).
#include <fmt/format.h>

#include <algorithm>
#include <kainjow/mustache.hpp>

#include "web/limits.h"
#include "web/message_map.h"
#include "web/pages.h"

namespace postern::web {

extern const std::string_view kStatusTemplate;  // templates/status.mustache

namespace {

using kainjow::mustache::data;
using kainjow::mustache::mustache;

constexpr std::size_t kReasons = 6;  // refusals shown, the most frequent ones

std::string number(std::uint64_t value) {
  std::string out = std::to_string(value);
  for (std::size_t at = out.size(); at > 3; at -= 3) out.insert(at - 3, ",");
  return out;
}
std::string number_or_dash(const std::optional<std::uint64_t>& value) { return value ? number(*value) : "–"; }

std::string size_text(std::uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(kUnits); ++unit) value /= 1000;
  return fmt::format("{:.{}f} {}", value, unit == 0 || value >= 100 ? 0 : 1, kUnits[unit]);
}

std::string duration_text(std::chrono::seconds time) {
  const auto s = time.count();
  if (s < 120) return fmt::format("{} s", s);
  if (s < 2 * 3600) return fmt::format("{} min", s / 60);
  if (s < 2 * 86400) return fmt::format("{} h {} min", s / 3600, s / 60 % 60);
  return fmt::format("{} d {} h", s / 86400, s / 3600 % 24);
}

std::string rate_text(const Trend& trend) {
  if (trend.window.count() == 0) return "no rate yet";
  const double rate = trend.per_minute();
  return fmt::format("{:.{}f} a minute", rate, rate < 10 && rate > 0 ? 1 : 0);
}

/// One bar a second, the present at the right.
std::string draw_trend(const Trend& trend) {
  constexpr int kWidth = 5;
  constexpr int kHeight = 34;
  const int slots = static_cast<int>(limits::kRateWindow.count());
  const std::uint64_t most = std::max<std::uint64_t>(trend.per_second.empty() ? 0 : *std::max_element(trend.per_second.begin(), trend.per_second.end()), 1);
  std::string out = fmt::format(R"(<svg class="trend" viewBox="0 0 {} {}" preserveAspectRatio="none" aria-hidden="true"><path class="floor" d="M 0 {} H {}"/>)",
                                slots * kWidth, kHeight, kHeight - 0.5, slots * kWidth);
  int x = (slots - static_cast<int>(trend.per_second.size())) * kWidth;
  for (const std::uint64_t count : trend.per_second) {
    if (count > 0) {
      const double height = std::max(2.0, kHeight * static_cast<double>(count) / static_cast<double>(most));
      out += fmt::format(R"(<rect x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>)", x, kHeight - height, kWidth - 1, height);
    }
    x += kWidth;
  }
  return out + "</svg>";
}

data tile(std::string label, std::string value, std::string note, std::string drawing = {}) {
  data out;
  out.set("label", std::move(label));
  out.set("value", std::move(value));
  out.set("note", std::move(note));
  out.set("drawing", std::move(drawing));
  return out;
}

std::string mean_text(const Snapshot& s, std::string_view name, std::string_view unit) {
  const auto sum = s.total(std::string(name) + "_sum");
  const auto count = s.total(std::string(name) + "_count");
  if (!sum || !count || *count == 0) return "–";
  return fmt::format("{:.1f}{}", static_cast<double>(*sum) / static_cast<double>(*count), unit);
}

data tiles_of(const House& house, const Snapshot& s, SteadyTime now) {
  const Trend accepted = house.accepted(now);
  const Trend delivered = house.delivered(now);
  const auto failed = s.total("queue_failed_total").value_or(0);
  data out{data::type::list};
  out << tile("Accepted", number_or_dash(s.total("queue_accepted_total")), rate_text(accepted), draw_trend(accepted));
  out << tile("Delivered", number_or_dash(s.total("queue_delivered_total")), rate_text(delivered), draw_trend(delivered));
  out << tile("In the queue", number_or_dash(s.total("queue_messages")),
              fmt::format("{} deferred, {} failed so far", number(s.total("queue_deferred_total").value_or(0)), number(failed)));
  out << tile("SMTP connections", number_or_dash(s.total("smtp_connections")),
              fmt::format("{} so far, {} turned away", number(s.total("smtp_connections_total").value_or(0)), number(s.total("smtp_turned_away_total").value_or(0))));
  return out;
}

data fact(std::string name, std::string value) {
  data out;
  out.set("name", std::move(name));
  out.set("value", std::move(value));
  return out;
}

data queue_facts(const Snapshot& s) {
  data out{data::type::list};
  for (const Sample& sample : s.samples)
    if (sample.name == "queue_deliveries" && sample.labels.starts_with("state=\"") && sample.labels.ends_with('"'))
      out << fact("deliveries " + sample.labels.substr(7, sample.labels.size() - 8), number(sample.value));
  const auto used = s.total("queue_spool_bytes");
  const auto limit = s.total("queue_spool_limit_bytes");
  if (used && limit) out << fact("spool", size_text(*used) + " of " + size_text(*limit));
  out << fact("messages a commit", mean_text(s, "queue_commit_batch", ""));
  out << fact("time a commit", mean_text(s, "queue_commit_ms", " ms"));
  out << fact("local delivery takes", mean_text(s, "queue_local_delivery_ms", " ms"));
  out << fact("remote delivery takes", mean_text(s, "queue_remote_delivery_ms", " ms"));
  return out;
}

data refusals_of(const Snapshot& s) {
  std::vector<const Sample*> found;
  for (const Sample& sample : s.samples)
    if (sample.name == "smtp_refused_total" && sample.value > 0) found.push_back(&sample);
  std::sort(found.begin(), found.end(), [](const Sample* a, const Sample* b) { return a->value > b->value; });
  if (found.size() > kReasons) found.resize(kReasons);
  data out{data::type::list};
  for (const Sample* sample : found) {
    std::string reason = sample->labels;
    if (reason.starts_with("reason=\"") && reason.ends_with('"')) reason = reason.substr(8, reason.size() - 9);
    out << fact(std::move(reason), number(sample->value));
  }
  return out;
}

data texts_of(const std::vector<std::string>& texts) {
  data out{data::type::list};
  for (const std::string& text : texts) out << data(text);
  return out;
}

data processes_of(const Snapshot& s) {
  data out{data::type::list};
  for (const ProcessState& p : s.processes) {
    data row;
    row.set("name", p.name);
    row.set("state", p.state);
    row.set("class", p.runs() ? "good" : "bad");
    row.set("up", p.runs() ? duration_text(p.up) : "–");
    row.set("restarts", number(p.restarts));
    row.set("deaths", number(p.seccomp_deaths));
    row.set("has_restarts", p.restarts > 0);
    row.set("has_deaths", p.seccomp_deaths > 0);
    row.set("last_end", p.last_end);
    row.set("has_last_end", !p.last_end.empty());
    row.set("who", p.pid > 0 ? fmt::format("pid {}, uid {}", p.pid, p.uid) : std::string());
    row.set("layers", number(p.in_force.size()));
    row.set("missing_count", number(p.missing.size()));
    row.set("is_missing", !p.missing.empty());
    row.set("in_force", texts_of(p.in_force));
    row.set("missing", texts_of(p.missing));
    out << row;
  }
  return out;
}

data messages_of() {
  const auto names = [](privsep::Roles roles) {
    std::string out;
    for (const privsep::Role role : privsep::kRoles)
      if (roles.has(role)) out.append(out.empty() ? "" : ", ").append(name_of(role));
    return roles == privsep::kChildren ? std::string("every process") : out;
  };
  data out{data::type::list};
  for (const privsep::Row& row : privsep::kRows) {
    data entry;
    entry.set("name", std::string(row.name));
    entry.set("from", names(row.from));
    entry.set("to", names(row.to));
    entry.set("purpose", std::string(row.purpose));
    entry.set("descriptor", row.descriptor == privsep::Descriptor::none ? "" : row.descriptor == privsep::Descriptor::required ? "yes" : "may");
    entry.set("size", size_text(row.max_bytes));
    out << entry;
  }
  return out;
}

Health health_of(const std::optional<Snapshot>& snapshot, privsep::Role role) {
  if (!snapshot) return Health::unknown;
  if (role == privsep::Role::parent) return Health::running;  // it has just told us
  Health out = Health::unknown;
  for (const ProcessState& p : snapshot->processes) {
    // "verifier-in", "verifier-in/1": instances of one role; a role is well when all of them are.
    if (std::string_view(p.name).substr(0, p.name.find('/')) != name_of(role)) continue;
    if (!p.runs()) return Health::troubled;
    out = Health::running;
  }
  return out;
}

}  // namespace

std::string render_status(const House& house, SteadyTime now) {
  const std::optional<Snapshot> nothing;
  const auto& snapshot = house.is_fresh(now) ? house.snapshot() : nothing;
  data page;
  page.set("known", snapshot.has_value());
  page.set("class", !snapshot ? "unknown" : snapshot->running ? "good" : "bad");
  page.set("headline", !snapshot ? "No word from the parent" : snapshot->running ? "All processes are running" : "Not all processes are running");
  page.set("map", draw_message_map([&](privsep::Role role) { return health_of(snapshot, role); }));
  page.set("messages", messages_of());
  if (snapshot) {
    page.set("smtp", snapshot->smtp);
    page.set("tiles", tiles_of(house, *snapshot, now));
    page.set("queue", queue_facts(*snapshot));
    data refusals = refusals_of(*snapshot);
    page.set("any_refusals", !refusals.list_value().empty());
    page.set("refusals", refusals);
    page.set("processes", processes_of(*snapshot));
  }
  mustache document{std::string(kStatusTemplate)};
  return document.render(page);
}

}  // namespace postern::web
