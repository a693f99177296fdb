#include "sandbox/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "sandbox/policies.h"

namespace postern::sandbox {
namespace {

using testing::HasSubstr;

std::size_t origins(const Policy& policy) {
  std::set<std::string> names;
  for (const Rule& rule : policy.rules) names.insert(rule.origin);
  return names.size();
}

// Two-column honesty: nothing that is enforced may be missing from what is shown.
TEST(Render, ShowsEveryRowWithItsReason) {
  for (const PolicyText& text : policy_texts()) {
    const auto policy = policy_for(text.name);
    ASSERT_TRUE(policy) << policy.error().message;
    const std::string page = to_markdown(*policy);
    const std::string columns = to_text(*policy);
    for (const Rule& rule : policy->rules) {
      EXPECT_THAT(columns, HasSubstr("\n  " + rule.call + " ")) << text.name;
      EXPECT_THAT(columns, HasSubstr("  " + rule.why + "\n")) << text.name;
    }
    std::size_t rows = 0;
    for (std::size_t at = 0; (at = page.find("\n| ", at)) != std::string::npos; ++at) ++rows;
    const std::size_t heads = 1 + origins(*policy);
    EXPECT_EQ(rows, heads + 5 + policy->limits.size() + policy->holds.size() + policy->rules.size()) << text.name;
  }
}

TEST(Render, EscapesWhatATableWouldRead) {
  const auto policy = policy_for("remote");
  ASSERT_TRUE(policy);
  EXPECT_THAT(to_markdown(*policy), HasSubstr("| socket | domain = INET\\|INET6 | allow | a connection to a mail server; no other family |\n"));
  EXPECT_THAT(to_markdown(*policy), HasSubstr("| network | connect | other mail servers |\n"));
  EXPECT_THAT(to_markdown(*policy), HasSubstr("| limit CORE | 0 | a dump would hold other people's mail |\n"));
  EXPECT_THAT(to_markdown(*policy), HasSubstr("| any other call | kill |"));
}

}  // namespace
}  // namespace postern::sandbox
