/// The commands that ask the running daemon, as a table: what each is called, what it may be given, how its answer is shown.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "privsep/control/posternctl/command.h"
#include "privsep/control/posternctl/show.h"

namespace postern::posternctl {

/// An argument of live commands, with the words --help has for it.
struct Argument {
  std::string_view key;    ///< as the daemon knows it, and as "--key"
  std::string_view value;  ///< placeholder; empty: a flag that sends "yes"
  std::string_view help;
  bool many = false;       ///< may be given several times
  std::string_view name = {};  ///< the daemon's name for it and the option's, where another argument has that one too
};

/// How an answer is followed up.
enum class Paging : std::uint8_t {
  none,
  all,     ///< ask on until the last page is there, unless --limit or --after was given
  notice,  ///< show one page, and say on stderr how to get the next
  output,  ///< as `all`, for raw output
};

struct LiveCommand {
  std::string_view group;
  std::string_view name;        ///< empty: the group's name alone is the command ("status")
  std::string_view summary;
  std::string_view positional;  ///< keys of kArguments separated by blanks; "?" in front: may be left out
  std::string_view options;     ///< the same; "!" in front: must be given
  std::string_view list = {};   ///< the member of the answer that holds rows; empty: shown as a tree
  std::span<const Column> columns = {};
  Paging paging = Paging::none;
};

std::span<const LiveCommand> live_commands();
/// Null where there is none.
const Argument* argument(std::string_view key);

/// Adds the options of `command` to `app`; its callback sets `invocation.run`. Both live until main ends.
void add_live(CLI::App& app, const LiveCommand& command, Invocation& invocation);

}  // namespace postern::posternctl
