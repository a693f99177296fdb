#include "listener/context.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "privsep/envelope.h"

namespace postern::listener {

Settings Settings::read(const privsep::Config& config, const std::string& machine_name) {
  Settings out;
  out.host_name = config.text("server.host_name").empty() ? machine_name : config.text("server.host_name");
  out.max_message_size = config.number("smtp.max_message_size");
  out.max_recipients = config.number("smtp.max_recipients");
  out.max_connections = config.number("smtp.max_connections");
  out.max_connections_per_client = config.number("smtp.max_connections_per_client");
  out.memory_budget = config.number("smtp.memory_budget");
  out.max_commands = config.number("smtp.max_commands");
  out.max_errors = config.number("smtp.max_errors");
  out.max_messages = config.number("smtp.max_messages");
  out.max_received = config.number("smtp.max_received");
  out.command_timeout = config.seconds("smtp.command_timeout");
  out.data_timeout = config.seconds("smtp.data_timeout");
  out.transaction_timeout = config.seconds("smtp.transaction_timeout");
  out.bare_newline = config.text("smtp.bare_newline") == "normalize" ? BareNewline::normalize : BareNewline::reject;
  out.banner_delay = config.seconds("smtp.banner_delay");
  for (const std::string& network : config.list("smtp.relay_networks"))
    if (const auto prefix = IpPrefix::parse(network)) out.relay_networks.push_back(*prefix);
  return out;
}

bool Settings::may_relay(const IpAddress& client) const {
  const IpAddress plain = client.unmapped();
  return std::any_of(relay_networks.begin(), relay_networks.end(), [&](const IpPrefix& net) { return net.contains(plain); });
}

namespace {

// The extensions of EHLO (RFC 5321 §4.1.1.1). BINARYMIME is not among them: the spool holds lines.
std::string keyword_lines(const Settings& settings, std::string_view tls_line) {
  std::string out;
  const auto add = [&](const std::string& keyword) { out += "250-" + keyword + "\r\n"; };
  add("PIPELINING");                                                   // RFC 2920
  add("SIZE " + std::to_string(settings.max_message_size));            // RFC 1870
  add("8BITMIME");                                                     // RFC 6152
  add("SMTPUTF8");                                                     // RFC 6531
  add("CHUNKING");                                                     // RFC 3030
  add("DSN");                                                          // RFC 3461
  add("ENHANCEDSTATUSCODES");                                          // RFC 2034
  add("LIMITS RCPTMAX=" + std::to_string(settings.max_recipients) +    // RFC 9422
      " MAILMAX=" + std::to_string(settings.max_messages));
  if (!tls_line.empty()) add(std::string(tls_line));                   // RFC 3207; RFC 8689 §2: REQUIRETLS under TLS only
  return out + "250 HELP\r\n";
}

}  // namespace

void Context::apply(Settings given) {
  settings = std::move(given);
  budget.set_most(settings.memory_budget);
  ehlo_clear = keyword_lines(settings, "");
  ehlo_starttls = keyword_lines(settings, "STARTTLS");
  ehlo_tls = keyword_lines(settings, "REQUIRETLS");
}

std::string make_message_id(crypto::Entropy& entropy) {
  constexpr char kDigits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // 32 of them, without those that look alike
  std::array<std::byte, 10> random{};
  entropy.fill(random);
  std::string out;
  std::uint64_t bits = 0;
  unsigned have = 0;
  for (const std::byte b : random) {
    bits = bits << 8 | static_cast<std::uint64_t>(b);
    for (have += 8; have >= 5; have -= 5) out += kDigits[bits >> (have - 5) & 31];
  }
  return out;
}

}  // namespace postern::listener
