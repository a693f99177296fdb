// The tables of commands against each other and against posternctl(8).
#include "privsep/control/posternctl/commands.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/text.h"
#include "privsep/control/posternctl/config_manual.h"
#include "privsep/control/posternctl/ipc_map.h"
#include "privsep/control/posternctl/live.h"
#include "privsep/control/request.h"
#include "privsep/config_table.h"
#include "privsep/message_table.h"

namespace postern::posternctl {
namespace {

std::string key_of(std::string_view marked) {
  return std::string(marked.starts_with('?') || marked.starts_with('!') ? marked.substr(1) : marked);
}

TEST(LiveCommands, NameArgumentsThatExistAndCommandsThatSomebodyAnswers) {
  for (const LiveCommand& command : live_commands()) {
    for (const std::string_view keys : {command.positional, command.options})
      for (const std::string_view key : text::split(keys, ' '))
        EXPECT_TRUE(key.empty() || argument(key_of(key)) != nullptr) << command.group << " " << command.name << ": " << key;
    EXPECT_TRUE(control::route(command.group)) << command.group;
  }
}

/// The manual without troff's escapes.
std::string manual() {
  std::ifstream file(std::string(POSTERN_SOURCE_DIR) + "/pkg/man/posternctl.8");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  std::string out;
  for (const char c : page)
    if (c != '\\') out += c;
  return out;
}

TEST(Manual, HasEveryCommandAndEveryOption) {
  const std::string page = manual();
  for (const LiveCommand& command : live_commands()) {
    const std::string name = std::string(command.group) + (command.name.empty() ? "" : " " + std::string(command.name));
    const auto at = page.find(".TP\n.B " + name + "\n");
    ASSERT_NE(at, std::string::npos) << name;
    const std::string entry = page.substr(at, page.find(".TP", at + 1) - at);
    for (const std::string_view marked : text::split(command.options, ' ')) {
      if (marked.empty()) continue;
      const Argument& known = *argument(key_of(marked));
      EXPECT_NE(entry.find("--" + std::string(known.name.empty() ? known.key : known.name)), std::string::npos) << name << ": " << marked;
    }
  }
  for (const Command& command : commands())
    EXPECT_NE(page.find(".TP\n.B " + (command.group.empty() ? "" : std::string(command.group) + " ") + std::string(command.name) + "\n"), std::string::npos)
        << command.name;
}

TEST(Manual, OfTheConfigurationHasEveryKeyOnceAndNoLineThatTroffWouldObey) {
  const std::string page = config_manual();
  std::size_t entries = 0;
  for (std::size_t at = page.find("\n.TP\n.B "); at != std::string::npos; at = page.find("\n.TP\n.B ", at + 1)) ++entries;
  EXPECT_EQ(entries, privsep::config_rows().size());
}

TEST(IpcMap, ShowsEveryRowInEachForm) {
  const std::string markdown = ipc_markdown(), json = ipc_json(), shown = ipc_table();
  for (const privsep::Row& row : privsep::kRows) {
    EXPECT_NE(markdown.find("| " + std::string(row.name) + " |"), std::string::npos) << row.name;
    EXPECT_NE(json.find("\"name\":\"" + std::string(row.name) + "\""), std::string::npos) << row.name;
    EXPECT_NE(shown.find("  " + std::string(row.name) + "  "), std::string::npos) << row.name;
  }
}

}  // namespace
}  // namespace postern::posternctl
