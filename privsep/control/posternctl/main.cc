// posternctl: the command line of Postern. Reads the table of commands, then does what was asked for.
#include <CLI/CLI.hpp>

#include "privsep/control/posternctl/command.h"

namespace postern::posternctl {
namespace {

CLI::App& group_of(CLI::App& app, const Command& command) {
  if (command.group.empty()) return app;
  const std::string name(command.group);
  const auto known = app.get_subcommands([&](const CLI::App* group) { return group->get_name() == name; });
  if (!known.empty()) return *known.front();
  return *app.add_subcommand(name)->require_subcommand(1);
}

void add_commands(CLI::App& app, Invocation& invocation) {
  for (const Command& command : commands()) {
    CLI::App& added = *group_of(app, command).add_subcommand(std::string(command.name), std::string(command.summary));
    added.add_flag("--json", invocation.json, "print one JSON object");
    command.add(added, invocation);
  }
}

int run(int argc, char** argv) {
  CLI::App app{"Asks, changes and checks a Postern mail server", "posternctl"};
  app.require_subcommand(1);
  Invocation invocation;
  add_commands(app, invocation);
  // CLI11 reports by exceptions; they end here.
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::Error& error) {
    return complain(error.what());
  }
  return invocation.run ? invocation.run() : complain("no command");
}

}  // namespace
}  // namespace postern::posternctl

int main(int argc, char** argv) { return postern::posternctl::run(argc, argv); }
