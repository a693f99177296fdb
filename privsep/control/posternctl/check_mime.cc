#include "privsep/control/check/check_mime.h"

#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {

void add_check_mime(CLI::App& app, Invocation& invocation) {
  const auto file = std::make_shared<std::string>();
  app.add_option("FILE", *file, "the message")->required();
  app.callback([&invocation, file] { invocation.run = [file] { return print(check::check_mime(*file)); }; });
}

}  // namespace postern::posternctl
