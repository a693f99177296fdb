#include "privsep/control/check/check_dane.h"

#include <fstream>
#include <sstream>

#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {
namespace {

struct Given {
  check::DaneOptions options;
  std::string target;
  std::string anchor_file;
};

int run(Given& given) {
  if (!given.anchor_file.empty()) {
    std::ifstream file(given.anchor_file);
    std::ostringstream text;
    if (!file || !(text << file.rdbuf())) return complain("cannot read the trust anchor " + given.anchor_file);
    given.options.trust_anchor = text.str();
  }
  if (const auto read = check::read_target(given.target, given.options); !read) return complain(read.error().message);
  return print(check::check_dane(given.options));
}

}  // namespace

void add_check_dane(CLI::App& app, Invocation& invocation) {
  const auto given = std::make_shared<Given>();
  add_endpoint(app, "--resolver", given->options.resolver, "the resolver to ask")->required();
  app.add_option("--trust-anchor", given->anchor_file, "validate here, from the DS or DNSKEY records in this file");
  app.add_option("HOST[:PORT]", given->target, "the server; port 25 unless given")->required();
  app.callback([&invocation, given] { invocation.run = [given] { return run(*given); }; });
}

}  // namespace postern::posternctl
