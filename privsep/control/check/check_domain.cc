#include "privsep/control/check/check_domain.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "mail/auth/bimi.h"
#include "mail/auth/dmarc_record.h"
#include "mail/auth/iprev.h"
#include "mail/auth/spf_record.h"
#include "mail/policy/dane.h"
#include "mail/policy/mta_sts.h"
#include "mail/policy/tlsa_lookup.h"
#include "mail/policy/tlsrpt_record.h"
#include "privsep/control/check/check_mta_sts.h"
#include "privsep/control/check/json.h"
#include "privsep/control/check/loop_answers.h"

namespace postern::check {
namespace {

using mail::dns::Answer;
using mail::dns::Facts;
using mail::dns::Status;
using mail::dns::Type;
using nlohmann::json;

constexpr std::chrono::seconds kAllTime{50};
constexpr std::chrono::seconds kTryTime{3};
constexpr std::size_t kServers = 10;    // looked at of one domain
constexpr std::size_t kAddresses = 20;  // of all of them
constexpr std::uint16_t kSmtp = 25;

enum class Mark : std::uint8_t { ok = 1, warn = 2, fail = 3 };
std::string_view name_of(Mark mark) { return mark == Mark::ok ? "ok" : mark == Mark::warn ? "warn" : "fail"; }

struct Finding {
  Mark mark = Mark::ok;
  std::vector<std::string> found = {};
  std::string reason = {};
  std::string advice = {};  ///< what would be right; empty where nothing is wrong
};

/// Marks down to `mark`, never up; the first reason and advice of that mark stay.
void note(Finding& finding, Mark mark, std::string reason, std::string advice) {
  if (mark <= finding.mark && !finding.reason.empty()) return;
  finding.mark = std::max(finding.mark, mark);
  finding.reason = std::move(reason);
  finding.advice = std::move(advice);
}

/// What all checks look at.
struct Look {
  const DomainOptions& options;
  io::Loop& loop;
  LoopAnswers& answers;
  SteadyTime until;
  Facts facts = {};
  std::vector<std::string> servers = {};    ///< of the MX records
  std::vector<IpAddress> addresses = {};    ///< of the servers

  const Answer& ask(const std::string& name, Type type) {
    if (facts.find(name, type) == nullptr) answers.answer({{name, type}}, facts, until);
    return *facts.find(name, type);
  }
  std::vector<std::string> texts(const std::string& name) {
    std::vector<std::string> out;
    for (const auto& record : mail::dns::records_of<mail::dns::Text>(ask(name, Type::txt))) out.push_back(record.value);
    return out;
  }
  bool silent(const std::string& name, Type type) { return ask(name, type).status == Status::failure; }
};

Finding silent(const std::string& name) { return {Mark::fail, {}, "the DNS does not tell about " + name, "name servers that answer"}; }

Finding look_at_mx(Look& look) {
  const std::string& domain = look.options.domain;
  const Answer& answer = look.ask(domain, Type::mx);
  Finding out;
  if (answer.status == Status::failure) return silent(domain);
  if (answer.status == Status::none && answer.nxdomain) return {Mark::fail, {}, "the domain does not exist", "register it, and name servers for it"};
  if (answer.status == Status::none) return {Mark::fail, {}, "no MX record", domain + ". MX 10 mail." + domain + "."};
  auto records = mail::dns::records_of<mail::dns::Mx>(answer);
  std::sort(records.begin(), records.end());
  for (const auto& mx : records) {
    out.found.push_back(std::to_string(mx.preference) + " " + (mx.exchange.empty() ? "." : mx.exchange));
    if (mx.exchange.empty()) {
      note(out, Mark::warn, "the null MX: the domain takes no mail (RFC 7505)", "another MX, where it shall take mail");
    } else if (IpAddress::parse(mx.exchange)) {
      note(out, Mark::fail, "an MX that is an address", "an MX names a host");  // RFC 5321 §5.1
    } else if (look.servers.size() < kServers) {
      look.servers.push_back(mx.exchange);
    }
  }
  return out;
}

Finding look_at_addresses(Look& look) {
  Finding out;
  bool any_v6 = false;
  for (const std::string& server : look.servers) {
    const std::size_t before = look.addresses.size();
    for (const Type type : {Type::a, Type::aaaa}) {
      const Answer& answer = look.ask(server, type);
      if (answer.status == Status::failure) note(out, Mark::fail, "the DNS does not tell the addresses of " + server, "name servers that answer");
      if (answer.status == Status::found && !answer.canonical_name.empty() && mail::dns::canonical(answer.canonical_name) != server)  // RFC 2181 §10.3
        note(out, Mark::warn, "the MX " + server + " is an alias of " + answer.canonical_name, "an MX that has addresses itself");
      for (const IpAddress& address : mail::dns::records_of<IpAddress>(answer)) {
        out.found.push_back(server + " " + address.to_string());
        any_v6 = any_v6 || address.is_v6();
        if (address.is_special()) note(out, Mark::fail, "the internet cannot reach " + address.to_string(), "a public address for " + server);
        if (look.addresses.size() < kAddresses) look.addresses.push_back(address);
      }
    }
    if (look.addresses.size() == before) note(out, Mark::fail, "no address: " + server, "A and AAAA records for " + server);
  }
  if (look.servers.empty()) return {Mark::fail, {}, "no mail server whose addresses could be looked up", "an MX record first"};
  if (out.mark == Mark::ok && !any_v6) out.reason = "no mail server has an IPv6 address";
  return out;
}

Finding look_at_ptr(Look& look) {
  Finding out;
  for (const IpAddress& address : look.addresses) {
    const auto judge = [&](const Facts& known) { return mail::iprev::check(address, known); };
    const auto verdict = drive(judge, look.facts, look.answers.until(look.until));
    out.found.push_back(address.to_string() + " " + (verdict.name.empty() ? std::string(mail::iprev::name_of(verdict.result)) : verdict.name));
    if (verdict.result == mail::iprev::Outcome::pass) continue;
    const Mark mark = verdict.result == mail::iprev::Outcome::temperror ? Mark::warn : Mark::fail;
    note(out, mark, address.to_string() + ": " + verdict.reason, "a PTR record for " + address.to_string() + " whose name has that address; many servers refuse mail without");
  }
  if (look.addresses.empty()) return {Mark::fail, {}, "no address to look at", "addresses of the mail servers first"};
  return out;
}

Finding look_at_spf(Look& look) {
  const std::string& domain = look.options.domain;
  const std::string right = "v=spf1 mx -all";
  if (look.silent(domain, Type::txt)) return silent(domain);
  Finding out;
  for (const std::string& text : look.texts(domain))
    if (mail::spf::is_record(text)) out.found.push_back(text);
  if (out.found.empty()) return {Mark::fail, {}, "no SPF record", domain + ". TXT \"" + right + "\""};
  if (out.found.size() > 1) return {Mark::fail, out.found, "more than one SPF record: none counts (RFC 7208 §4.5)", "one record"};
  const auto record = mail::spf::parse_record(out.found.front());
  if (!record) return {Mark::fail, out.found, record.error().message, right};
  const auto all = std::find_if(record->directives.begin(), record->directives.end(), [](const auto& d) { return d.mechanism == mail::spf::Mechanism::all; });
  if (all == record->directives.end()) {
    if (!record->redirect) note(out, Mark::warn, "nothing is said of all other servers", "\"-all\" at the end");
  } else if (all->qualifier == mail::spf::Qualifier::pass) {
    note(out, Mark::fail, "\"+all\": everybody may send as this domain", "\"-all\" at the end");
  } else if (all->qualifier == mail::spf::Qualifier::neutral) {
    note(out, Mark::warn, "\"?all\" says nothing of all other servers", "\"-all\" at the end");
  }
  return out;
}

Finding look_at_dmarc(Look& look) {
  const std::string name = "_dmarc." + look.options.domain;
  const std::string right = name + ". TXT \"v=DMARC1; p=quarantine; rua=mailto:dmarc@" + look.options.domain + "\"";
  if (look.silent(name, Type::txt)) return silent(name);
  const auto found = mail::dmarc::read_answer(look.ask(name, Type::txt));
  Finding out;
  if (found.found == mail::dmarc::Found::several) return {Mark::fail, look.texts(name), "more than one DMARC record: none counts", "one record"};
  if (found.found != mail::dmarc::Found::one) return {Mark::fail, {}, "no DMARC record", right};
  out.found.push_back(found.text);
  if (found.record.policy_unreadable) note(out, Mark::fail, "a policy that is none of none, quarantine, reject", right);
  if (!found.record.p_said) note(out, Mark::fail, "no p= in the record", right);
  if (found.record.p == mail::dmarc::Policy::none) note(out, Mark::warn, "p=none: forged mail is delivered", "p=quarantine or p=reject, once reports show that all own mail passes");
  if (found.record.rua.empty()) note(out, Mark::warn, "no rua=: nobody hears of forged mail", "rua=mailto:dmarc@" + look.options.domain);
  return out;
}

Finding look_at_mta_sts(Look& look) {
  MtaStsOptions options;
  options.domain = look.options.domain;
  options.ca_file = look.options.ca_file;
  options.port = look.options.policy_port;
  const json judged = judge_mta_sts({look.loop, look.answers, look.until}, options);
  Finding out;
  for (const auto& text : judged["record"]["found"]) out.found.push_back(text.get<std::string>());
  if (judged["policy"].is_object()) out.found.push_back("mode: " + judged["policy"]["mode"].get<std::string>());
  const std::string result = judged["result"], reason = judged["reason"];
  const std::string right = "a policy at " + judged["url"].get<std::string>() + " that names every MX, and " + judged["record"]["name"].get<std::string>() + ". TXT \"v=STSv1; id=…;\"";
  if (result == "none") note(out, Mark::warn, "no MTA-STS: TLS can be stripped on the way here", right);
  if (result == "fail" || result == "temperror") note(out, Mark::fail, reason, right);
  if (result == "pass" && judged["policy"]["mode"] != "enforce") note(out, Mark::warn, "the policy does not ask for protection yet", "mode: enforce");
  return out;
}

Finding look_at_tlsrpt(Look& look) {
  const std::string name = mail::tlsrpt::record_name(look.options.domain);
  const std::string right = name + ". TXT \"v=TLSRPTv1; rua=mailto:tls-reports@" + look.options.domain + "\"";
  if (look.silent(name, Type::txt)) return silent(name);
  const auto texts = look.texts(name);
  const auto record = mail::tlsrpt::read_record(texts);
  if (record) return {Mark::ok, texts};
  return {record.error().code == "tlsrpt.absent" ? Mark::warn : Mark::fail, texts, record.error().message, right};
}

Finding look_at_dane(Look& look) {
  const bool believed = look.options.resolver.address.is_loopback();
  Finding out;
  if (look.ask(look.options.domain, Type::mx).security != mail::dns::Security::secure)
    note(out, Mark::warn, believed ? "the MX records are not proved by DNSSEC: nobody looks at TLSA records (RFC 7672 §2.2.1)" : "the resolver is not on this machine: its word proves nothing",
         believed ? "a signed zone" : "a validating resolver on loopback");
  for (const std::string& server : look.servers) {
    const auto find = [&](const Facts& known) { return mail::dane::find_tlsa(server, kSmtp, known); };
    const auto tlsa = drive(find, look.facts, look.answers.until(look.until));
    for (const auto& record : tlsa.records) out.found.push_back(mail::dane::tlsa_name(tlsa.base, kSmtp) + " " + mail::dane::to_string(record));
    const std::string right = mail::dane::tlsa_name(server, kSmtp) + ". TLSA 3 1 1 (SHA-256 of the server's public key)";
    if (tlsa.presence == mail::dane::Presence::unknown) note(out, Mark::fail, server + ": " + tlsa.reason + "; mail to it waits", "a zone whose signatures are right");
    if (tlsa.presence == mail::dane::Presence::none) note(out, Mark::warn, "no TLSA records protect " + server, right);
    if (tlsa.presence == mail::dane::Presence::records && mail::dane::select(tlsa.records).empty()) note(out, Mark::fail, server + ": no TLSA record that can be used", right);
  }
  if (look.servers.empty()) return {Mark::warn, {}, "no mail server to look at", "an MX record first"};
  return out;
}

Finding look_at_bimi(Look& look) {
  const std::string name = "default._bimi." + look.options.domain;
  if (look.silent(name, Type::txt)) return silent(name);
  Finding out;
  out.found = look.texts(name);
  if (out.found.empty()) return {Mark::ok, {}, "no BIMI record, and none is needed", ""};
  const bool good = std::any_of(out.found.begin(), out.found.end(), [](const std::string& text) { return mail::bimi::parse_record(text).has_value(); });
  if (!good) note(out, Mark::warn, "not a BIMI record", "v=BIMI1; l=https://…/logo.svg; a=https://…/certificate.pem");
  return out;
}

// In this order: later ones look at what earlier ones found.
constexpr std::pair<std::string_view, Finding (*)(Look&)> kChecks[] = {
    {"mx", look_at_mx},       {"addresses", look_at_addresses}, {"ptr", look_at_ptr},   {"spf", look_at_spf},   {"dmarc", look_at_dmarc},
    {"mta-sts", look_at_mta_sts}, {"tls-rpt", look_at_tlsrpt},  {"dane", look_at_dane}, {"bimi", look_at_bimi},
};

}  // namespace

Result<std::string> check_domain(const DomainOptions& options) {
  io::Loop loop;
  TRY_ASSIGN(auto answers, LoopAnswers::create(loop, {.upstreams = {options.resolver}, .timeout = kTryTime, .tries = 2, .trust_ad = options.resolver.address.is_loopback()}));
  Look look{options, loop, answers, loop.steady() + kAllTime};
  json out = {{"domain", options.domain}, {"result", "ok"}, {"checks", json::array()}};
  Mark worst = Mark::ok;
  for (const auto& [name, check] : kChecks) {
    const Finding finding = check(look);
    worst = std::max(worst, finding.mark);
    out["checks"].push_back({{"name", name}, {"result", name_of(finding.mark)}, {"found", finding.found}, {"reason", text::printable(finding.reason, 512)}, {"advice", finding.advice}});
  }
  out["result"] = name_of(worst);
  return one_line(out);
}

}  // namespace postern::check
