/// What posternctl can do, as a table. A new command is a file with a function that adds its options, and a row in commands.cc.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace postern::posternctl {

/// What a read command line left to do.
struct Invocation {
  bool json = false;         ///< --json was given; `check` prints JSON always
  std::function<int()> run;  ///< set by the chosen command; returns the exit status
};

struct Command {
  std::string_view group;    ///< "check" of `posternctl check spf`; empty: none
  std::string_view name;
  std::string_view summary;  ///< for --help, one line
  /// Adds the command's options to `app` and lets its callback set `invocation.run`. `invocation` lives until main ends.
  void (*add)(CLI::App& app, Invocation& invocation);
};

std::span<const Command> commands();

/// Exit statuses of every command; a command may have more, its manual page says which.
inline constexpr int kOk = 0;
inline constexpr int kError = 2;

/// Prints text on stdout, or the error as one line on stderr; returns the exit status.
int print(const Result<std::string>& text);
/// Prints text as it is; returns the exit status.
int print_text(std::string_view text);
/// "posternctl: message" as one line on stderr, foreign bytes escaped; returns kError.
int complain(std::string_view message);

}  // namespace postern::posternctl
