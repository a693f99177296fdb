#include "privsep/control/check/check_domain.h"

#include "privsep/control/check/check_mta_sts.h"
#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {
namespace {

int run(check::DomainOptions& options, const std::string& domain) {
  auto name = check::read_domain(domain);
  if (!name) return complain(name.error().message);
  options.domain = *std::move(name);
  return print(check::check_domain(options));
}

}  // namespace

void add_check_domain(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<check::DomainOptions>();
  const auto domain = std::make_shared<std::string>();
  add_endpoint(app, "--resolver", options->resolver, "the resolver to ask; 127.0.0.1:53 unless given");
  app.add_option("--ca-file", options->ca_file, "PEM file of the authorities that may vouch for a policy server")->capture_default_str();
  app.add_option("--policy-port", options->policy_port, "port of MTA-STS policy servers; only tests have another one")->capture_default_str();
  app.add_option("domain", *domain, "the mail domain to look at")->required();
  app.callback([&invocation, options, domain] { invocation.run = [options, domain] { return run(*options, *domain); }; });
}

}  // namespace postern::posternctl
