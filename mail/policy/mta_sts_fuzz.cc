// Fuzzes the record and policy parsers: what they let through is whole, bounded and of the grammar.
#include "base/check.h"
#include "mail/policy/mta_sts.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::mail;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto id = mta_sts::policy_id({std::string(text)})) POSTERN_CHECK(!id->empty() && id->size() <= mta_sts::kIdBytes);
  const auto policy = mta_sts::parse_policy(text);
  if (!policy) return 0;
  POSTERN_CHECK(policy->max_age <= mta_sts::kMostMaxAge);
  POSTERN_CHECK(policy->mode == mta_sts::Mode::none || !policy->mx.empty());
  POSTERN_CHECK(policy->mx.size() <= mta_sts::kMxPatterns);
  for (const std::string& pattern : policy->mx) {
    POSTERN_CHECK(pattern.rfind('*') == std::string::npos || pattern.rfind('*') == 0);
    const std::string host = pattern.starts_with("*.") ? "a" + pattern.substr(1) : pattern;
    POSTERN_CHECK(mta_sts::allows(*policy, host));
  }
  return 0;
}
