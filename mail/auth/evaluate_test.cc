#include "mail/auth/evaluate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "mail/auth/authres.h"
#include "mail/auth/evidence.h"
#include "mail/auth/fake_dns.h"
#include "mail/limits.h"

namespace postern::mail::judge {
namespace {

MessageQuery query_from(const char* client, const char* mail_from) {
  MessageQuery query;
  query.client = *IpAddress::parse(client);
  query.helo = "mta.example.com";
  query.mail_from = mail_from;
  query.authserv_id = "mx.test.invalid";
  query.now = WallTime{std::chrono::seconds{1'790'000'000}};
  return query;
}

struct Judged {
  MessageVerdict verdict;
  dns::Facts facts;
  std::size_t rounds = 0;
};

Judged judge(dns::FakeDns& dns, const std::string& message, const MessageQuery& query) {
  auto judge = MessageJudge::create(bytes_of(message), query);
  Judged out;
  for (; out.rounds < 100; ++out.rounds) {
    auto outcome = judge->evaluate(out.facts);
    if (auto* verdict = std::get_if<MessageVerdict>(&outcome)) {
      out.verdict = std::move(*verdict);
      return out;
    }
    const auto& questions = std::get<dns::Questions>(outcome);
    EXPECT_FALSE(questions.empty());
    for (const auto& question : questions) EXPECT_FALSE(out.facts.has(question)) << question.name;
    dns.answer(questions, out.facts);
  }
  ADD_FAILURE() << "no verdict";
  return out;
}

dns::FakeDns example_zone() {
  dns::FakeDns dns;
  dns.txt("example.com", "v=spf1 ip4:192.0.2.1 -all").txt("_dmarc.example.com", "v=DMARC1; p=reject").ptr("192.0.2.1", "mta.example.com").a("mta.example.com", "192.0.2.1");
  dns.txt("default._bimi.example.com", "v=BIMI1; l=https://example.com/l.svg");
  return dns;
}

const std::string kMessage = "From: A <a@example.com>\r\nTo: b@x.example\r\nSubject: hi\r\n\r\nbody\r\n";

TEST(MessageJudge, JudgesEverythingAndSaysSoInOneField) {
  auto dns = example_zone();
  const auto judged = judge(dns, kMessage, query_from("192.0.2.1", "bounce@example.com"));
  const auto& verdict = judged.verdict;
  EXPECT_EQ(verdict.spf.result, spf::Outcome::pass);
  EXPECT_EQ(verdict.dmarc.result, dmarc::Outcome::pass);
  EXPECT_TRUE(verdict.dmarc.spf_aligned);
  EXPECT_EQ(verdict.arc.status, arc::Status::none);
  EXPECT_EQ(verdict.iprev.result, iprev::Outcome::pass);
  EXPECT_EQ(verdict.bimi.result, bimi::Outcome::pass);
  const auto parsed = authres::parse(verdict.authentication_results);
  ASSERT_TRUE(parsed) << verdict.authentication_results;
  EXPECT_EQ(parsed->authserv_id, "mx.test.invalid");
  std::map<std::string, std::string> said;
  for (const auto& result : parsed->results) said.emplace(result.method, result.result);
  EXPECT_EQ(said, (std::map<std::string, std::string>{{"spf", "pass"}, {"dkim", "none"}, {"dmarc", "pass"}, {"arc", "none"}, {"iprev", "pass"}, {"bimi", "pass"}}));
  EXPECT_GE(verdict.reasons.size(), 5U);
}

TEST(MessageJudge, AsksIndependentQuestionsTogether) {
  auto dns = example_zone();
  auto judge = MessageJudge::create(bytes_of(kMessage), query_from("192.0.2.1", "bounce@example.com"));
  const auto first = std::get<dns::Questions>(judge->evaluate({}));
  const auto has = [&](const char* name, dns::Type type) { return std::find(first.begin(), first.end(), dns::Question{name, type}) != first.end(); };
  EXPECT_TRUE(has("example.com", dns::Type::txt));
  EXPECT_TRUE(has("_dmarc.example.com", dns::Type::txt));
  EXPECT_TRUE(has("mta.example.com", dns::Type::txt));
  EXPECT_TRUE(has("1.2.0.192.in-addr.arpa", dns::Type::ptr));
}

TEST(MessageJudge, ForgedMailIsToBeRejected) {
  auto dns = example_zone();
  const auto judged = judge(dns, kMessage, query_from("203.0.113.9", "x@evil.example"));
  EXPECT_EQ(judged.verdict.dmarc.result, dmarc::Outcome::fail);
  EXPECT_EQ(judged.verdict.dmarc.disposition, dmarc::Policy::reject);
  EXPECT_EQ(judged.verdict.bimi.result, bimi::Outcome::skipped);
}

TEST(MessageJudge, AllowListAndListsAreNamed) {
  auto dns = example_zone();
  auto query = query_from("203.0.113.9", "x@evil.example");
  query.spare_mailing_lists = true;
  EXPECT_EQ(judge(dns, "List-Id: <l.example>\r\n" + kMessage, query).verdict.dmarc.disposition, dmarc::Policy::quarantine);
  query.allowed_by = "203.0.113.0/24";
  EXPECT_EQ(judge(dns, kMessage, query).verdict.dmarc.disposition, dmarc::Policy::none);
}

TEST(MessageJudge, SilentNameServersGiveTemporaryResults) {
  dns::FakeDns dns;
  dns.fails("example.com", dns::Type::txt).fails("_dmarc.example.com", dns::Type::txt);
  const auto judged = judge(dns, kMessage, query_from("192.0.2.1", "bounce@example.com"));
  EXPECT_EQ(judged.verdict.spf.result, spf::Outcome::temperror);
  EXPECT_EQ(judged.verdict.dmarc.result, dmarc::Outcome::temperror);
  EXPECT_EQ(judged.verdict.dmarc.disposition, dmarc::Policy::none);
}

TEST(Evidence, HoldsFactsAndStaysWithinItsSize) {
  auto dns = example_zone();
  const auto query = query_from("192.0.2.1", "bounce@example.com");
  auto judged = judge(dns, kMessage, query);
  const auto small = nlohmann::json::parse(evidence::encode(query, judged.verdict, judged.facts, std::chrono::milliseconds{12}));
  EXPECT_EQ(small["milliseconds"], 12);
  EXPECT_EQ(small["truncated"], false);
  EXPECT_EQ(small["facts"].size(), judged.facts.all().size());
  EXPECT_EQ(small["dmarc"]["policy"], "reject");
  for (int i = 0; i < 500; ++i) {
    dns::Answer answer;
    answer.status = dns::Status::found;
    answer.records.assign(30, dns::Text{std::string(5000, '\xff')});
    judged.facts.add({"n" + std::to_string(i) + ".example", dns::Type::txt}, answer);
  }
  dkim::SignatureResult signature;
  signature.reason = std::string(500, 'x');
  signature.domain = std::string(250, 'd');
  judged.verdict.dkim.assign(2000, signature);
  for (int i = 0; i < 2000; ++i) judged.verdict.reasons.push_back(std::string(500, 'y'));
  const auto text = evidence::encode(query, judged.verdict, judged.facts, std::chrono::milliseconds{12});
  EXPECT_LE(text.size(), limits::kEvidenceBytes);
  EXPECT_EQ(nlohmann::json::parse(text)["truncated"], true);
}

}  // namespace
}  // namespace postern::mail::judge
