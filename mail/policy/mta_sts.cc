#include "mail/policy/mta_sts.h"

#include <algorithm>
#include <optional>

#include "base/crypto.h"
#include "base/text.h"
#include "mail/dns.h"

namespace postern::mail::mta_sts {
namespace {

bool is_alphanumeric(char c) { return text::is_alpha(c) || text::is_digit(c); }

bool is_id(std::string_view value) {  // sts-id = 1*32(ALPHA / DIGIT)
  return !value.empty() && value.size() <= kIdBytes && std::all_of(value.begin(), value.end(), is_alphanumeric);
}

// sts-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / "."); keys of the policy file have the same form.
bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && is_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_alphanumeric(c) || c == '_' || c == '-' || c == '.'; });
}

// sts-ext-value = 1*(%x21-3A / %x3C / %x3E-7E): printable, no blank, no ";" and no "=".
bool is_value(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < 0x7f && c != ';' && c != '='; });
}

// RFC 8461 §3.1: a record that does not begin with exactly this is another kind of TXT record.
bool announces(std::string_view record) {
  constexpr std::string_view kVersion = "v=STSv1";
  if (!record.starts_with(kVersion)) return false;
  record.remove_prefix(kVersion.size());
  while (!record.empty() && text::is_space(record.front())) record.remove_prefix(1);
  return record.starts_with(';');
}

Result<std::string> parse_record(std::string_view record) {
  const auto wrong = [](std::string_view what) { return failure("mta_sts.record", "the MTA-STS record: " + std::string(what)); };
  std::optional<std::string> id;
  auto fields = text::split(record, ';');
  fields.erase(fields.begin());                                                // the version
  if (!fields.empty() && text::trim(fields.back()).empty()) fields.pop_back();  // one ";" may end it
  for (std::string_view field : fields) {
    field = text::trim(field);
    const auto equals = field.find('=');
    if (equals == std::string_view::npos) return wrong("a field without \"=\"");
    const std::string_view name = field.substr(0, equals), value = field.substr(equals + 1);
    if (!is_name(name) || !is_value(value)) return wrong("a field that is not of the grammar");
    if (name != "id" || id) continue;
    if (!is_id(value)) return wrong("id is not 1 to 32 letters and digits");
    id = std::string(value);
  }
  if (!id) return wrong("no id");
  return *std::move(id);
}

bool is_host_name(std::string_view name) {
  if (!dns::is_askable(name)) return false;
  for (std::string_view label : text::split(name, '.')) {
    if (label.empty() || !is_alphanumeric(label.front()) || !is_alphanumeric(label.back())) return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
  }
  return true;
}

// sts-policy-mx-value = [wildcard "."] Domain: an A-label name (RFC 8461 §3.2).
std::optional<std::string> parse_pattern(std::string_view value) {
  const std::string pattern = dns::canonical(value);
  const std::string_view name = pattern.starts_with("*.") ? std::string_view(pattern).substr(2) : std::string_view(pattern);
  if (!is_host_name(name)) return std::nullopt;
  return pattern;
}

std::optional<Mode> parse_mode(std::string_view value) {
  for (const Mode mode : {Mode::none, Mode::testing, Mode::enforce})
    if (value == name_of(mode)) return mode;
  return std::nullopt;
}

// Up to ten digits (RFC 8461 §3.2); more than a year counts as a year.
std::optional<std::chrono::seconds> parse_max_age(std::string_view value) {
  const auto seconds = text::parse_uint(value, 9'999'999'999);
  if (!seconds || value.size() > 10) return std::nullopt;
  return std::min(std::chrono::seconds(*seconds), kMostMaxAge);
}

tl::unexpected<Error> wrong(std::string_view what) { return failure("mta_sts.policy", "the policy: " + std::string(what)); }

/// Collects the fields of a policy file.
struct Reader {
  bool version = false;
  std::optional<Mode> mode;
  std::optional<std::chrono::seconds> max_age;
  std::vector<std::string> mx;

  Result<void> take(std::string_view key, std::string_view value) {
    if (key == "version") return take_version(value);
    if (key == "mx") return take_mx(value);
    if (key == "mode" && !mode) {
      mode = parse_mode(value);
      if (!mode) return wrong("mode is none of enforce, testing, none");
    }
    if (key == "max_age" && !max_age) {
      max_age = parse_max_age(value);
      if (!max_age) return wrong("max_age is not a number of at most ten digits");
    }
    return {};
  }

  Result<void> take_version(std::string_view value) {
    if (!version && value != "STSv1") return wrong("version is not STSv1");
    version = true;
    return {};
  }

  Result<void> take_mx(std::string_view value) {
    if (mx.size() == kMxPatterns) return wrong("more than " + std::to_string(kMxPatterns) + " mx patterns");
    auto pattern = parse_pattern(value);
    if (!pattern) return wrong("an mx pattern is not a host name or \"*.\" and a host name");
    mx.push_back(*std::move(pattern));
    return {};
  }
};

}  // namespace

std::string_view name_of(Mode mode) {
  switch (mode) {
    case Mode::none: return "none";
    case Mode::testing: return "testing";
    case Mode::enforce: return "enforce";
  }
  return "";
}

Result<std::string> policy_id(const std::vector<std::string>& txt_records) {
  const std::string* only = nullptr;
  for (const std::string& record : txt_records) {
    if (!announces(record)) continue;
    if (only != nullptr) return failure("mta_sts.several", "more than one MTA-STS record");
    only = &record;
  }
  if (only == nullptr) return failure("mta_sts.absent", "no MTA-STS record");
  return parse_record(*only);
}

Result<Policy> parse_policy(std::string_view text) {
  if (text.size() > kPolicyBytes) return wrong("more than 64 KiB");
  const auto lines = text::split(text, '\n');
  if (lines.size() > kPolicyLines) return wrong("too many lines");
  Reader reader;
  for (std::string_view line : lines) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (text::trim(line).empty()) continue;
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return wrong("a line without \":\"");
    if (!is_name(line.substr(0, colon))) return wrong("a key that is not of the grammar");
    TRY(reader.take(line.substr(0, colon), text::trim(line.substr(colon + 1))));
  }
  if (!reader.version) return wrong("no version");
  if (!reader.mode) return wrong("no mode");
  if (!reader.max_age) return wrong("no max_age");
  // RFC 8461 §3.2: at least one unless the policy says there is none.
  if (reader.mx.empty() && *reader.mode != Mode::none) return wrong("no mx");
  return Policy{*reader.mode, *reader.max_age, std::move(reader.mx)};
}

bool matches(std::string_view pattern_text, std::string_view host_text) {
  const std::string pattern = dns::canonical(pattern_text), host = dns::canonical(host_text);
  if (!pattern.starts_with("*.")) return !pattern.empty() && pattern == host;
  // RFC 8461 §4.1: the wildcard stands for one whole label, the left-most.
  const auto dot = host.find('.');
  return dot != std::string::npos && dot > 0 && std::string_view(host).substr(dot + 1) == std::string_view(pattern).substr(2);
}

bool allows(const Policy& policy, std::string_view host) {
  return std::any_of(policy.mx.begin(), policy.mx.end(), [&](const std::string& pattern) { return matches(pattern, host); });
}

Result<Policy> policy_of_response(unsigned status, std::string_view content_type, std::string_view body) {
  // RFC 8461 §3.3: only 200 counts, and redirects must not be followed.
  if (status != 200) return failure("mta_sts.fetch", "the policy server answered " + std::to_string(status));
  if (content_type != "text/plain")
    return failure("mta_sts.policy", "the policy came as \"" + text::printable(content_type, 80) + "\", not as text/plain");
  return parse_policy(body);
}

std::chrono::seconds kept_for(const Policy& policy) { return std::max(policy.max_age, kLeastKept); }
std::chrono::seconds refresh_after(const Policy& policy) { return std::min(kRefreshAge, kept_for(policy) / 2); }

std::string compose(const Policy& policy) {
  std::string text = "version: STSv1\r\nmode: " + std::string(name_of(policy.mode)) + "\r\n";
  for (const std::string& pattern : policy.mx) text += "mx: " + pattern + "\r\n";
  return text + "max_age: " + std::to_string(policy.max_age.count()) + "\r\n";
}

std::string id_for(std::string_view text) { return crypto::hex(crypto::sha256(bytes_of(text))).substr(0, 20); }
std::string record_for(std::string_view id) { return "v=STSv1; id=" + std::string(id) + ";"; }

std::string_view report_type(std::string_view error_code) {
  static constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {"https.certificate", "sts-webpki-invalid"},
      {"https.tls", "sts-webpki-invalid"},
      {"mta_sts.policy", "sts-policy-invalid"},
      {"http.large", "sts-policy-invalid"},
  };
  for (const auto& [code, type] : kTypes)
    if (code == error_code) return type;
  return "sts-policy-fetch-error";
}

std::string record_name(std::string_view domain) { return "_mta-sts." + dns::canonical(domain); }
std::string policy_host(std::string_view domain) { return "mta-sts." + dns::canonical(domain); }

}  // namespace postern::mail::mta_sts
