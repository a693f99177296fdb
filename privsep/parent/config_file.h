/// postern.toml: read, checked against config_table.h, and cut into each process's slice. Nothing starts on a bad file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "privsep/messages.h"
#include "privsep/role.h"

namespace postern::privsep {

/// A whole, checked configuration: each key of the table with its value in canonical form (sizes in bytes, durations in seconds,
/// lists joined by '\n').
class Settings {
 public:
  /// `text` is the file's content, `name` its name for errors. All errors at once, a line each: "NAME:LINE: KEY: what is wrong;
  /// what is expected". Error code: "config".
  static Result<Settings> parse(std::string_view text, std::string_view name);

  const std::string& get(std::string_view key) const;   ///< a key of the table; anything else is a broken invariant
  std::uint64_t number(std::string_view key) const;
  std::vector<std::string> list(std::string_view key) const;
  void set(std::string_view key, std::string value);    ///< canonical; for derived defaults (the host name)
  std::vector<KeyValue> slice(Role role) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

/// The commented file with every key at its default, as the package installs it.
std::string default_config_file();

}  // namespace postern::privsep
