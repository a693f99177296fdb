#include "mail/auth/iprev.h"

#include <gtest/gtest.h>

#include "mail/auth/fake_dns.h"
#include "mail/limits.h"

namespace postern::mail::iprev {
namespace {

using dns::FakeDns;
using dns::Type;

Verdict judged(FakeDns& dns, const char* client = "192.0.2.1") {
  const IpAddress address = *IpAddress::parse(client);
  return dns.judge([&](const dns::Facts& facts) { return check(address, facts); });
}

TEST(Iprev, PassesWhenOneNameLeadsBack) {
  auto dns = FakeDns().ptr("192.0.2.1", "liar.example").ptr("192.0.2.1", "ok.example");
  dns.a("liar.example", "192.0.2.9").a("ok.example", "192.0.2.8").a("ok.example", "192.0.2.1");
  const Verdict verdict = judged(dns);
  EXPECT_EQ(verdict.result, Outcome::pass);
  EXPECT_EQ(verdict.name, "ok.example");
  EXPECT_EQ(dns.rounds, 3U);  // the names, their addresses together, the verdict
}

TEST(Iprev, FailsWhenNamesLeadElsewhereOrNowhere) {  // RFC 8601 §2.7.3
  auto dns = FakeDns().ptr("192.0.2.1", "liar.example").ptr("192.0.2.1", "gone.example").a("liar.example", "192.0.2.9");
  EXPECT_EQ(judged(dns).result, Outcome::fail);
  EXPECT_EQ(judged(dns).name, "");
}

TEST(Iprev, IsAPermanentErrorWithoutNames) {
  FakeDns dns;
  EXPECT_EQ(judged(dns).result, Outcome::permerror);
}

TEST(Iprev, IsATemporaryErrorWhenTheDnsFails) {
  auto reverse = FakeDns().fails("1.2.0.192.in-addr.arpa", Type::ptr);
  EXPECT_EQ(judged(reverse).result, Outcome::temperror);
  auto forward = FakeDns().ptr("192.0.2.1", "slow.example").ptr("192.0.2.1", "liar.example").fails("slow.example", Type::a);
  EXPECT_EQ(judged(forward).result, Outcome::temperror);
  forward.ptr("192.0.2.1", "ok.example").a("ok.example", "192.0.2.1");
  EXPECT_EQ(judged(forward).result, Outcome::pass);
}

TEST(Iprev, JudgesEachFamilyByItsOwnRecords) {
  auto dns = FakeDns().ptr("2001:db8::1", "six.example").aaaa("six.example", "2001:db8::1").a("six.example", "192.0.2.1");
  EXPECT_EQ(judged(dns, "2001:db8::1").result, Outcome::pass);
  auto mapped = FakeDns().ptr("192.0.2.1", "four.example").a("four.example", "192.0.2.1");
  EXPECT_EQ(judged(mapped, "::ffff:192.0.2.1").result, Outcome::pass);
}

TEST(Iprev, ReadsTenNamesAndNotEleven) {
  FakeDns dns;
  for (std::size_t i = 0; i < limits::kIprevNames - 1; ++i) dns.ptr("192.0.2.1", "n" + std::to_string(i) + ".example");
  dns.ptr("192.0.2.1", "ok.example").a("ok.example", "192.0.2.1");
  EXPECT_EQ(judged(dns).result, Outcome::pass);
  FakeDns more;
  for (std::size_t i = 0; i < limits::kIprevNames; ++i) more.ptr("192.0.2.1", "n" + std::to_string(i) + ".example");
  more.ptr("192.0.2.1", "ok.example").a("ok.example", "192.0.2.1");
  EXPECT_EQ(judged(more).result, Outcome::fail);
  EXPECT_EQ(more.asked.size(), 1 + limits::kIprevNames);
}

}  // namespace
}  // namespace postern::mail::iprev
