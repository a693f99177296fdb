#include <CLI/CLI.hpp>
#include <string>

#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {

namespace {

/// The words that may follow where `app` has been chosen: its commands, else its options.
std::string words_of(const CLI::App& app) {
  std::string out;
  for (const CLI::App* below : app.get_subcommands([](const CLI::App*) { return true; })) out += (out.empty() ? "" : " ") + below->get_name();
  if (!out.empty()) return out;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) out += (out.empty() ? "--" : " --") + name;
  return out;
}

/// A case of the script for `app` and for each command below it; commands are two words at most.
void add_cases(const CLI::App& root, std::string& places, std::string& cases) {
  const auto each = [](const CLI::App*) { return true; };
  cases += "    \"\") words=\"" + words_of(root) + "\" ;;\n";
  for (const CLI::App* group : root.get_subcommands(each)) {
    const std::string place = "/" + group->get_name();
    places += (places.empty() ? "" : "|") + place;
    cases += "    " + place + ") words=\"" + words_of(*group) + "\" ;;\n";
    for (const CLI::App* command : group->get_subcommands(each)) {
      places += "|" + place + "/" + command->get_name();
      cases += "    " + place + "/" + command->get_name() + ") words=\"" + words_of(*command) + "\" ;;\n";
    }
  }
}

std::string bash_completion(const CLI::App& root) {
  std::string places, cases;
  add_cases(root, places, cases);
  return "# bash completion of posternctl; made by \"posternctl completion bash\"\n"
         "_posternctl() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" place=\"\" words=\"\" i\n"
         "  COMPREPLY=()\n"
         "  case \"${COMP_WORDS[COMP_CWORD-1]}\" in\n"
         "    --output|--socket) return ;;  # a file: bash's own completion follows\n"
         "  esac\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"$place/${COMP_WORDS[i]}\" in\n"
         "      " + places + ") place=\"$place/${COMP_WORDS[i]}\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$place\" in\n" + cases +
         "  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -o default -F _posternctl posternctl\n";
}

}  // namespace

void add_completion_bash(CLI::App& app, Invocation& invocation) {
  app.callback([&app, &invocation] {
    invocation.run = [&app] {
      const CLI::App* root = &app;
      while (root->get_parent() != nullptr) root = root->get_parent();
      return print_text(bash_completion(*root));
    };
  });
}

}  // namespace postern::posternctl
