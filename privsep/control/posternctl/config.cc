#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "privsep/config_table.h"
#include "privsep/control/posternctl/commands.h"
#include "privsep/control/posternctl/config_manual.h"
#include "privsep/parent/config_file.h"

namespace postern::posternctl {

namespace {

constexpr std::string_view kDefaultFile = "/etc/postern/postern.toml";
constexpr std::size_t kFileBytes = 1UL << 20;

Result<std::string> content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure("config", path + ": " + std::strerror(errno));
  std::string content(kFileBytes + 1, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.bad()) return failure("config", path + ": cannot be read");
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > kFileBytes) return failure("config", path + ": larger than " + std::to_string(kFileBytes) + " bytes");
  return content;
}

Result<privsep::Settings> settings_of(const std::string& path) {
  TRY_ASSIGN(const std::string content, content_of(path));
  return privsep::Settings::parse(content, path);
}

/// All that is wrong, a line each.
int complain_lines(const std::string& message) {
  for (const std::string_view line : text::split(message, '\n'))
    if (!line.empty()) complain(line);
  return kError;
}

int check(const std::string& path, bool as_json) {
  const auto settings = settings_of(path);
  if (!settings) return complain_lines(settings.error().message);
  if (!as_json) return print_text(text::printable(path) + ": good\n");
  nlohmann::json values = nlohmann::json::object();
  for (const auto& row : privsep::config_rows()) values[std::string(row.key)] = settings->get(row.key);
  const nlohmann::json out{{"file", path}, {"values", std::move(values)}};
  return print_text(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

void add_config_check(CLI::App& app, Invocation& invocation) {
  const auto file = std::make_shared<std::string>(kDefaultFile);
  app.add_option("FILE", *file, "the file; " + *file + " where none is named");
  app.callback([&invocation, file] { invocation.run = [&invocation, file] { return check(*file, invocation.json); }; });
}

void add_config_default(CLI::App& app, Invocation& invocation) {
  app.callback([&invocation] { invocation.run = [] { return print_text(privsep::default_config_file()); }; });
}

void add_config_man(CLI::App& app, Invocation& invocation) {
  app.callback([&invocation] { invocation.run = [] { return print_text(config_manual()); }; });
}

}  // namespace postern::posternctl
