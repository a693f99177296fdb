#include "privsep/control/check/check_iprev.h"
#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {

void add_check_iprev(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<check::IprevOptions>();
  add_endpoint(app, "--resolver", options->resolver, "the resolver to ask")->required();
  add_address(app, "--ip", options->client, "the client's address")->required();
  app.callback([&invocation, options] { invocation.run = [options] { return print(check::check_iprev(*options)); }; });
}

}  // namespace postern::posternctl
