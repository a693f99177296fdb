#include "privsep/control/check/check_dane.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "base/text.h"
#include "io/x509.h"
#include "mail/idn.h"
#include "mail/policy/dane.h"
#include "mail/policy/tlsa_lookup.h"
#include "privsep/control/check/json.h"
#include "privsep/control/check/loop_answers.h"
#include "privsep/control/check/starttls_probe.h"

namespace postern::check {
namespace {

using mail::dane::Presence;
using mail::dane::ServerTlsa;
using nlohmann::json;

constexpr std::chrono::seconds kDnsTime{14};     // together less than the 30 seconds of the contract
constexpr std::chrono::seconds kServerTime{12};  // for all addresses
constexpr std::chrono::seconds kAddressTime{6};  // for one of them
constexpr std::chrono::seconds kTryTime{3};      // for one try of a question

json to_json(const mail::dns::Tlsa& record) {
  return {{"usage", record.usage}, {"selector", record.selector}, {"matching", record.matching}, {"data", crypto::hex(record.data)}};
}

std::string day_of(WallTime at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(at));
  std::tm parts{};
  std::array<char, 32> text{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "";
  return std::string(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

json to_json(const io::Chain& chain) {
  json out = json::array();
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const auto one = chain.describe(i);
    out.push_back({{"subject", one.subject},
                   {"issuer", one.issuer},
                   {"names", one.names},
                   {"not_before", day_of(one.not_before)},
                   {"not_after", day_of(one.not_after)},
                   {"sha256", one.sha256_certificate},
                   {"sha256_spki", one.sha256_spki}});
  }
  return out;
}

void conclude(json& out, std::string_view result, std::string reason) {
  out["result"] = result;
  out["reason"] = std::move(reason);
}

std::string own_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  const std::string_view text(name.data());
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '.';
  });
  return plain ? std::string(text) : "localhost";
}

// The first address whose server says anything about TLS.
ProbeResult probe_server(io::Loop& loop, const DaneOptions& options, const ServerTlsa& server, json& out) {
  ProbeResult result{.end = ProbeEnd::unreachable, .detail = "the host has no address"};
  const SteadyTime deadline = loop.steady() + kServerTime;
  for (const IpAddress& address : server.addresses) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - loop.steady());
    if (left.count() <= 0) break;
    const io::Endpoint to{address, options.port};
    out["server"] = to.to_string();
    result = probe_starttls(loop, {.to = to,
                                   .server_name = server.base,
                                   .own_name = own_name(),
                                   .time = std::min<std::chrono::milliseconds>(left, kAddressTime)});
    if (result.end != ProbeEnd::unreachable) break;
  }
  return result;
}

void judge_chain(const DaneOptions& options, const ServerTlsa& server, const io::Chain& chain, WallTime now, json& out) {
  out["chain"] = to_json(chain);
  // RFC 7672 §3.2.2: usage 2 is checked against the base domain and the name the mail goes by.
  const auto judgement = io::dane::judge(chain, server.records, {server.base, options.host}, now);
  switch (judgement.verdict) {
    case io::dane::Verdict::match:
      out["matched"] = to_json(judgement.matched);
      out["matched"]["depth"] = judgement.depth;
      out["matched"]["anchor_from_record"] = judgement.from_record;
      return conclude(out, "pass", judgement.reason);
    case io::dane::Verdict::mismatch: return conclude(out, "fail", judgement.reason);
    case io::dane::Verdict::unusable: return conclude(out, "unusable", judgement.reason);
  }
}

void judge_server(io::Loop& loop, const DaneOptions& options, const ServerTlsa& server, json& out) {
  const bool usable = !mail::dane::select(server.records).empty();
  const ProbeResult probe = probe_server(loop, options, server, out);
  switch (probe.end) {
    case ProbeEnd::unreachable:
      // That no record can be used is known without the server.
      return usable ? conclude(out, "temperror", probe.detail) : conclude(out, "unusable", "no usable TLSA record; " + probe.detail);
    case ProbeEnd::no_starttls:  // RFC 7672 §2.2: records of any kind make TLS a must
    case ProbeEnd::handshake: return conclude(out, "fail", probe.detail);
    case ProbeEnd::tls: break;
  }
  out["tls"] = {{"version", probe.version}, {"cipher", probe.cipher}};
  const auto chain = io::Chain::parse(probe.chain_pem);
  if (!chain) return conclude(out, "fail", chain.error().message);
  judge_chain(options, server, *chain, loop.now(), out);
}

}  // namespace

Result<void> read_target(std::string_view text, DaneOptions& options) {
  const auto colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    const auto port = text::parse_uint(text.substr(colon + 1), 65535);
    if (!port || *port == 0) return failure("dane.usage", "expected HOST or HOST:PORT");
    options.port = static_cast<std::uint16_t>(*port);
    text = text.substr(0, colon);
  }
  if (IpAddress::parse(text)) return failure("dane.usage", "DANE protects names; an address has no TLSA records");
  auto name = mail::idn::to_a_label(text);
  if (!name || !mail::dns::is_askable(*name)) return failure("dane.usage", "not a host name: " + text::printable(text));
  options.host = mail::dns::canonical(*name);
  return {};
}

Result<std::string> check_dane(const DaneOptions& options) {
  io::Loop loop;
  const bool own_validation = !options.trust_anchor.empty();
  const bool believed = !own_validation && options.resolver.address.is_loopback();
  TRY_ASSIGN(auto answers, LoopAnswers::create(loop, {.upstreams = {options.resolver},
                                                      .timeout = kTryTime,
                                                      .tries = 2,
                                                      .trust_ad = believed,
                                                      .trust_anchor = options.trust_anchor}));
  mail::dns::Facts facts;
  const auto find = [&](const mail::dns::Facts& known) { return mail::dane::find_tlsa(options.host, options.port, known); };
  const ServerTlsa server = drive(find, facts, answers.until(loop.steady() + kDnsTime));

  json out = {{"result", "temperror"}, {"tlsa", json::array()}, {"chain", json::array()}, {"matched", nullptr},
              {"reason", ""},          {"host", options.host},  {"port", options.port},   {"base", server.base}};
  for (const auto& record : server.records) out["tlsa"].push_back(to_json(record));
  const bool nobody_proves = !own_validation && !believed;
  switch (server.presence) {
    case Presence::unknown: conclude(out, "temperror", server.reason); break;
    case Presence::none: conclude(out, "none", nobody_proves ? "the resolver is not on loopback: its word proves nothing" : server.reason); break;
    case Presence::records: judge_server(loop, options, server, out); break;
  }
  return one_line(out);
}

}  // namespace postern::check
