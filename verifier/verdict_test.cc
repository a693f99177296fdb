#include "verifier/verdict.h"

#include <gtest/gtest.h>

namespace postern::verifier {
namespace {

mail::judge::MessageVerdict verdict_with(mail::dmarc::Policy disposition) {
  mail::judge::MessageVerdict verdict;
  verdict.dmarc.disposition = disposition;
  verdict.dmarc.domain = "bank.example";
  verdict.dmarc.reason = "p=reject";
  return verdict;
}

struct Case {
  mail::dmarc::Policy disposition;
  PolicyMode mode;
  unsigned code;
  bool to_junk;
};
class Disposition : public testing::TestWithParam<Case> {};

TEST_P(Disposition, FollowsTheOperatorsMode) {
  const Case& c = GetParam();
  const Decision decision = decide(verdict_with(c.disposition), c.mode);
  EXPECT_EQ(decision.refusal.code, c.code);
  EXPECT_EQ(decision.to_junk, c.to_junk);
}

using mail::dmarc::Policy;
INSTANTIATE_TEST_SUITE_P(Table, Disposition,
                         testing::Values(Case{Policy::none, PolicyMode::honour, 250, false}, Case{Policy::quarantine, PolicyMode::honour, 250, true},
                                         Case{Policy::reject, PolicyMode::honour, 550, false}, Case{Policy::reject, PolicyMode::quarantine, 250, true},
                                         Case{Policy::reject, PolicyMode::observe, 250, false},
                                         Case{Policy::quarantine, PolicyMode::observe, 250, false}));

TEST(Decision, ARefusalNamesDomainAndReasonAndNoControlCharacter) {
  auto verdict = verdict_with(Policy::reject);
  verdict.dmarc.domain = "bad\r\n250 ok.example";
  const Decision decision = decide(verdict, PolicyMode::honour);
  EXPECT_EQ(decision.refusal.enhanced, "5.7.1");
  EXPECT_EQ(decision.refusal.text.find_first_of("\r\n"), std::string::npos);
  EXPECT_NE(decision.refusal.text.find("p=reject"), std::string::npos);
}

TEST(Decision, AProvedDomainMayHearOfFailures) {
  auto verdict = verdict_with(Policy::none);
  EXPECT_EQ(decide(verdict, PolicyMode::honour).auth_domain, "");
  mail::dkim::SignatureResult signature;
  signature.domain = "list.example";
  signature.result = mail::dkim::Outcome::pass;
  verdict.dkim.push_back(signature);
  EXPECT_EQ(decide(verdict, PolicyMode::honour).auth_domain, "list.example");
}

TEST(ReceivedSpf, NoInputYieldsAnotherField) {                 // RFC 7208 §9.1
  mail::judge::MessageQuery query;
  query.helo = "x\"\r\nBcc: evil@example";
  query.mail_from = "a\r\n\r\nbody@example";
  const std::string field = received_spf(query, {});
  const auto header = mail::parse_header(bytes_of(field));
  ASSERT_TRUE(header);
  ASSERT_EQ(header->fields.size(), 1U);
  EXPECT_TRUE(header->fields[0].is("Received-SPF"));
}

}  // namespace
}  // namespace postern::verifier
