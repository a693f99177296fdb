#include "mail/policy/tlsa_lookup.h"

#include "mail/policy/dane.h"

namespace postern::mail::dane {
namespace {

using dns::Answer;
using dns::Facts;
using dns::Questions;
using dns::Security;
using dns::Status;
using dns::Type;
using Outcome = std::variant<ServerTlsa, Questions>;

std::string why(const Answer& answer, std::string_view what) {
  return std::string(what) + (answer.security == Security::bogus ? ": the signatures do not hold (bogus)" : ": the DNS gives no answer");
}

ServerTlsa with(ServerTlsa found, Presence presence, std::string reason) {
  found.presence = presence;
  found.reason = std::move(reason);
  return found;
}

// What decides of two answers: the one with addresses; where none has any, the one that proves less.
const Answer& decisive(const Answer& a, const Answer& aaaa) {
  if (a.status != aaaa.status) return a.status == Status::found ? a : aaaa;
  return a.security == Security::secure ? aaaa : a;
}

// RFC 7672 §2.2.2: the names below which records may stand, best first. Empty where nothing about the host is proved.
std::variant<std::vector<std::string>, Questions, ServerTlsa> bases(const std::string& host, const Answer& address, const Facts& facts,
                                                                    const ServerTlsa& found) {
  const bool alias = !address.canonical_name.empty() && address.canonical_name != host;
  if (address.security == Security::secure) return alias ? std::vector{address.canonical_name, host} : std::vector{host};
  if (!alias) return std::vector<std::string>{};
  // The chain leaves the signed zones somewhere. Where the first step is proved, the host's own zone is signed (§2.1.3).
  const Answer* cname = facts.find(host, Type::cname);
  if (cname == nullptr) return Questions{{host, Type::cname}};
  if (cname->status == Status::failure) return with(found, Presence::unknown, why(*cname, "CNAME of " + host));
  if (cname->security == Security::secure) return std::vector{host};
  return std::vector<std::string>{};
}

Outcome records_below(const std::vector<std::string>& names, std::uint16_t port, const Facts& facts, ServerTlsa found) {
  for (const std::string& base : names) {
    const std::string name = tlsa_name(base, port);
    const Answer* answer = facts.find(name, Type::tlsa);
    if (answer == nullptr) return Questions{{name, Type::tlsa}};
    // RFC 7672 §2.1.1: an error is not an absence; an attacker could cause it.
    if (answer->status == Status::failure) return with(std::move(found), Presence::unknown, why(*answer, "TLSA of " + name));
    if (answer->status != Status::found || answer->security != Security::secure) continue;
    found.base = base;
    found.records = dns::records_of<dns::Tlsa>(*answer);
    return with(std::move(found), Presence::records, "TLSA records at " + name);
  }
  return with(std::move(found), Presence::none, "no TLSA record that DNSSEC proves");
}

}  // namespace

Outcome find_tlsa(std::string_view host_view, std::uint16_t port, const Facts& facts) {
  const std::string host(host_view);
  ServerTlsa found{.base = host};
  const Answer* a = facts.find(host, Type::a);
  const Answer* aaaa = facts.find(host, Type::aaaa);
  if (a == nullptr || aaaa == nullptr) {
    Questions missing;
    if (a == nullptr) missing.push_back({host, Type::a});
    if (aaaa == nullptr) missing.push_back({host, Type::aaaa});
    return missing;
  }
  for (const Answer* answer : {a, aaaa})
    for (const IpAddress& address : dns::records_of<IpAddress>(*answer)) found.addresses.push_back(address);
  // RFC 7672 §2.1.2: without a trustworthy address there is no server to deliver to now. One family is enough (RFC 5321 §5.1).
  for (const Answer* answer : {a, aaaa})
    if (answer->status == Status::failure && (found.addresses.empty() || answer->security == Security::bogus))
      return with(std::move(found), Presence::unknown, why(*answer, "addresses of " + host));
  const Answer& address = decisive(*a, *aaaa);
  auto names = bases(host, address, facts, found);
  if (auto* questions = std::get_if<Questions>(&names)) return std::move(*questions);
  if (auto* unknown = std::get_if<ServerTlsa>(&names)) return std::move(*unknown);
  const auto& list = std::get<std::vector<std::string>>(names);
  if (list.empty()) return with(std::move(found), Presence::none, "DNSSEC proves nothing about " + host);
  return records_below(list, port, facts, std::move(found));
}

}  // namespace postern::mail::dane
