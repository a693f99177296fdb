#include "mail/auth/evidence.h"

#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "mail/charset.h"
#include "mail/limits.h"

namespace postern::mail::evidence {
namespace {

using nlohmann::json;

// A stranger's bytes as a JSON string of bounded length.
std::string shown(std::string_view text) {
  constexpr std::size_t kMost = 600;
  return repair_utf8(text.size() > kMost ? std::string(text.substr(0, kMost)) + "..." : std::string(text));
}

json spf_json(const spf::Verdict& spf) {
  return {{"result", spf::name_of(spf.result)},
          {"explanation", shown(spf.explanation)},
          {"lookups", spf.lookups},
          {"void_lookups", spf.void_lookups},
          {"mechanism", shown(spf.mechanism)},
          {"identity", spf.identity == spf::Identity::helo ? "helo" : "mailfrom"},
          {"domain", shown(spf.domain)},
          {"reason", shown(spf.reason)}};
}

json dkim_json(const dkim::SignatureResult& signature) {
  json out{{"domain", shown(signature.domain)},       {"selector", shown(signature.selector)}, {"identity", shown(signature.identity)},
           {"algorithm", shown(signature.algorithm)}, {"result", dkim::name_of(signature.result)}, {"reason", shown(signature.reason)},
           {"body_covered", signature.body_covered}, {"testing", signature.testing},           {"key_bits", signature.key_bits}};
  if (signature.body_length) out["body_length"] = *signature.body_length;
  return out;
}

json dmarc_json(const dmarc::Verdict& dmarc) {
  json overrides = json::array();
  for (const auto& override : dmarc.overrides) overrides.push_back({{"type", override.type}, {"comment", shown(override.comment)}});
  return {{"result", dmarc::name_of(dmarc.result)},
          {"policy", dmarc.policy ? dmarc::name_of(*dmarc.policy) : ""},
          {"disposition", dmarc::name_of(dmarc.disposition)},
          {"domain", shown(dmarc.domain)},
          {"organizational_domain", shown(dmarc.organizational_domain)},
          {"policy_domain", shown(dmarc.policy_domain)},
          {"record", shown(dmarc.record_text)},
          {"spf_aligned", dmarc.spf_aligned},
          {"dkim_aligned", dmarc.dkim_aligned},
          {"testing", dmarc.testing},
          {"overrides", std::move(overrides)},
          {"reason", shown(dmarc.reason)}};
}

json arc_json(const arc::Verdict& arc) {
  json sets = json::array();
  for (const auto& set : arc.sets) sets.push_back({{"instance", set.instance}, {"sealer", shown(set.sealer)}, {"selector", shown(set.selector)}, {"cv", shown(set.cv)}, {"results", shown(set.results)}});
  return {{"result", arc::name_of(arc.status)}, {"instances", arc.instances}, {"oldest_pass", arc.oldest_pass}, {"reason", shown(arc.reason)}, {"sets", std::move(sets)}};
}

json bimi_json(const bimi::Verdict& bimi) {
  return {{"result", bimi::name_of(bimi.result)}, {"domain", shown(bimi.domain)},          {"selector", shown(bimi.selector)}, {"location", shown(bimi.record.location)},
          {"authority", shown(bimi.record.authority)}, {"preference", bimi.record.preference}, {"reason", shown(bimi.reason)}};
}

json record_json(const dns::Record& record) {
  struct Show {
    json operator()(const IpAddress& address) const { return address.to_string(); }
    json operator()(const dns::Mx& mx) const { return std::to_string(mx.preference) + " " + shown(mx.exchange); }
    json operator()(const dns::Name& name) const { return shown(name.value); }
    json operator()(const dns::Text& txt) const { return shown(txt.value); }
    json operator()(const dns::Tlsa& tlsa) const { return crypto::hex(tlsa.data).substr(0, 128); }
  };
  return std::visit(Show{}, record);
}

std::string_view name_of(dns::Status status) {
  switch (status) {
    case dns::Status::found: return "found";
    case dns::Status::none: return "none";
    case dns::Status::failure: return "failure";
  }
  return "failure";
}

std::string_view name_of(dns::Security security) {
  switch (security) {
    case dns::Security::insecure: return "insecure";
    case dns::Security::secure: return "secure";
    case dns::Security::bogus: return "bogus";
    case dns::Security::unknown: return "unknown";
  }
  return "unknown";
}

json answer_json(const dns::Question& question, const dns::Answer& answer) {
  constexpr std::size_t kRecords = 20;
  json records = json::array();
  for (const auto& record : answer.records)
    if (records.size() < kRecords) records.push_back(record_json(record));
  json out{{"name", shown(question.name)}, {"type", dns::name_of(question.type)}, {"status", name_of(answer.status)}, {"security", name_of(answer.security)},
           {"ttl", answer.ttl.count()},    {"records", std::move(records)}};
  if (answer.nxdomain) out["nxdomain"] = true;
  return out;
}

std::string dump(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

json verdict_json(const judge::MessageVerdict& verdict) {
  json dkim = json::array();
  for (const auto& signature : verdict.dkim) dkim.push_back(dkim_json(signature));
  json out{{"spf", spf_json(verdict.spf)},
           {"dkim", std::move(dkim)},
           {"dmarc", dmarc_json(verdict.dmarc)},
           {"arc", arc_json(verdict.arc)},
           {"iprev", {{"result", iprev::name_of(verdict.iprev.result)}, {"name", shown(verdict.iprev.name)}, {"reason", shown(verdict.iprev.reason)}}},
           {"bimi", bimi_json(verdict.bimi)},
           {"authentication_results", repair_utf8(verdict.authentication_results)},
           {"reasons", verdict.reasons}};
  if (verdict.spf_helo) out["spf_helo"] = spf_json(*verdict.spf_helo);
  return out;
}

namespace {

// The verdict's text, its longest lists cut until it takes half of the record at most. The field is in the message anyway.
std::string cut_to_half(json& out, bool& truncated) {
  constexpr std::size_t kMost = limits::kEvidenceBytes / 2;
  std::string text = dump(out);
  for (const char* part : {"authentication_results", "reasons", "dkim", "arc"}) {
    if (text.size() <= kMost) return text;
    truncated = true;
    if (!out[part].is_array()) out.erase(part);
    else while (out[part].size() > limits::kAuthresDkim) out[part].erase(out[part].size() - 1);
    if (std::string_view(part) == "arc") out["arc"].erase("sets");
    text = dump(out);
  }
  if (text.size() <= kMost) return text;
  out.erase("dkim");
  return dump(out);
}

// The answers as far as they fit into `room` bytes, comma after comma.
std::string facts_text(const dns::Facts& facts, std::size_t room, bool& truncated) {
  constexpr std::size_t kLeast = 120;  // no answer is shorter: spare the work
  std::string text;
  for (const auto& [question, answer] : facts.all()) {
    const std::string one = room < kLeast ? std::string() : dump(answer_json(question, answer));
    if (room < kLeast || one.size() + 1 > room) {
      truncated = true;
      if (room < kLeast) break;
      continue;
    }
    room -= one.size() + 1;
    if (!text.empty()) text += ',';
    text += one;
  }
  return text;
}

}  // namespace

// Each part is made into text once: this runs for every message, and the text is most of its cost.
std::string encode(const judge::MessageQuery& query, const judge::MessageVerdict& verdict, const dns::Facts& facts, std::chrono::milliseconds took) {
  json out = verdict_json(verdict);
  out["query"] = {{"client", query.client.to_string()}, {"helo", shown(query.helo)}, {"mail_from", shown(query.mail_from)}, {"time", query.now.time_since_epoch().count()},
                  {"standard", query.standard == dmarc::Standard::rfc9989 ? "rfc9989" : "rfc7489"}};
  out["milliseconds"] = took.count();
  bool truncated = false;
  std::string text = cut_to_half(out, truncated);
  constexpr std::size_t kMargin = 100;  // for what is added below
  const std::size_t used = text.size() + kMargin;
  const std::string answers = facts_text(facts, used < limits::kEvidenceBytes ? limits::kEvidenceBytes - used : 0, truncated);
  text.pop_back();  // the bracket that closes the object
  text += ",\"truncated\":" + std::string(truncated ? "true" : "false") + ",\"facts\":[" + answers + "]}";
  return text;
}

}  // namespace postern::mail::evidence
