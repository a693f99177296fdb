#include "privsep/control/posternctl/show.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace postern::posternctl {

using nlohmann::json;

namespace {

constexpr std::size_t kCellBytes = 400;
constexpr std::size_t kTreeDepth = 32;
constexpr std::int64_t kLastSecond = 253'402'300'799;  // the end of the year 9999

tl::unexpected<Error> not_shown() { return failure("show", "the daemon's answer has another shape than expected"); }

/// Characters, not bytes: continuation bytes take no column.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string plain(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "-";
  if (value.is_array()) {
    std::string out;
    for (const json& element : value) {
      if (!out.empty()) out += ", ";
      out += element.is_structured() ? element.dump(-1, ' ', false, json::error_handler_t::replace) : plain(element);
    }
    return out;
  }
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string deliveries(const json& value) {
  std::string out;
  for (const json& one : value) {
    if (!one.is_object()) continue;
    if (!out.empty()) out += ", ";
    out += plain(one.value("destination", json())) + " " + plain(one.value("state", json()));
    const json attempts = one.value("attempts", json());
    if (attempts.is_number_unsigned() && attempts.get<std::uint64_t>() > 0) out += fmt::format(" ({} tried)", attempts.get<std::uint64_t>());
  }
  return out;
}

std::string cell(const json& value, Shown shown) {
  const bool number = value.is_number_integer() && (value.is_number_unsigned() || value.get<std::int64_t>() >= 0);
  switch (shown) {
    case Shown::bytes: return number ? size_text(value.get<std::uint64_t>()) : plain(value);
    case Shown::quota: return number ? (value == 0 ? "none" : size_text(value.get<std::uint64_t>())) : plain(value);
    case Shown::time: return number ? time_text(value.get<std::int64_t>()) : plain(value);
    case Shown::age: return number ? age_text(value.get<std::uint64_t>()) : plain(value);
    case Shown::deliveries: return value.is_array() ? deliveries(value) : plain(value);
    case Shown::lines: return value.is_array() && !value.empty() ? plain(value.front()) : "";
    case Shown::text: break;
  }
  return plain(value);
}

struct KeyShown {
  std::string_view key;
  Shown shown;
};
constexpr KeyShown kKeys[] = {{"received", Shown::time}, {"expires", Shown::time}, {"due", Shown::time},      {"at", Shown::time},
                              {"finished", Shown::time}, {"created", Shown::time}, {"blocked_until", Shown::time}, {"size", Shown::bytes},
                              {"quota", Shown::quota},   {"used", Shown::bytes},   {"bytes", Shown::bytes},   {"limit", Shown::bytes},
                              {"up_seconds", Shown::age}};

Shown shown_of(std::string_view key) {
  const auto* known = std::ranges::find(kKeys, key, &KeyShown::key);
  return known == std::end(kKeys) ? Shown::text : known->shown;
}

std::string line(std::size_t depth, std::string_view key, std::string_view value) {
  return std::string(2 * depth, ' ') + text::printable(key) + ":" + (value.empty() ? "" : " ") + text::printable(value, 4000) + "\n";
}

/// A text of several lines, such as a folded field, below its key.
std::string lines(std::size_t depth, std::string_view key, std::string_view value) {
  std::string out = line(depth, key, {});
  for (const std::string_view one : text::split(value, '\n'))
    out += std::string(2 * depth + 2, ' ') + text::printable(text::trim(one), 4000) + "\n";
  return out;
}

bool is_flat(const json& value) {
  if (value.is_object()) return false;
  return !value.is_array() || std::ranges::none_of(value, [](const json& element) { return element.is_structured(); });
}

/// The second and further elements of Shown::lines columns, as rows that are otherwise empty.
void add_further_lines(std::vector<std::vector<std::string>>& cells, const json& row, std::span<const Column> columns) {
  for (std::size_t i = 1, more = 1; more > 0; ++i) {
    more = 0;
    std::vector<std::string> further(columns.size());
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const auto value = row.find(columns[c].key);
      if (columns[c].shown != Shown::lines || value == row.end() || !value->is_array() || i >= value->size()) continue;
      further[c] = plain((*value)[i]);
      ++more;
    }
    if (more > 0) cells.push_back(std::move(further));
  }
}

/// One open object or list of the tree; a stack of them instead of recursion, since the depth is the answer's.
struct Open {
  const json* value;
  json::const_iterator next;
};

std::string tree(const json& root) {
  std::string out;
  std::vector<Open> open{{&root, root.begin()}};
  while (!open.empty()) {
    Open& top = open.back();
    const std::size_t depth = open.size() - 1;
    if (top.next == top.value->end()) {
      open.pop_back();
      continue;
    }
    const bool named = top.value->is_object();
    const std::string key = named ? top.next.key() : "-";
    const json& value = *top.next++;
    if (value.is_string() && value.get_ref<const std::string&>().find('\n') != std::string::npos) {
      out += lines(depth, key, value.get_ref<const std::string&>());
    } else if (value.is_structured() && value.empty()) {
      out += line(depth, key, "none");
    } else if (is_flat(value)) {
      out += line(depth, key, cell(value, shown_of(key)));
    } else if (depth == kTreeDepth) {
      out += line(depth, key, "(deeper than is shown)");
    } else {
      out += line(depth, key, {});
      open.push_back({&value, value.begin()});
    }
  }
  return out;
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string time_text(std::int64_t unix_seconds) {
  if (unix_seconds <= 0 || unix_seconds > kLastSecond) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

std::string age_text(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m {}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h {}m", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{}d {}h", seconds / 86400, seconds % 86400 / 3600);
}

std::string table(std::span<const std::string_view> headings, std::span<const std::vector<std::string>> rows) {
  std::vector<std::vector<std::string>> all{{headings.begin(), headings.end()}};
  for (const auto& row : rows) {
    auto& shown = all.emplace_back();
    for (const std::string& value : row) shown.push_back(text::printable(value, kCellBytes));
  }
  std::vector<std::size_t> widths(headings.size());
  for (const auto& row : all)
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string out;
  for (const auto& row : all) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - width_of(row[i]) + 2, ' ');
    }
    out.erase(out.find_last_not_of(' ') + 1);
    out += '\n';
  }
  return out;
}

Result<std::string> show_rows(std::string_view object, std::string_view list, std::span<const Column> columns) {
  const json answer = json::parse(object, nullptr, false);
  const json* rows = &answer;
  if (!list.empty()) {
    if (!answer.is_object() || !answer.contains(list)) return not_shown();
    rows = &answer.at(std::string(list));
  }
  if (!rows->is_array()) return not_shown();
  if (rows->empty()) return std::string("none\n");
  std::vector<std::string_view> headings;
  for (const Column& column : columns) headings.push_back(column.heading);
  std::vector<std::vector<std::string>> cells;
  for (const json& row : *rows) {
    if (!row.is_object()) return not_shown();
    auto& shown = cells.emplace_back();
    for (const Column& column : columns) {
      const auto value = row.find(column.key);
      const std::string text = value == row.end() ? "" : cell(*value, column.shown);
      shown.push_back(text.empty() ? "-" : text);
    }
    add_further_lines(cells, row, columns);
  }
  return table(headings, cells);
}

Result<std::string> show_tree(std::string_view value) {
  const json answer = json::parse(value, nullptr, false);
  if (answer.is_discarded()) return not_shown();
  return answer.is_structured() ? tree(answer) : text::printable(plain(answer), 4000) + "\n";
}

Result<std::string> join_pages(std::string_view first, std::string_view more, std::string_view list) {
  json joined = json::parse(first, nullptr, false);
  const json page = json::parse(more, nullptr, false);
  const std::string name(list);
  if (!joined.is_object() || !page.is_object() || !joined.contains(name) || !page.contains(name)) return not_shown();
  if (!joined[name].is_array() || !page[name].is_array()) return not_shown();
  for (const json& row : page[name]) joined[name].push_back(row);
  joined["more"] = page.value("more", json(false));
  joined.erase("next");
  if (page.contains("next")) joined["next"] = page["next"];
  return joined.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string next_page(std::string_view object) {
  const json answer = json::parse(object, nullptr, false);
  if (!answer.is_object() || answer.value("more", json(false)) != json(true)) return {};
  const auto next = answer.find("next");
  return next != answer.end() && next->is_string() ? next->get<std::string>() : std::string{};
}

bool says_no(std::string_view object, std::string_view member) {
  const json answer = json::parse(object, nullptr, false);
  if (!answer.is_object()) return false;
  const auto found = answer.find(member);
  return found != answer.end() && *found == json(false);
}

}  // namespace postern::posternctl
