// posternctl: the command line of Postern. Reads the table of commands, then does what was asked for.
#include <CLI/CLI.hpp>

#include "privsep/control/posternctl/command.h"
#include "privsep/control/posternctl/live.h"

namespace postern::posternctl {
namespace {

CLI::App& group_of(CLI::App& app, std::string_view group) {
  if (group.empty()) return app;
  const std::string name(group);
  const auto known = app.get_subcommands([&](const CLI::App* one) { return one->get_name() == name; });
  if (!known.empty()) return *known.front();
  return *app.add_subcommand(name)->require_subcommand(1);
}

CLI::App& add_command(CLI::App& group, std::string_view name, std::string_view summary, Invocation& invocation) {
  CLI::App& added = *group.add_subcommand(std::string(name), std::string(summary));
  added.add_flag("--json", invocation.json, "print JSON");
  return added;
}

void add_commands(CLI::App& app, Invocation& invocation) {
  for (const LiveCommand& command : live_commands()) {
    const bool alone = command.name.empty();
    CLI::App& group = alone ? app : group_of(app, command.group);
    add_live(add_command(group, alone ? command.group : command.name, command.summary, invocation), command, invocation);
  }
  for (const Command& command : commands())
    command.add(add_command(group_of(app, command.group), command.name, command.summary, invocation), invocation);
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
