// A verdict in words: for the field we add, and for people.
#include <algorithm>

#include "base/text.h"
#include "mail/auth/authres.h"
#include "mail/auth/evaluate.h"
#include "mail/limits.h"

namespace postern::mail::judge {
namespace {

using authres::MethodResult;
using text::printable;

MethodResult spf_result(const spf::Verdict& spf, const MessageQuery& query) {
  MethodResult result{"spf", std::string(spf::name_of(spf.result)), spf.reason, "", {}};
  if (spf.identity == spf::Identity::helo) result.properties.push_back({"smtp", "helo", query.helo});
  else result.properties.push_back({"smtp", "mailfrom", query.mail_from});
  return result;
}

MethodResult dkim_result(const dkim::SignatureResult& signature) {
  MethodResult result{"dkim", std::string(dkim::name_of(signature.result)), "", signature.reason, {}};
  if (signature.key_bits != 0) result.comment = std::to_string(signature.key_bits) + "-bit key";
  if (signature.testing) result.comment += result.comment.empty() ? "testing" : ", testing";
  // RFC 8601 §2.7.1; header.b tells two signatures of one domain apart (RFC 6008).
  if (!signature.domain.empty()) result.properties.push_back({"header", "d", signature.domain});
  if (!signature.identity.empty()) result.properties.push_back({"header", "i", signature.identity});
  if (!signature.selector.empty()) result.properties.push_back({"header", "s", signature.selector});
  if (!signature.algorithm.empty()) result.properties.push_back({"header", "a", signature.algorithm});
  if (!signature.header_b.empty()) result.properties.push_back({"header", "b", signature.header_b});
  return result;
}

void add_dkim(const std::vector<dkim::SignatureResult>& signatures, std::vector<MethodResult>& results) {
  if (signatures.empty()) results.push_back({"dkim", "none", "", "", {}});
  std::vector<const dkim::SignatureResult*> order;
  for (const auto& signature : signatures) order.push_back(&signature);
  // Where there are more than we write, a pass is what must not be lost.
  if (order.size() > limits::kAuthresDkim)
    std::stable_partition(order.begin(), order.end(), [](const auto* s) { return s->result == dkim::Outcome::pass; });
  for (std::size_t i = 0; i < order.size() && i < limits::kAuthresDkim; ++i) results.push_back(dkim_result(*order[i]));
}

// RFC 8617 §10.1.
MethodResult arc_result(const arc::Verdict& arc, const MessageQuery& query) {
  MethodResult result{"arc", std::string(arc::name_of(arc.status)), "", arc.reason, {}};
  if (arc.instances > 0) result.comment = "i=" + std::to_string(arc.instances);
  if (arc.status == arc::Status::pass) result.properties.push_back({"header", "oldest-pass", std::to_string(arc.oldest_pass)});
  if (arc.status != arc::Status::none) result.properties.push_back({"smtp", "remote-ip", query.client.to_string()});
  return result;
}

std::string policy_words(const dmarc::Verdict& dmarc) {
  if (!dmarc.policy) return dmarc.disposition == dmarc::Policy::none ? "" : "dis=" + std::string(dmarc::name_of(dmarc.disposition));
  return "p=" + std::string(dmarc::name_of(*dmarc.policy)) + " dis=" + std::string(dmarc::name_of(dmarc.disposition));
}

MethodResult dmarc_result(const dmarc::Verdict& dmarc) {
  MethodResult result{"dmarc", std::string(dmarc::name_of(dmarc.result)), policy_words(dmarc), "", {}};
  if (dmarc.result == dmarc::Outcome::permerror || dmarc.result == dmarc::Outcome::temperror) result.reason = dmarc.reason;
  if (!dmarc.domain.empty()) result.properties.push_back({"header", "from", dmarc.domain});
  return result;
}

MethodResult bimi_result(const bimi::Verdict& bimi) {
  MethodResult result{"bimi", std::string(bimi::name_of(bimi.result)), bimi.reason, "", {}};
  if (!bimi.domain.empty()) result.properties.push_back({"header", "d", bimi.domain});
  result.properties.push_back({"header", "selector", bimi.selector});
  return result;
}

}  // namespace

std::string authentication_results(const MessageQuery& query, const MessageVerdict& verdict) {
  std::vector<MethodResult> results;
  results.push_back(spf_result(verdict.spf, query));
  if (verdict.spf_helo) results.push_back(spf_result(*verdict.spf_helo, query));
  add_dkim(verdict.dkim, results);
  results.push_back(dmarc_result(verdict.dmarc));
  results.push_back(arc_result(verdict.arc, query));
  MethodResult iprev{"iprev", std::string(iprev::name_of(verdict.iprev.result)), verdict.iprev.name, "", {}};
  iprev.properties.push_back({"policy", "iprev", query.client.to_string()});
  results.push_back(std::move(iprev));
  results.push_back(bimi_result(verdict.bimi));
  return authres::write(query.authserv_id, results);
}

std::vector<std::string> sentences(const MessageQuery& query, const MessageVerdict& verdict) {
  std::vector<std::string> out;
  const auto say = [&](const std::string& what, std::string_view result, const std::string& why) {
    out.push_back(what + ": " + std::string(result) + (why.empty() ? "." : " (" + printable(why, 512) + ")."));
  };
  const auto spf_of = [&](const spf::Verdict& spf, const char* identity) {
    say("SPF for the " + std::string(identity) + " domain " + printable(spf.domain), spf::name_of(spf.result), spf.reason);
  };
  say("The client " + query.client.to_string() + " has a name that leads back", iprev::name_of(verdict.iprev.result), verdict.iprev.name.empty() ? verdict.iprev.reason : verdict.iprev.name);
  spf_of(verdict.spf, verdict.spf.identity == spf::Identity::helo ? "HELO" : "MAIL FROM");
  if (verdict.spf_helo) spf_of(*verdict.spf_helo, "HELO");
  if (verdict.dkim.empty()) out.push_back("DKIM: the message is not signed.");
  for (std::size_t i = 0; i < verdict.dkim.size() && i < limits::kAuthresDkim; ++i) {
    const auto& signature = verdict.dkim[i];
    std::string why = signature.reason;
    if (signature.result == dkim::Outcome::pass && !signature.body_covered) why += why.empty() ? "l= leaves a part of the body unsigned, so it does not count" : "; l= leaves a part of the body unsigned, so it does not count";
    say("DKIM signature of " + printable(signature.domain) + " with selector " + printable(signature.selector), dkim::name_of(signature.result), why);
  }
  if (verdict.arc.instances > 0) say("ARC chain of " + std::to_string(verdict.arc.instances), arc::name_of(verdict.arc.status), verdict.arc.reason);
  say("DMARC for " + printable(verdict.dmarc.domain), dmarc::name_of(verdict.dmarc.result), verdict.dmarc.reason);
  if (verdict.dmarc.policy) out.push_back("The policy that applies is " + std::string(dmarc::name_of(*verdict.dmarc.policy)) + ", from the record at " + printable(verdict.dmarc.policy_domain) + ".");
  for (const auto& override : verdict.dmarc.overrides) out.push_back("Made milder by " + std::string(override.type) + ": " + printable(override.comment) + ".");
  if (verdict.dmarc.result != dmarc::Outcome::pass) out.push_back("What DMARC asks for: " + std::string(dmarc::name_of(verdict.dmarc.disposition)) + ".");
  if (verdict.bimi.result != bimi::Outcome::skipped && verdict.bimi.result != bimi::Outcome::none) say("BIMI", bimi::name_of(verdict.bimi.result), verdict.bimi.reason);
  return out;
}

}  // namespace postern::mail::judge
