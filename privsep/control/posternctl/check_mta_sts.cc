#include "privsep/control/check/check_mta_sts.h"

#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {
namespace {

int run(check::MtaStsOptions& options, const std::string& domain) {
  auto name = check::read_domain(domain);
  if (!name) return complain(name.error().message);
  options.domain = *std::move(name);
  return print(check::check_mta_sts(options));
}

}  // namespace

void add_check_mta_sts(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<check::MtaStsOptions>();
  const auto domain = std::make_shared<std::string>();
  add_endpoint(app, "--resolver", options->resolver, "the resolver to ask")->required();
  app.add_option("--ca-file", options->ca_file, "PEM file of the authorities that may vouch for a policy server")->capture_default_str();
  app.add_option("--port", options->port, "port of policy servers; only tests have another one")->capture_default_str();
  app.add_option("domain", *domain, "the domain whose policy is looked at")->required();
  app.callback([&invocation, options, domain] { invocation.run = [options, domain] { return run(*options, *domain); }; });
}

}  // namespace postern::posternctl
