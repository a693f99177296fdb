#include "privsep/control/check/dns_driver.h"

#include <gtest/gtest.h>

#include "mail/auth/fake_dns.h"
#include "mail/auth/spf.h"

namespace postern::check {
namespace {

using mail::dns::Facts;
using mail::dns::Questions;

std::variant<mail::spf::Verdict, Questions> judge(const Facts& facts) {
  const mail::spf::Query query{.client = *IpAddress::parse("192.0.2.1"), .helo = "h.example", .mail_from = "a@example.com"};
  return mail::spf::check_host(query, facts);
}

TEST(DnsDriver, AsksUntilTheJudgeHasItsVerdict) {
  auto dns = mail::dns::FakeDns().txt("example.com", "v=spf1 mx -all").mx("example.com", 1, "m.example").a("m.example", "192.0.2.1");
  Facts facts;
  const auto verdict = drive(judge, facts, [&](const Questions& questions, Facts& known) { dns.answer(questions, known); });
  EXPECT_EQ(verdict.result, mail::spf::Outcome::pass);
  EXPECT_EQ(facts.all().size(), 3U);  // the facts are the evidence
}

TEST(DnsDriver, PastTheDeadlineEveryAnswerIsAFailureAndNobodyIsAsked) {
  auto resolver = io::SyncResolver::create({.upstream = *io::Endpoint::parse("127.0.0.1:9")});
  ASSERT_TRUE(resolver);
  const SteadyTime start = SystemClock().steady();
  Facts facts;
  const auto verdict = drive(judge, facts, answers_from(*resolver, start));
  EXPECT_EQ(verdict.result, mail::spf::Outcome::temperror);
  EXPECT_LT(SystemClock().steady() - start, std::chrono::seconds(1));
}

TEST(DnsDriver, ASilentServerCostsNoMoreThanTheDeadline) {
  auto resolver = io::SyncResolver::create({.upstream = *io::Endpoint::parse("127.0.0.1:9")});
  ASSERT_TRUE(resolver);
  const SteadyTime start = SystemClock().steady();
  Facts facts;
  resolver->answer({{"a.example", mail::dns::Type::a}, {"b.example", mail::dns::Type::mx}}, facts, start + std::chrono::milliseconds(300));
  EXPECT_LT(SystemClock().steady() - start, std::chrono::seconds(2));
  ASSERT_NE(facts.find("a.example", mail::dns::Type::a), nullptr);
  EXPECT_EQ(facts.find("a.example", mail::dns::Type::a)->status, mail::dns::Status::failure);
  EXPECT_EQ(facts.find("b.example", mail::dns::Type::mx)->status, mail::dns::Status::failure);
}

TEST(DnsDriver, ANameTheDnsCannotHoldIsAbsent) {
  auto resolver = io::SyncResolver::create({.upstream = *io::Endpoint::parse("127.0.0.1:9")});
  ASSERT_TRUE(resolver);
  Facts facts;
  resolver->answer({{"a..example", mail::dns::Type::a}}, facts, SystemClock().steady() + std::chrono::seconds(5));
  const auto* answer = facts.find("a..example", mail::dns::Type::a);
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer->status, mail::dns::Status::none);
  EXPECT_TRUE(answer->nxdomain);
}

}  // namespace
}  // namespace postern::check
