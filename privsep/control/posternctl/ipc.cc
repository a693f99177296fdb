#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "privsep/control/posternctl/commands.h"
#include "privsep/control/posternctl/ipc_map.h"

namespace postern::posternctl {

void add_ipc(CLI::App& app, Invocation& invocation) {
  const auto markdown = std::make_shared<bool>(false);
  app.add_flag("--markdown", *markdown, "as the page of the manual");
  app.callback([&invocation, markdown] {
    invocation.run = [&invocation, markdown] {
      return print_text(*markdown ? ipc_markdown() : invocation.json ? ipc_json() + "\n" : ipc_table());
    };
  });
}

}  // namespace postern::posternctl
