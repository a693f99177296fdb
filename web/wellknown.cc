#include "web/wellknown.h"

#include <algorithm>

#include "base/text.h"
#include "mail/dns.h"
#include "mail/idn.h"
#include "mail/policy/mta_sts.h"

namespace postern::web {

namespace sts = mail::mta_sts;

namespace {

tl::unexpected<Error> wrong(std::string_view what, std::string_view entry) { return failure("web.policy", std::string(what) + ": \"" + text::printable(entry) + "\""); }

bool is_plain(std::string_view text) {  // in one line, as it stands
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Result<OwnPolicy> own_policy(std::string_view entry, const PolicyRules& rules) {
  const auto equals = entry.find('=');
  const auto name = mail::idn::to_a_label(text::trim(entry.substr(0, equals)));
  if (!name || !mail::dns::is_askable(*name)) return wrong("mta_sts.domains: not a domain", entry);
  OwnPolicy own;
  own.domain = mail::dns::canonical(*name);
  own.mode = equals == std::string_view::npos ? rules.mode : std::string(text::trim(entry.substr(equals + 1)));
  if (!is_plain(own.mode)) return wrong("mta_sts.domains: not a mode", entry);
  std::string text = "version: STSv1\r\nmode: " + own.mode + "\r\n";
  for (const std::string& pattern : rules.mx) {
    if (!is_plain(pattern)) return wrong("mta_sts.mx: not a host name", pattern);
    text += "mx: " + pattern + "\r\n";
  }
  text += "max_age: " + std::to_string(rules.max_age.count()) + "\r\n";
  // What we would not take from others is not served, and what is served is in one form.
  const auto policy = sts::parse_policy(text);
  if (!policy) return failure("web.policy", "mta_sts of " + own.domain + ": " + policy.error().message);
  own.text = sts::compose(*policy);
  own.id = sts::id_for(own.text);
  return own;
}

}  // namespace

Result<std::vector<OwnPolicy>> own_policies(const PolicyRules& rules) {
  std::vector<OwnPolicy> policies;
  for (const std::string& entry : rules.domains) {
    TRY_ASSIGN(auto policy, own_policy(entry, rules));
    const bool known = std::any_of(policies.begin(), policies.end(), [&](const OwnPolicy& other) { return other.domain == policy.domain; });
    if (!known) policies.push_back(std::move(policy));
  }
  return policies;
}

void WellKnown::set(const std::vector<OwnPolicy>& policies) {
  files_.clear();
  for (const OwnPolicy& policy : policies) files_.emplace(sts::policy_host(policy.domain), std::make_shared<const std::string>(policy.text));
}

std::optional<Page> WellKnown::find(std::string_view host, std::string_view path) const {
  const auto file = files_.find(host);
  if (file == files_.end() || path != sts::kPolicyPath) return std::nullopt;
  return Page{200, "text/plain; charset=utf-8", file->second};  // RFC 8461 §3.2
}

}  // namespace postern::web
