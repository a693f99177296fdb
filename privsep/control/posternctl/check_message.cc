#include "privsep/control/check/check_message.h"

#include "base/text.h"
#include "privsep/control/posternctl/cli_types.h"
#include "privsep/control/posternctl/commands.h"

namespace postern::posternctl {
namespace {

std::optional<WallTime> parse_time(const std::string& text) {
  constexpr std::uint64_t kMost = 253'402'300'799;  // the end of the year 9999
  const auto seconds = text::parse_uint(text, kMost);
  if (!seconds) return std::nullopt;
  return WallTime{std::chrono::seconds{*seconds}};
}

std::optional<mail::dmarc::Standard> parse_standard(const std::string& text) {
  if (text == "rfc9989") return mail::dmarc::Standard::rfc9989;
  if (text == "rfc7489") return mail::dmarc::Standard::rfc7489;
  return std::nullopt;
}

}  // namespace

void add_check_message(CLI::App& app, Invocation& invocation) {
  const auto options = std::make_shared<check::MessageOptions>();
  add_endpoint(app, "--resolver", options->resolver, "the resolver to ask")->required();
  add_address(app, "--ip", options->client, "the client's address")->required();
  app.add_option("--helo", options->helo, "what the client said in HELO or EHLO")->required();
  app.add_option("--mail-from", options->mail_from, "the reverse-path; '' is the null sender")->required();
  app.add_option("--authserv-id", options->authserv_id, "our name in Authentication-Results")->required();
  add_parsed(app, "--at", options->at, parse_time, "UNIX_TIME", "judge as of this time");
  add_parsed(app, "--dmarc-standard", options->standard, parse_standard, "rfc9989|rfc7489", "the rules of DMARC");
  app.add_option("FILE", options->file, "the message")->required();
  app.callback([&invocation, options] { invocation.run = [options] { return print(check::check_message(*options)); }; });
}

}  // namespace postern::posternctl
