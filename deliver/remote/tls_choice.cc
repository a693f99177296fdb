#include "deliver/remote/tls_choice.h"

#include <algorithm>
#include <optional>

#include "base/crypto.h"
#include "mail/policy/dane.h"
#include "mail/policy/tlsa_lookup.h"

namespace postern::remote {

using mail::dns::Facts;
using mail::dns::Questions;
using privsep::SmtpReply;

namespace {

TlsLevel level_of(TlsRule rule) {
  switch (rule) {
    case TlsRule::opportunistic: return TlsLevel::opportunistic;
    case TlsRule::required: return TlsLevel::required;
    case TlsRule::verified: return TlsLevel::verified;
    case TlsRule::dane_only: return TlsLevel::dane;
  }
  return TlsLevel::verified;
}

}  // namespace

std::string_view name_of(TlsLevel level) {
  switch (level) {
    case TlsLevel::clear: return "clear";
    case TlsLevel::opportunistic: return "opportunistic";
    case TlsLevel::required: return "required";
    case TlsLevel::verified: return "verified";
    case TlsLevel::dane: return "dane";
  }
  return "";
}

std::string TlsPlan::key() const {
  std::string key(name_of(level));
  if (require_tls) key += "+requiretls";
  if (authenticate) key += "+authenticate";
  if (rehearse) key += "+rehearse";
  key += ' ';
  key += server_name;
  for (const auto& record : records) key += ' ' + mail::dane::to_string(record);
  for (const auto& name : names) key += ' ' + name;
  return key;
}

namespace {

using Choice = std::variant<TlsPlan, Questions, NeedsSts, HostRefused>;

/// Whether what the destination publishes (DANE, MTA-STS) is left aside: by the administrator's exception, or because the sender would rather have
/// it delivered (RFC 8689 §4.2.2). REQUIRETLS and "dane-only" are stronger words. The configured level holds all the same.
bool ignores_policies(const TlsQuery& query) {
  return !query.require_tls && query.demand.rule != TlsRule::dane_only && (query.tls_optional || !query.demand.exception.empty());
}

/// Why TLSA records are not even looked for; empty: they are.
std::string_view no_dane(const TlsQuery& query) {
  if (ignores_policies(query)) return query.tls_optional ? "not asked: TLS-Required: No" : "not asked: an exception is in force";
  if (IpAddress::parse(query.host.name)) return "not asked: an address has no records";
  if (query.dnssec == DnssecTrust::off) return "off: the resolver proves nothing";
  if (query.dnssec == DnssecTrust::on && !query.host.listed_securely) return "not asked: DNSSEC does not prove the MX";  // RFC 7672 §2.2.1
  return {};
}

/// RFC 7672 §2.2: what the proved records ask for. Records none of which can be used still promise TLS.
void take_records(TlsPlan& plan, mail::dane::ServerTlsa found, std::string_view domain) {
  plan.records = mail::dane::select(found.records);
  plan.server_name = found.base;
  plan.names = {std::move(found.base), std::string(domain)};
  if (!plan.records.empty()) {
    plan.level = TlsLevel::dane;
    plan.dane = "records";
    return;
  }
  plan.dane = "unusable";
  plan.level = std::max(plan.level, TlsLevel::required);
}

/// Looks for TLSA records and puts them into `plan`. Empty: done.
std::optional<Choice> apply_dane(const TlsQuery& query, const Facts& facts, TlsPlan& plan) {
  plan.dane = no_dane(query);
  // Before the probe nobody can tell a host without records from one whose records we cannot see.
  if (plan.dane.empty() && query.dnssec == DnssecTrust::not_known)
    return HostRefused{{451, "4.4.3", "whether DNSSEC answers can be trusted is not known yet"}, "", name_of(TlsLevel::dane), "unknown: not probed yet"};
  if (plan.dane.empty()) {
    auto found = mail::dane::find_tlsa(query.host.name, query.host.port, facts);
    if (auto* questions = std::get_if<Questions>(&found)) return std::move(*questions);
    auto& tlsa = std::get<mail::dane::ServerTlsa>(found);
    // RFC 7672 §2.1.1: bogus, SERVFAIL and silence are not absence; the host is passed over.
    if (tlsa.presence == mail::dane::Presence::unknown)
      return HostRefused{{451, "4.7.5", "DANE: " + tlsa.reason}, "tlsa dnssec-invalid", name_of(TlsLevel::dane), "unknown: " + tlsa.reason};
    plan.dane = tlsa.reason;
    if (tlsa.presence == mail::dane::Presence::records) take_records(plan, std::move(tlsa), query.domain);
  }
  if (query.demand.rule == TlsRule::dane_only && plan.records.empty())
    return HostRefused{{451, "4.7.5", "the configuration wants DANE, and " + query.host.name + " has no TLSA record that can be used (" + plan.dane + ")"},
                       "tlsa dane-required", name_of(TlsLevel::dane), plan.dane};
  return std::nullopt;
}

/// RFC 8461 §5: in "enforce" an unlisted host is not used, a listed one must prove its name.
Choice apply_sts(const TlsQuery& query, TlsPlan plan) {
  using mail::mta_sts::Mode;
  if (query.sts == nullptr) return NeedsSts{};
  if (query.sts->mode == Mode::testing && plan.level < TlsLevel::verified) plan.rehearse = true;
  if (query.sts->mode != Mode::enforce) return plan;
  if (!query.sts->listed)
    return HostRefused{{451, "4.7.5", "the MTA-STS policy of " + std::string(query.domain) + " does not name " + query.host.name}, "sts validation-failure",
                       name_of(TlsLevel::verified), plan.dane};
  plan.level = TlsLevel::verified;
  plan.authenticate = true;
  plan.server_name = query.host.name;
  return plan;
}

/// RFC 8689 §4.2.1 rule 2: who the servers are must have been proved, by DNSSEC or by an MTA-STS policy that names them.
Choice apply_require_tls(const TlsQuery& query, TlsPlan plan) {
  plan.require_tls = true;
  const bool named = query.sts != nullptr && query.sts->mode == mail::mta_sts::Mode::enforce && query.sts->listed;
  if (!query.host.listed_securely && !named)
    return HostRefused{{550, "5.7.10", "REQUIRETLS: the mail servers of " + std::string(query.domain) + " are proved neither by DNSSEC nor by MTA-STS"}, "",
                       "verified+requiretls", plan.dane};
  if (plan.level != TlsLevel::dane) plan.level = TlsLevel::verified;
  plan.rehearse = false;
  return plan;
}

}  // namespace

Choice choose_tls(const TlsQuery& query, const Facts& facts) {
  const TlsRule rule = query.demand.rule;
  TlsPlan plan;
  plan.server_name = query.host.name;
  plan.level = level_of(rule);
  plan.authenticate = query.require_tls || rule >= TlsRule::verified;
  if (auto other = apply_dane(query, facts, plan)) return *std::move(other);
  if (query.own_servers && plan.level != TlsLevel::dane && !ignores_policies(query)) {
    Choice chosen = apply_sts(query, std::move(plan));
    if (!std::holds_alternative<TlsPlan>(chosen)) return chosen;
    plan = std::get<TlsPlan>(std::move(chosen));
  }
  if (query.require_tls) {
    Choice chosen = apply_require_tls(query, std::move(plan));
    if (!std::holds_alternative<TlsPlan>(chosen)) return chosen;
    plan = std::get<TlsPlan>(std::move(chosen));
  }
  plan.wanted = std::string(name_of(plan.level)) + (plan.require_tls ? "+requiretls" : "");
  return plan;
}

namespace {

/// By the public authorities; the error's first word is a result type of RFC 8460 §4.3.1.
Result<void> verify(const io::Chain& chain, std::string_view name, const io::TrustStore* authorities, WallTime now) {
  if (authorities == nullptr) return failure("tls.untrusted", "certificate-not-trusted: no authorities are configured");
  const auto verified = authorities->verify(chain, name, now);
  if (verified) return {};
  const std::string_view code = verified.error().code;
  const std::string_view type = code == "x509.expired" ? "certificate-expired" : code == "x509.name" ? "certificate-host-mismatch" : "certificate-not-trusted";
  return failure("tls.untrusted", std::string(type) + ": " + verified.error().message);
}

/// DANE: no failure of it is made good by an authority (RFC 7672 §2.2).
Result<Recognition> judge_records(const TlsPlan& plan, const io::Chain& chain, WallTime now) {
  const auto judgement = io::dane::judge(chain, plan.records, plan.names, now);
  const auto& m = judgement.matched;
  switch (judgement.verdict) {
    case io::dane::Verdict::match:
      return Recognition{TlsLevel::dane, "match " + std::to_string(m.usage) + ' ' + std::to_string(m.selector) + ' ' + std::to_string(m.matching)};
    case io::dane::Verdict::unusable:
      // Found only now: a record whose certificate or key cannot be read (RFC 7672 §2.2).
      if (plan.authenticate) return failure("tls.untrusted", "tlsa-invalid: " + judgement.reason);
      return Recognition{TlsLevel::required, "unusable"};
    case io::dane::Verdict::mismatch: break;
  }
  return failure("tls.untrusted", "validation-failure: " + judgement.reason);
}

}  // namespace

Result<Recognition> judge_peer(const TlsPlan& plan, const io::Chain* chain, const io::TrustStore* authorities, WallTime now) {
  if (plan.level < TlsLevel::verified) return Recognition{plan.level, {}};
  if (chain == nullptr) return failure("tls.untrusted", "validation-failure: no chain that can be read");
  if (plan.level == TlsLevel::dane) return judge_records(plan, *chain, now);
  TRY(verify(*chain, plan.server_name, authorities, now));
  return Recognition{TlsLevel::verified, {}};
}

std::string rehearse_peer(const TlsPlan& plan, const io::Chain* chain, const io::TrustStore* authorities, WallTime now) {
  if (chain == nullptr) return "validation-failure";
  const auto verified = verify(*chain, plan.server_name, authorities, now);
  return verified ? std::string() : verified.error().message.substr(0, verified.error().message.find(':'));
}

}  // namespace postern::remote
