#include "privsep/control/check/check_mta_sts.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "base/text.h"
#include "io/https_fetch.h"
#include "io/x509.h"
#include "mail/idn.h"
#include "mail/policy/mta_sts.h"
#include "privsep/control/check/json.h"

namespace postern::check {
namespace {

namespace sts = mail::mta_sts;
using mail::dns::Answer;
using mail::dns::Facts;
using mail::dns::Status;
using mail::dns::Type;
using nlohmann::json;

constexpr std::chrono::seconds kAllTime{28};
constexpr std::chrono::seconds kFetchTime{15};
constexpr std::chrono::seconds kTryTime{3};

void conclude(json& out, std::string_view result, const std::string& reason) {
  out["result"] = result;
  out["reason"] = text::printable(reason, 512);
}

Result<io::TrustStore> read_authorities(const std::string& name) {
  std::ifstream file(name);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) return failure("https.certificate", "no authorities can be read from " + name);
  return io::TrustStore::load(text.str());
}

Result<io::HttpResponse> fetch(const MtaStsCheck& check, const MtaStsOptions& options) {
  TRY_ASSIGN(const auto authorities, read_authorities(options.ca_file));
  io::HttpsRules rules;
  rules.allow_special = true;  // by hand, and nothing of the answer goes to a stranger
  rules.port = options.port;
  rules.most_body = sts::kPolicyBytes;
  rules.time = std::min<std::chrono::milliseconds>(kFetchTime, std::chrono::duration_cast<std::chrono::milliseconds>(check.until - check.loop.steady()));
  std::optional<Result<io::HttpResponse>> got;
  io::HttpsFetch running(check.loop, check.answers.resolver(), authorities, rules, sts::policy_host(options.domain), std::string(sts::kPolicyPath),
                         [&](Result<io::HttpResponse> response) {
                           got = std::move(response);
                           check.loop.stop();
                         });
  while (!got) check.loop.run();
  return *std::move(got);
}

/// The policy file, judged; nothing where it is none, and `out` says why.
std::optional<sts::Policy> read_policy(const MtaStsCheck& check, const MtaStsOptions& options, json& out) {
  const auto response = fetch(check, options);
  Result<sts::Policy> policy = response ? sts::policy_of_response(response->status, response->content_type, response->body)
                                        : Result<sts::Policy>(tl::unexpected<Error>(response.error()));
  if (!policy) {
    out["report_type"] = sts::report_type(policy.error().code);
    conclude(out, "fail", policy.error().message);
    return std::nullopt;
  }
  out["policy"] = {{"mode", sts::name_of(policy->mode)}, {"max_age", policy->max_age.count()}, {"mx", policy->mx}, {"text", response->body}};
  return *std::move(policy);
}

/// The names mail for the domain goes to; the domain itself where it has no MX (RFC 5321 §5.1).
std::vector<std::string> servers_of(const std::string& domain, const Answer& answer) {
  std::vector<std::string> names;
  for (const auto& mx : mail::dns::records_of<mail::dns::Mx>(answer))
    if (!mx.exchange.empty()) names.push_back(mx.exchange);
  if (answer.status == Status::none) names.push_back(domain);
  return names;
}

void judge_servers(const std::vector<std::string>& servers, const sts::Policy& policy, json& out) {
  std::string missing;
  for (const std::string& server : servers) {
    const bool allowed = sts::allows(policy, server);
    out["mx"].push_back({{"host", server}, {"allowed", allowed}});
    if (!allowed) missing += (missing.empty() ? "" : ", ") + server;
  }
  if (policy.mode != sts::Mode::none && !missing.empty()) return conclude(out, "fail", "the policy does not name " + missing);
  conclude(out, "pass", policy.mode == sts::Mode::none ? "a policy that asks for nothing" : "the policy names every mail server");
}

}  // namespace

Result<std::string> read_domain(std::string_view text) {
  const auto name = mail::idn::to_a_label(text);
  const auto is_plain = [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '.' || c == '_'; };
  if (!name || !mail::dns::is_askable(*name) || !std::all_of(name->begin(), name->end(), is_plain)) return failure("check.usage", "not a domain: " + text::printable(text));
  return mail::dns::canonical(*name);
}

json judge_mta_sts(const MtaStsCheck& check, const MtaStsOptions& options) {
  json out = {{"result", "temperror"}, {"domain", options.domain}, {"record", {{"name", sts::record_name(options.domain)}, {"id", nullptr}, {"found", json::array()}}},
              {"url", "https://" + sts::policy_host(options.domain) + std::string(sts::kPolicyPath)}, {"policy", nullptr}, {"mx", json::array()}, {"reason", ""}};
  Facts facts;
  check.answers.answer({{sts::record_name(options.domain), Type::txt}, {options.domain, Type::mx}}, facts, check.until);
  const Answer& record = *facts.find(sts::record_name(options.domain), Type::txt);
  const Answer& mx = *facts.find(options.domain, Type::mx);
  std::vector<std::string> texts;
  for (const auto& one : mail::dns::records_of<mail::dns::Text>(record)) texts.push_back(one.value);
  out["record"]["found"] = texts;
  if (record.status == Status::failure) return conclude(out, "temperror", "the DNS does not tell about " + sts::record_name(options.domain)), out;
  const auto id = sts::policy_id(texts);
  if (!id) return conclude(out, id.error().code == "mta_sts.absent" ? "none" : "fail", id.error().message), out;
  out["record"]["id"] = *id;
  const auto policy = read_policy(check, options, out);
  if (!policy) return out;
  if (mx.status == Status::failure) return conclude(out, "temperror", "the DNS does not tell the mail servers of " + options.domain), out;
  judge_servers(servers_of(options.domain, mx), *policy, out);
  return out;
}

Result<std::string> check_mta_sts(const MtaStsOptions& options) {
  io::Loop loop;
  TRY_ASSIGN(auto answers, LoopAnswers::create(loop, {.upstreams = {options.resolver}, .timeout = kTryTime, .tries = 2, .trust_ad = false}));
  return one_line(judge_mta_sts({loop, answers, loop.steady() + kAllTime}, options));
}

}  // namespace postern::check
