#include "privsep/tls_rules.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

std::string read(std::string_view text) {
  const auto row = parse_tls_exception(text);
  if (!row) return std::string(row.error().code);
  return row->row.domain + " " + std::string(name_of(row->row.rule)) + " " + row->last_day + " " + row->reason;
}

TEST(TlsRules, AnExceptionHasALevelADayAndAReason) {
  struct Case {
    const char* text;
    const char* expected;
  };
  for (const Case& c : {Case{"Old.Example.=opportunistic until 2027-01-31: their certificate is late", "old.example opportunistic 2027-01-31 their certificate is late"},
                        Case{".old.example=required until 2028-02-29: a: b", ".old.example required 2028-02-29 a: b"},
                        Case{"old.example=opportunistic until 2027-02-29: no such day", "tls_rule.until"},
                        Case{"old.example=opportunistic until 2027-1-31: short", "tls_rule.until"},
                        Case{"old.example=opportunistic until tomorrow: soon", "tls_rule.until"},
                        Case{"old.example=opportunistic: for ever", "tls_rule.until"},
                        Case{"old.example=opportunistic until 2027-01-31", "tls_rule.reason"},
                        Case{"old.example=opportunistic until 2027-01-31:  ", "tls_rule.reason"},
                        Case{"old.example=none until 2027-01-31: x", "tls_rule.level"},
                        Case{"old.example until 2027-01-31: x", "tls_rule.level"},
                        Case{"=required until 2027-01-31: x", "tls_rule.domain"},
                        Case{"..=required until 2027-01-31: x", "tls_rule.domain"},
                        Case{"", "tls_rule.until"}})
    EXPECT_EQ(read(c.text), c.expected) << c.text;
}

TEST(TlsRules, AnExceptionLastsToTheEndOfItsDay) {
  const auto row = parse_tls_exception("a.example=required until 1970-01-02: x");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->ends, WallTime{std::chrono::days{2}});
}

TEST(TlsRules, ADomainHasALevelOrTheOneThatGoesWithoutSaying) {
  const TlsRule verified = TlsRule::verified;
  EXPECT_EQ(parse_tls_domain("a.example", &verified)->rule, TlsRule::verified);
  EXPECT_EQ(parse_tls_domain("a.example = dane-only", &verified)->rule, TlsRule::dane_only);
  EXPECT_EQ(parse_tls_domain("a.example", nullptr).error().code, "tls_rule.level");
  EXPECT_EQ(parse_tls_domain("a.example=DANE", nullptr).error().code, "tls_rule.level");
  EXPECT_EQ(parse_tls_domain("a..example=required", nullptr).error().code, "tls_rule.domain");
}

TEST(TlsRules, TheExactNameFitsBestThenTheLongestEnd) {
  const TlsDomainRow exact{"a.b.example", TlsRule::verified}, near{".b.example", TlsRule::verified}, far{".example", TlsRule::verified};
  EXPECT_GT(fit(exact, "a.b.example"), fit(near, "a.b.example"));
  EXPECT_GT(fit(near, "a.b.example"), fit(far, "a.b.example"));
  EXPECT_GT(fit(far, "a.b.example"), 0U);
  EXPECT_EQ(fit(near, "b.example"), 0U) << "a row for what is below does not stand for the name itself";
  EXPECT_EQ(fit(near, "ab.example"), 0U);
  EXPECT_EQ(fit(exact, "b.example"), 0U);
}

}  // namespace
}  // namespace postern::privsep
