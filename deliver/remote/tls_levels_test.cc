#include "deliver/remote/tls_levels.h"

#include <gtest/gtest.h>

namespace postern::remote {
namespace {

TEST(TlsLevels, TheDestinationTheSenderAndTheExceptionsDecide) {
  TlsLevels levels;
  levels.fallback = TlsRule::opportunistic;
  for (const char* text : {"bank.example=verified", ".partner.example=required", "deep.partner.example=dane-only"})
    levels.destinations.push_back(*privsep::parse_tls_domain(text, nullptr));
  const TlsRule verified = TlsRule::verified;
  for (const char* text : {"law.example", "shop.example=required"}) levels.senders.push_back(*privsep::parse_tls_domain(text, &verified));
  for (const char* text : {"late.bank.example=required until 1970-01-10: new certificate soon", "gone.example=opportunistic until 1970-01-04: was so",
                           "bank.example=opportunistic until 1970-01-04: was so"})
    levels.exceptions.push_back(*privsep::parse_tls_exception(text));
  struct Case {
    const char *destination, *sender, *expected;
  };
  const WallTime now{std::chrono::days{4}};  // 1970-01-05
  for (const Case& c : {Case{"any.example", "a@other.example", "opportunistic"}, Case{"any.example", "", "opportunistic"}, Case{"BANK.example.", "a@other.example", "verified"},
                        Case{"x.partner.example", "a@other.example", "required"}, Case{"partner.example", "a@other.example", "opportunistic"},
                        Case{"deep.partner.example", "a@other.example", "dane-only"}, Case{"any.example", "a@LAW.example", "verified"},
                        Case{"deep.partner.example", "a@shop.example", "dane-only"}, Case{"x.partner.example", "a@law.example", "verified"},
                        Case{"late.bank.example", "a@law.example", "required, until 1970-01-10: new certificate soon"},
                        Case{"gone.example", "a@shop.example", "required"}, Case{"any.example", "\"x@law.example\"@other.example", "opportunistic"}}) {
    const auto demand = levels.demand(c.destination, c.sender, now);
    EXPECT_EQ(std::string(name_of(demand.rule)) + (demand.exception.empty() ? "" : ", " + demand.exception), c.expected) << c.destination << " from " << c.sender;
  }
}

TEST(TlsLevels, AnExceptionPastItsDayIsNamed) {
  TlsLevels levels;
  levels.exceptions.push_back(*privsep::parse_tls_exception("a.example=opportunistic until 1970-01-02: x"));
  const WallTime last{std::chrono::days{2} - std::chrono::seconds{1}}, past{std::chrono::days{2}};
  EXPECT_EQ(levels.demand("a.example", "", last).exception, "until 1970-01-02: x");
  EXPECT_TRUE(levels.lapsed("a.example", last).empty());
  EXPECT_EQ(levels.demand("a.example", "", past).exception, "");
  ASSERT_EQ(levels.lapsed("a.example", past).size(), 1U);
  EXPECT_TRUE(levels.lapsed("b.example", past).empty());
}

}  // namespace
}  // namespace postern::remote
