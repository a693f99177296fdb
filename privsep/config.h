/// A process's part of the configuration: values by key, already checked by the parent against config_table.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "privsep/messages.h"

namespace postern::privsep {

class Config {
 public:
  Config() = default;
  explicit Config(const std::vector<KeyValue>& slice);

  /// A key this role does not get, or one that is not in the table, is a broken invariant: the process ends.
  const std::string& text(std::string_view key) const;
  std::uint64_t number(std::string_view key) const;                 ///< integers; sizes in bytes
  bool flag(std::string_view key) const;
  std::chrono::seconds seconds(std::string_view key) const;         ///< durations
  std::vector<std::string> list(std::string_view key) const;        ///< lists of texts

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

/// How a list travels in one value: elements separated by '\n' (no element may hold one; the parser sees to it).
std::string join_list(const std::vector<std::string>& elements);

}  // namespace postern::privsep
