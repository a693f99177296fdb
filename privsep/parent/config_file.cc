#include "privsep/parent/config_file.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <optional>

#include "base/check.h"
#include "base/ip.h"
#include "base/text.h"
#include "io/endpoint.h"
#include "privsep/config.h"
#include "privsep/config_table.h"
#include "privsep/static_route.h"
#include "privsep/tls_rules.h"

namespace postern::privsep {

namespace {

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};
constexpr std::size_t kValuesBytes = kAdminBytes / 2;  // of all keys: a process gets its slice in one frame, keys and lengths beside
constexpr Unit kSizeUnits[] = {{"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024ULL * 1024 * 1024}, {"TiB", 1ULL << 40}};
constexpr Unit kTimeUnits[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};

std::optional<std::uint64_t> with_unit(std::string_view text, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.suffix)) continue;
    const auto number = text::parse_uint(text.substr(0, text.size() - unit.suffix.size()), UINT64_MAX / unit.factor);
    if (!number) return std::nullopt;
    return *number * unit.factor;
  }
  return text::parse_uint(text, UINT64_MAX);
}

/// What a value of this kind should look like, for errors.
std::string expected(const ConfigRow& row) {
  const auto range = [&] {
    return " from " + std::to_string(row.least) + (row.most != 0 ? " to " + std::to_string(row.most) : " up");
  };
  switch (row.kind) {
    case ValueKind::text: return row.most != 0 ? "a text of at most " + std::to_string(row.most) + " bytes" : "a text";
    case ValueKind::choice: return "one of " + std::string(row.choices);
    case ValueKind::integer: return "a whole number" + range();
    case ValueKind::size: return "a size such as 64KiB, 25MiB or 10GiB, in bytes" + range();
    case ValueKind::duration: return "a duration such as 30s, 5m, 4h or 5d, in seconds" + range();
    case ValueKind::flag: return "true or false";
    case ValueKind::endpoints: return "a list of addresses with ports such as [\"192.0.2.1:25\", \"[2001:db8::1]:25\"]";
    case ValueKind::prefixes: return "a list of networks such as [\"192.0.2.0/24\"]";
    case ValueKind::texts: return "a list of texts";
    case ValueKind::routes: return "a list of routes such as [\"example.org=192.0.2.1:25\", \"*=USER:PASSWORD@smart.example.net:587\"]";
    case ValueKind::tls_levels: return "a list of \"DOMAIN=LEVEL\", the level one of opportunistic, required, verified, dane-only";
    case ValueKind::tls_exceptions: return "a list of \"DOMAIN=LEVEL until YYYY-MM-DD: REASON\"";
    case ValueKind::durations: return "a list of durations such as [\"5m\", \"1h\"]";
    case ValueKind::path: return "an absolute path, or \"\"";
  }
  return "";
}

std::optional<std::string> in_range(std::optional<std::uint64_t> value, const ConfigRow& row) {
  if (!value || *value < row.least || (row.most != 0 && *value > row.most)) return std::nullopt;
  return std::to_string(*value);
}

std::optional<std::string> list_element(const ConfigRow& row, std::string_view text) {
  if (text.find('\n') != std::string_view::npos || text.empty()) return std::nullopt;
  switch (row.kind) {
    case ValueKind::endpoints: {
      const auto endpoint = io::Endpoint::parse(text);
      return endpoint ? std::optional(endpoint->to_string()) : std::nullopt;
    }
    case ValueKind::prefixes:
      return IpPrefix::parse(text) ? std::optional(std::string(text)) : std::nullopt;
    case ValueKind::durations: {
      const auto seconds = with_unit(text, kTimeUnits);
      return seconds && *seconds > 0 ? std::optional(std::to_string(*seconds)) : std::nullopt;
    }
    case ValueKind::routes: {
      constexpr std::uint16_t kAnyPort = 25;  // where none is named; which one it will be is no matter here
      return parse_route(text, kAnyPort) ? std::optional(std::string(text)) : std::nullopt;
    }
    case ValueKind::tls_levels: {
      const auto unsaid = parse_tls_rule(row.choices);
      return parse_tls_domain(text, unsaid ? &*unsaid : nullptr) ? std::optional(std::string(text)) : std::nullopt;
    }
    case ValueKind::tls_exceptions:
      return parse_tls_exception(text) ? std::optional(std::string(text)) : std::nullopt;
    default:
      return std::string(text);
  }
}

/// A single value in canonical form; nullopt when it is not what the row wants.
std::optional<std::string> scalar(const ConfigRow& row, std::string_view text) {
  switch (row.kind) {
    case ValueKind::text:
      return text.size() <= (row.most != 0 ? row.most : 1024) && text.find('\n') == std::string_view::npos
                 ? std::optional(std::string(text)) : std::nullopt;
    case ValueKind::choice: {
      for (std::string_view choice : text::split(row.choices, '|'))
        if (choice == text) return std::string(text);
      return std::nullopt;
    }
    case ValueKind::integer: return in_range(text::parse_uint(text, UINT64_MAX), row);
    case ValueKind::size: return in_range(with_unit(text, kSizeUnits), row);
    case ValueKind::duration: return in_range(with_unit(text, kTimeUnits), row);
    case ValueKind::flag: return text == "true" || text == "false" ? std::optional(std::string(text)) : std::nullopt;
    case ValueKind::path: return text.empty() || (text.front() == '/' && text.find('\n') == std::string_view::npos)
                                     ? std::optional(std::string(text)) : std::nullopt;
    default: return std::nullopt;
  }
}

bool is_list(ValueKind kind) {
  switch (kind) {
    case ValueKind::endpoints:
    case ValueKind::prefixes:
    case ValueKind::texts:
    case ValueKind::durations:
    case ValueKind::routes:
    case ValueKind::tls_levels:
    case ValueKind::tls_exceptions: return true;
    default: return false;
  }
}

std::optional<std::string> canonical(const ConfigRow& row, const toml::node& node) {
  if (is_list(row.kind)) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return std::nullopt;
    std::vector<std::string> elements;
    for (const toml::node& element : *array) {
      const auto text = element.value<std::string>();
      const auto value = text ? list_element(row, *text) : std::nullopt;
      if (!value) return std::nullopt;
      elements.push_back(*value);
    }
    return join_list(elements);
  }
  if (row.kind == ValueKind::flag) {
    const auto flag = node.value_exact<bool>();
    return flag ? std::optional<std::string>(*flag ? "true" : "false") : std::nullopt;
  }
  if (const auto number = node.value_exact<std::int64_t>())
    return *number >= 0 && row.kind != ValueKind::text ? scalar(row, std::to_string(*number)) : std::nullopt;
  const auto text = node.value_exact<std::string>();
  return text && row.kind != ValueKind::integer ? scalar(row, *text) : std::nullopt;
}

/// The default of a row, canonical. A default the row itself refuses is a mistake in the table.
std::string default_of(const ConfigRow& row) {
  if (is_list(row.kind)) {
    const toml::parse_result parsed = toml::parse("x = " + std::string(row.default_value));
    POSTERN_CHECK(parsed.succeeded());
    const auto value = canonical(row, *parsed.table().get("x"));
    POSTERN_CHECK(value.has_value());
    return *value;
  }
  const auto value = scalar(row, row.default_value);
  POSTERN_CHECK(value.has_value());
  return *value;
}

std::string nearest_key(std::string_view wrong) {
  // The key that shares the longest beginning and end with what was written: enough for a typing slip.
  std::string_view best;
  std::size_t most = 3;
  for (const ConfigRow& row : config_rows()) {
    std::size_t front = 0, back = 0;
    while (front < row.key.size() && front < wrong.size() && row.key[front] == wrong[front]) ++front;
    while (back < row.key.size() && back < wrong.size() && row.key[row.key.size() - 1 - back] == wrong[wrong.size() - 1 - back]) ++back;
    if (front + back > most) {
      most = front + back;
      best = row.key;
    }
  }
  return best.empty() ? "" : "; did you mean " + std::string(best) + "?";
}

}  // namespace

Result<Settings> Settings::parse(std::string_view text, std::string_view name) {
  const toml::parse_result parsed = toml::parse(text);
  const auto at = [&](const toml::source_region& source) { return std::string(name) + ":" + std::to_string(source.begin.line) + ": "; };
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return failure("config", at(error.source()) + std::string(error.description()));
  }
  Settings settings;
  for (const ConfigRow& row : config_rows()) settings.values_.insert_or_assign(std::string(row.key), default_of(row));
  std::string errors;
  const auto complain = [&](const toml::node& node, std::string_view key, const std::string& what) {
    errors += (errors.empty() ? "" : "\n") + at(node.source()) + std::string(key) + ": " + what;
  };
  for (const auto& [section_key, section_node] : parsed.table()) {
    const std::string section(section_key.str());
    const toml::table* section_table = section_node.as_table();
    if (section_table == nullptr) {
      complain(section_node, section, "stands outside a section; every key is in a section such as [smtp]");
      continue;
    }
    for (const auto& [key_key, node] : *section_table) {
      const std::string key = section + "." + std::string(key_key.str());
      const ConfigRow* row = config_row(key);
      if (row == nullptr) {
        complain(node, key, "is not a key" + nearest_key(key));
        continue;
      }
      const auto value = canonical(*row, node);
      if (!value) {
        complain(node, key, "expected " + expected(*row));
        continue;
      }
      settings.values_.insert_or_assign(key, *value);
    }
  }
  if (!errors.empty()) return failure("config", errors);
  std::size_t bytes = 0;
  for (const auto& [key, value] : settings.values_) bytes += value.size();
  if (bytes > kValuesBytes)
    return failure("config", std::string(name) + ": values of " + std::to_string(bytes) + " bytes in all; at most " + std::to_string(kValuesBytes));
  if (settings.get("tls.certificate").empty() != settings.get("tls.key").empty())
    return failure("config", std::string(name) + ": tls.certificate and tls.key go together: give both or none");
  return settings;
}

const std::string& Settings::get(std::string_view key) const {
  const auto it = values_.find(key);
  POSTERN_CHECK(it != values_.end());
  return it->second;
}

std::uint64_t Settings::number(std::string_view key) const {
  const auto value = text::parse_uint(get(key), UINT64_MAX);
  POSTERN_CHECK(value.has_value());
  return *value;
}

std::vector<std::string> Settings::list(std::string_view key) const {
  std::vector<std::string> out;
  if (get(key).empty()) return out;
  for (std::string_view element : text::split(get(key), '\n')) out.emplace_back(element);
  return out;
}

void Settings::set(std::string_view key, std::string value) { values_.insert_or_assign(std::string(key), std::move(value)); }

std::vector<KeyValue> Settings::slice(Role role) const {
  std::vector<KeyValue> out;
  for (const ConfigRow& row : config_rows())
    if (row.receivers.has(role)) out.push_back({std::string(row.key), get(row.key)});
  return out;
}

std::string default_config_file() {
  std::string out =
      "# Postern's configuration: facts about this machine. Domains, accounts and aliases are managed live with posternctl.\n"
      "# Every key is shown with its default. `postern -n` checks the file; `posternctl reload` puts it in force.\n";
  std::string section;
  for (const ConfigRow& row : config_rows()) {
    const auto dot = row.key.find('.');
    const std::string row_section(row.key.substr(0, dot));
    if (row_section != section) out += "\n[" + row_section + "]\n";
    section = row_section;
    const bool bare = is_list(row.kind) || row.kind == ValueKind::flag || row.kind == ValueKind::integer;
    out += "# " + std::string(row.help) + "\n# " + std::string(row.key.substr(dot + 1)) + " = ";
    out += bare ? std::string(row.default_value) : "\"" + std::string(row.default_value) + "\"";
    out += "\n";
  }
  return out;
}

}  // namespace postern::privsep
