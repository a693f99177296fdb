#include "deliver/remote/route.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "deliver/remote/limits.h"

namespace postern::remote {

using mail::dns::Answer;
using mail::dns::Facts;
using mail::dns::Questions;
using mail::dns::Security;
using mail::dns::Status;
using mail::dns::Type;
using privsep::HostPort;
using privsep::parse_host_port;
using privsep::SmtpReply;

namespace {

using Found = std::variant<Route, Questions, SmtpReply>;

std::uint64_t mixed(std::uint64_t seed, std::string_view name) {  // FNV-1a; only spreads, proves nothing
  std::uint64_t hash = 0xcbf29ce484222325ULL ^ seed;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// What is known of the hosts' addresses.
struct Addresses {
  Questions missing;
  bool failed = false;      // an answer that is no answer: something may be hidden behind it
  std::size_t room = limits::kAddresses;
};

void add_addresses(Host& host, bool ipv6, const Facts& facts, Addresses& all) {
  host.canonical_name = host.name;
  if (const auto address = IpAddress::parse(host.name)) {
    host.addresses.push_back(*address);
    return;
  }
  bool secure = true;
  for (const Type type : {Type::aaaa, Type::a}) {
    if (type == Type::aaaa && !ipv6) continue;
    const Answer* answer = facts.find(host.name, type);
    if (answer == nullptr) {
      all.missing.push_back({host.name, type});
      continue;
    }
    if (answer->status == Status::failure) all.failed = true;
    if (answer->status != Status::found) continue;
    secure = secure && answer->security == Security::secure;
    if (!answer->canonical_name.empty()) host.canonical_name = mail::dns::canonical(answer->canonical_name);
    for (const IpAddress& address : mail::dns::records_of<IpAddress>(*answer)) {
      if (all.room == 0) break;
      --all.room;
      host.addresses.push_back(address);
    }
  }
  host.found_securely = secure && !host.addresses.empty();
}

Found with_addresses(std::vector<Host> hosts, const RouteQuery& query, const Facts& facts, const SmtpReply& if_none) {
  Addresses all;
  for (Host& host : hosts) add_addresses(host, query.ipv6, facts, all);
  if (!all.missing.empty()) return all.missing;
  std::erase_if(hosts, [](const Host& host) { return host.addresses.empty(); });
  if (!hosts.empty()) return Route{std::move(hosts)};
  if (all.failed) return SmtpReply{451, "4.4.3", "the DNS does not tell the address of the server"};
  return if_none;
}

Found by_host(const HostPort& at, std::shared_ptr<const Login> login, const RouteQuery& query, const Facts& facts) {
  Host host;
  host.name = at.host;
  host.port = at.port;
  host.login = std::move(login);
  host.listed_securely = true;
  return with_addresses({std::move(host)}, query, facts, {550, "5.4.4", "the host " + at.host + " has no address"});
}

const StaticRoute* static_route(const RouteQuery& query, std::string_view domain) {
  const StaticRoute* fallback = nullptr;
  for (const StaticRoute& row : query.statics) {
    if (row.domain == domain) return &row;
    if (row.domain == "*") fallback = &row;
  }
  return fallback;
}

/// RFC 5321 §5.1: the least preference first, equal ones in any order; and whoever finds himself listed uses only better ones.
std::vector<mail::dns::Mx> ordered(std::vector<mail::dns::Mx> records, const RouteQuery& query) {
  std::sort(records.begin(), records.end(), [&](const auto& a, const auto& b) {
    return a.preference != b.preference ? a.preference < b.preference : mixed(query.seed, a.exchange) < mixed(query.seed, b.exchange);
  });
  const auto own = std::find_if(records.begin(), records.end(), [&](const auto& r) { return text::iequals(r.exchange, query.own_name); });
  if (own != records.end()) {
    const std::uint16_t limit = own->preference;
    std::erase_if(records, [limit](const auto& r) { return r.preference >= limit; });
  }
  if (records.size() > limits::kMxHosts) records.resize(limits::kMxHosts);
  return records;
}

Found by_mx(const std::string& domain, const RouteQuery& query, const Facts& facts) {
  const Answer* answer = facts.find(domain, Type::mx);
  if (answer == nullptr) return Questions{{domain, Type::mx}};
  if (answer->status == Status::failure) return SmtpReply{451, "4.4.3", "the DNS does not tell where mail for " + domain + " goes"};
  if (answer->status == Status::none && answer->nxdomain) return SmtpReply{550, "5.1.2", "the domain " + domain + " does not exist"};
  const bool secure = answer->security == Security::secure;
  std::vector<Host> hosts;
  const auto add = [&](const std::string& name) {
    hosts.emplace_back();
    hosts.back().name = name;
    hosts.back().port = query.port;
    hosts.back().listed_securely = secure;
  };
  if (answer->status == Status::none) {  // RFC 5321 §5.1: the implicit MX
    add(domain);
    return with_addresses(std::move(hosts), query, facts, {550, "5.1.2", "the domain " + domain + " takes no mail: neither MX nor address"});
  }
  auto records = mail::dns::records_of<mail::dns::Mx>(*answer);
  const bool was_empty = records.empty();
  // RFC 7505 §3: a lone "." says that there is no mail. Beside others it is a mistake, and passed over.
  std::erase_if(records, [](const auto& r) { return r.exchange.empty(); });
  if (records.empty() && !was_empty) return SmtpReply{556, "5.1.10", "the domain " + domain + " takes no mail"};
  records = ordered(std::move(records), query);
  if (records.empty()) return SmtpReply{554, "5.4.6", "mail for " + domain + " would come back to this server"};
  for (const auto& record : records)
    if (mail::dns::is_askable(record.exchange)) add(record.exchange);
  return with_addresses(std::move(hosts), query, facts, {550, "5.4.4", "no mail server of " + domain + " has an address"});
}

}  // namespace

Found find_route(const RouteQuery& query, const Facts& facts) {
  if (query.destination.starts_with('[')) {  // an administrator's "[host]:port", or an address literal
    const auto at = parse_host_port(query.destination, query.port);
    if (!at) return SmtpReply{550, "5.1.2", "not a destination: " + text::printable(query.destination)};
    // user@[192.0.2.1] goes by the smarthost where there is one; a port says that a person chose the way.
    const StaticRoute* row = query.destination.ends_with(']') ? static_route(query, query.destination) : nullptr;
    if (row != nullptr) return by_host({row->host, row->port}, row->login, query, facts);
    return by_host(*at, nullptr, query, facts);
  }
  const std::string domain = mail::dns::canonical(query.destination);
  if (!mail::dns::is_askable(domain)) return SmtpReply{550, "5.1.2", "not a domain: " + text::printable(domain)};
  if (const StaticRoute* row = static_route(query, domain)) return by_host({row->host, row->port}, row->login, query, facts);
  Found found = by_mx(domain, query, facts);
  if (auto* route = std::get_if<Route>(&found)) route->by_mx = true;
  return found;
}

}  // namespace postern::remote
