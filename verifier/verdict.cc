#include "verifier/verdict.h"

#include "base/text.h"

namespace postern::verifier {

Decision decide(const mail::judge::MessageVerdict& verdict, PolicyMode mode) {
  using mail::dmarc::Policy;
  Decision decision{.refusal = {250, "2.0.0", "accepted"}, .to_junk = false, .auth_domain = {}};
  if (verdict.spf.result == mail::spf::Outcome::pass) decision.auth_domain = verdict.dmarc.domain;
  for (const auto& signature : verdict.dkim)
    if (signature.result == mail::dkim::Outcome::pass) decision.auth_domain = signature.domain;
  const Policy wanted = mode == PolicyMode::observe ? Policy::none : verdict.dmarc.disposition;
  if (wanted == Policy::none) return decision;
  if (wanted == Policy::quarantine || mode == PolicyMode::quarantine) {
    decision.to_junk = true;
    return decision;
  }
  // RFC 7372 §3.3 has 5.7.26 for several mechanisms at once; the plain policy code is what every sender understands.
  decision.refusal = {550, "5.7.1", "refused by the policy of " + text::printable(verdict.dmarc.domain, 253) + ": " +
                                        text::printable(verdict.dmarc.reason, 200)};
  return decision;
}

std::string received_spf(const mail::judge::MessageQuery& query, const mail::spf::Verdict& verdict) {
  std::string field = "Received-SPF: " + std::string(mail::spf::name_of(verdict.result)) + "\r\n\tclient-ip=" + query.client.to_string() + ";";
  // Values are quoted strings: what is not printable ASCII, or would end the quotes, is left out.
  const auto quoted = [](std::string_view value) {
    std::string out = "\"";
    for (char c : value.substr(0, 320))
      if (c > 0x20 && c < 0x7F && c != '"' && c != '\\') out += c;
    return out + "\"";
  };
  field += "\r\n\tenvelope-from=" + quoted(query.mail_from) + ";\r\n\thelo=" + quoted(query.helo) + ";\r\n\tidentity=" +
           (query.mail_from.empty() ? "helo" : "mailfrom") + "\r\n";
  return field;
}

}  // namespace postern::verifier
