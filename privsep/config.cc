#include "privsep/config.h"

#include "base/check.h"
#include "base/text.h"

namespace postern::privsep {

Config::Config(const std::vector<KeyValue>& slice) {
  for (const KeyValue& kv : slice) values_.insert_or_assign(kv.key, kv.value);
}

const std::string& Config::text(std::string_view key) const {
  const auto it = values_.find(key);
  if (it == values_.end()) std::fprintf(stderr, "no configuration key %.*s in this process\n", static_cast<int>(key.size()), key.data());
  POSTERN_CHECK(it != values_.end());
  return it->second;
}

std::uint64_t Config::number(std::string_view key) const {
  const auto value = text::parse_uint(text(key), UINT64_MAX);
  POSTERN_CHECK(value.has_value());
  return *value;
}

bool Config::flag(std::string_view key) const { return text(key) == "true"; }

std::chrono::seconds Config::seconds(std::string_view key) const { return std::chrono::seconds(static_cast<std::int64_t>(number(key))); }

std::vector<std::string> Config::list(std::string_view key) const {
  std::vector<std::string> out;
  if (text(key).empty()) return out;
  for (std::string_view element : text::split(text(key), '\n')) out.emplace_back(element);
  return out;
}

std::string join_list(const std::vector<std::string>& elements) {
  std::string out;
  for (const std::string& element : elements) {
    if (!out.empty()) out += '\n';
    out += element;
  }
  return out;
}

}  // namespace postern::privsep
