#include "deliver/remote/tls_choice.h"

#include "base/crypto.h"
#include "mail/policy/dane.h"

namespace postern::remote {

using mail::dns::Answer;
using mail::dns::Facts;
using mail::dns::Questions;
using mail::dns::Security;
using mail::dns::Status;
using mail::dns::Type;
using privsep::SmtpReply;

namespace {

struct Dane {
  Questions missing;
  bool unknown = false;                  // the TLSA answer failed: the host is passed over
  std::string base;                      // the TLSA base domain, empty where there are no records
  std::vector<mail::dns::Tlsa> records;  // as they are; none may be usable
};

/// RFC 7672 §2.2.2: the end of a proved CNAME chain is asked first, then the name itself.
Dane find_records(const Host& host, const Facts& facts) {
  Dane out;
  std::vector<std::string> bases{host.canonical_name};
  if (host.canonical_name != host.name) bases.push_back(host.name);
  for (const std::string& base : bases) {
    const std::string name = mail::dane::tlsa_name(base, host.port);
    const Answer* answer = facts.find(name, Type::tlsa);
    if (answer == nullptr) {
      out.missing.push_back({name, Type::tlsa});
      return out;
    }
    // §2.1.1: bogus, SERVFAIL and silence are not absence.
    if (answer->status == Status::failure) out.unknown = true;
    if (out.unknown) return out;
    if (answer->status != Status::found || answer->security != Security::secure) continue;
    out.base = base;
    out.records = mail::dns::records_of<mail::dns::Tlsa>(*answer);
    return out;
  }
  return out;
}

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

/// RFC 8461 §5: in "enforce" an unlisted host is not used, a listed one must prove its name.
Choice apply_sts(const TlsQuery& query, TlsPlan plan) {
  using mail::mta_sts::Mode;
  if (query.sts == nullptr) return NeedsSts{};
  if (query.sts->mode == Mode::testing && plan.level < TlsLevel::verified) plan.rehearse = true;
  if (query.sts->mode != Mode::enforce) return plan;
  if (!query.sts->listed)
    return HostRefused{{451, "4.7.5", "the MTA-STS policy of " + std::string(query.domain) + " does not name " + query.host.name}, "sts validation-failure"};
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
    return HostRefused{{550, "5.7.10", "REQUIRETLS: the mail servers of " + std::string(query.domain) + " are proved neither by DNSSEC nor by MTA-STS"}, ""};
  if (plan.level != TlsLevel::dane) plan.level = TlsLevel::verified;
  plan.rehearse = false;
  return plan;
}

}  // namespace

Choice choose_tls(const TlsQuery& query, const Facts& facts) {
  TlsPlan plan;
  plan.server_name = query.host.name;
  plan.level = level_of(query.rule);
  plan.authenticate = query.require_tls || query.rule == TlsRule::verified || query.rule == TlsRule::dane_only;
  // RFC 8689 §5: the sender would rather have it delivered; REQUIRETLS is the stronger word.
  if (query.tls_optional && !query.require_tls) {
    plan.level = TlsLevel::opportunistic;
    plan.authenticate = false;
    return plan;
  }
  Dane dane;
  if (query.dnssec_trusted && query.host.listed_securely && query.host.found_securely) dane = find_records(query.host, facts);
  if (!dane.missing.empty()) return dane.missing;
  if (dane.unknown) return HostRefused{{451, "4.7.5", "the DNS does not tell whether " + query.host.name + " has TLSA records"}, "tlsa dnssec-invalid"};
  if (!dane.records.empty()) {
    plan.records = mail::dane::select(dane.records);
    plan.server_name = dane.base;
    plan.names = {dane.base, std::string(query.domain)};
    // RFC 7672 §2.2: records none of which can be used still promise TLS. judge() calls those "unusable".
    if (plan.records.empty() && query.rule != TlsRule::dane_only && query.rule != TlsRule::verified) plan.level = TlsLevel::required;
    if (!plan.records.empty()) plan.level = TlsLevel::dane;
  }
  if (query.rule == TlsRule::dane_only && plan.records.empty())
    return HostRefused{{451, "4.7.5", "the configuration wants DANE, and " + query.host.name + " has no TLSA record that can be used"}, "tlsa dane-required"};
  if (query.own_servers && plan.level != TlsLevel::dane) {
    Choice chosen = apply_sts(query, std::move(plan));
    if (!std::holds_alternative<TlsPlan>(chosen)) return chosen;
    plan = std::get<TlsPlan>(std::move(chosen));
  }
  if (query.require_tls) return apply_require_tls(query, std::move(plan));
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

}  // namespace

Result<std::string_view> judge_peer(const TlsPlan& plan, const io::TlsInfo& info, const io::TrustStore* authorities, WallTime now) {
  if (plan.level < TlsLevel::verified) return "opportunistic";
  auto chain = io::Chain::parse(info.peer_chain_pem);
  if (!chain) return failure("tls.untrusted", "validation-failure: " + chain.error().message);
  if (plan.level == TlsLevel::dane) {
    const auto judgement = io::dane::judge(*chain, plan.records, plan.names, now);
    switch (judgement.verdict) {
      case io::dane::Verdict::match: return "dane";
      case io::dane::Verdict::unusable: return plan.authenticate ? Result<std::string_view>(failure("tls.untrusted", "tlsa-invalid: " + judgement.reason)) : "opportunistic";
      case io::dane::Verdict::mismatch: return failure("tls.untrusted", "validation-failure: " + judgement.reason);
    }
  }
  TRY(verify(*chain, plan.server_name, authorities, now));
  return "verified";
}

std::string rehearse_peer(const TlsPlan& plan, const io::TlsInfo& info, const io::TrustStore* authorities, WallTime now) {
  const auto chain = io::Chain::parse(info.peer_chain_pem);
  if (!chain) return "validation-failure";
  const auto verified = verify(*chain, plan.server_name, authorities, now);
  return verified ? std::string() : verified.error().message.substr(0, verified.error().message.find(':'));
}

}  // namespace postern::remote
