#include "privsep/control/check/check_spf.h"

#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {

void add_check_spf(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<check::SpfOptions>();
  add_endpoint(app, "--resolver", options->resolver, "the resolver to ask")->required();
  add_address(app, "--ip", options->client, "the client's address")->required();
  app.add_option("--helo", options->helo, "what the client said in HELO or EHLO")->required();
  app.add_option("--mail-from", options->mail_from, "the reverse-path; '' is the null sender")->required();
  app.callback([&invocation, options] { invocation.run = [options] { return print(check::check_spf(*options)); }; });
}

}  // namespace postern::posternctl
