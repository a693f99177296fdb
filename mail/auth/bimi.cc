#include "mail/auth/bimi.h"

#include <algorithm>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::bimi {
namespace {

// https, a host and printable characters; no user name that could make another host look like this one.
bool is_https(std::string_view uri) {
  constexpr std::string_view kScheme = "https://";
  if (uri.size() > limits::kBimiUriBytes || !text::istarts_with(uri, kScheme)) return false;
  const auto host = uri.substr(kScheme.size(), uri.find_first_of("/?#", kScheme.size()) - kScheme.size());
  if (host.empty() || host.find('@') != std::string_view::npos) return false;
  return std::all_of(uri.begin(), uri.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

bool is_selector(std::string_view selector) {
  if (selector.empty() || selector.size() > 63 || selector.front() == '.' || selector.back() == '.') return false;
  return std::all_of(selector.begin(), selector.end(), [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '_' || c == '.'; });
}

// Calls take(name, value) for each tag after the version; false when it does not begin with v=BIMI1.
template <class Take>
bool read_tags(std::string_view text, const Take& take) {
  bool first = true;
  std::size_t count = 0;
  for (const auto piece : text::split(text, ';')) {
    if (++count > limits::kTagListTags) break;
    const auto equals = piece.find('=');
    const auto name = text::trim(piece.substr(0, equals));
    const auto value = equals == std::string_view::npos ? std::string_view{} : text::trim(piece.substr(equals + 1));
    if (first && (name != "v" || !text::iequals(value, "BIMI1"))) return false;
    if (!first && equals != std::string_view::npos) take(name, value);
    first = false;
  }
  return true;
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::temperror: return "temperror";
    case Outcome::declined: return "declined";
    case Outcome::skipped: return "skipped";
  }
  return "none";
}

std::optional<Record> parse_record(std::string_view text) {
  Record record;
  bool has_location = false;
  const bool is_bimi = read_tags(text, [&](std::string_view name, std::string_view value) {
    if (name == "l") {
      has_location = true;
      if (value.empty() || is_https(value)) record.location = value;
      else record.unusable = true;
    } else if (name == "a") {
      if (value.empty() || is_https(value)) record.authority = value;
      else record.unusable = true;
    } else if (name == "avp") {
      record.preference = text::iequals(value, "personal") ? "personal" : "brand";
    } else if (name == "e") {
      record.evidence = value.substr(0, limits::kBimiUriBytes);
    }
  });
  if (!is_bimi) return std::nullopt;
  if (!has_location) record.unusable = true;
  return record;
}

std::string read_selector(const HeaderBlockView& header) {
  std::string selector = "default";
  const auto fields = header.all("BIMI-Selector");
  if (fields.size() != 1) return selector;
  read_tags(text::trim(fields.front()->value), [&](std::string_view name, std::string_view value) {
    if (name == "s" && is_selector(value)) selector = text::to_lower(value);
  });
  return selector;
}

std::string refusal(const dmarc::Verdict& dmarc) {
  if (dmarc.result != dmarc::Outcome::pass) return "DMARC did not pass";
  if (!dmarc.policy || *dmarc.policy == dmarc::Policy::none) return "the DMARC policy is none";
  if (dmarc.record.sp == dmarc::Policy::none) return "the DMARC policy for subdomains is none";
  if (dmarc.record.percent != 100) return "the DMARC policy is not for all mail";
  if (dmarc.testing) return "the DMARC policy is in test mode";
  return {};
}

std::string refusal(const dmarc::Record& organizational) {
  const std::string whose = "the DMARC policy of the organizational domain ";
  if (!organizational.p || *organizational.p == dmarc::Policy::none) return whose + "is none";
  if (organizational.sp == dmarc::Policy::none) return whose + "is none for subdomains";
  if (organizational.percent != 100) return whose + "is not for all mail";
  if (organizational.testing) return whose + "is in test mode";
  return {};
}

std::variant<Verdict, dns::Questions> evaluate(std::string_view selector, const dmarc::Verdict& dmarc, const dns::Facts& facts) {
  Verdict verdict;
  verdict.selector = selector;
  verdict.domain = dmarc.domain;
  const auto decide = [&](Outcome result, std::string reason) {
    verdict.result = result;
    verdict.reason = std::move(reason);
    return verdict;
  };
  if (auto why = refusal(dmarc); !why.empty()) return decide(Outcome::skipped, std::move(why));
  // A record of the From domain's own does not speak for the organization above it.
  const std::string above = "_dmarc." + dmarc.organizational_domain;
  if (dmarc.policy_domain != dmarc.organizational_domain && dns::is_askable(above)) {
    const dns::Answer* answer = facts.find(above, dns::Type::txt);
    if (answer == nullptr) return dns::Questions{{above, dns::Type::txt}};
    const auto lookup = dmarc::read_answer(*answer);
    if (lookup.found == dmarc::Found::failure) return decide(Outcome::temperror, "the DMARC record of the organizational domain could not be looked up");
    if (lookup.found == dmarc::Found::one)
      if (auto why = refusal(lookup.record); !why.empty()) return decide(Outcome::skipped, std::move(why));
  }
  const std::string* names[] = {&dmarc.domain, &dmarc.organizational_domain};
  const std::size_t count = dmarc.domain == dmarc.organizational_domain ? 1 : 2;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = std::string(selector) + "._bimi." + *names[i];
    if (!dns::is_askable(name)) continue;
    const dns::Answer* answer = facts.find(name, dns::Type::txt);
    if (answer == nullptr) return dns::Questions{{name, dns::Type::txt}};
    verdict.domain = *names[i];
    if (answer->status == dns::Status::failure) return decide(Outcome::temperror, "the record could not be looked up");
    std::size_t found = 0;
    for (const auto& txt : dns::records_of<dns::Text>(*answer))
      if (auto record = parse_record(txt.value)) {
        verdict.record = *std::move(record);
        ++found;
      }
    if (found == 0) continue;
    if (found > 1) return decide(Outcome::fail, "more than one record");
    if (verdict.record.declines()) return decide(Outcome::declined, "the domain declines");
    if (verdict.record.unusable || verdict.record.location.empty()) return decide(Outcome::fail, "the record has no usable location");
    return decide(Outcome::pass, "the record is usable; the indicator is not fetched yet");
  }
  verdict.domain = dmarc.domain;
  return decide(Outcome::none, "no record");
}

}  // namespace postern::mail::bimi
