#include "verifier/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace postern::verifier {
namespace {

using mail::dns::Answer;
using mail::dns::Question;

/// Answers from a table, at once or only when told to.
class TableResolver final : public mail::dns::Resolver {
 public:
  std::map<Question, Answer> table;
  bool silent = false;
  std::vector<Question> asked;
  std::vector<Done> waiting;
  void ask(const Question& question, Done done) override {
    asked.push_back(question);
    if (silent) return waiting.push_back(std::move(done));
    const auto it = table.find(question);
    if (it != table.end()) return done(it->second);
    Answer none;
    none.status = mail::dns::Status::none;
    none.nxdomain = true;
    done(none);
  }
};

Answer txt(std::string text) {
  Answer answer;
  answer.status = mail::dns::Status::found;
  answer.records.push_back(mail::dns::Text{std::move(text)});
  return answer;
}

struct Fixture {
  io::Loop loop;
  TableResolver resolver;
  std::string message = "From: a@sender.example\r\nSubject: x\r\n\r\nhi\r\n";
  std::optional<Judgement::Outcome> outcome;

  std::shared_ptr<Judgement> judgement() {
    mail::judge::MessageQuery query;
    query.client = *IpAddress::parse("192.0.2.1");
    query.helo = "mta.sender.example";
    query.mail_from = "a@sender.example";
    query.authserv_id = "mx.ours.example";
    query.now = loop.now();
    auto judge = mail::judge::MessageJudge::create(bytes_of(message), query);
    EXPECT_TRUE(judge);
    return std::make_shared<Judgement>(loop, loop, resolver, *std::move(judge), [this](Judgement::Outcome o) {
      EXPECT_FALSE(outcome);
      outcome = std::move(o);
      loop.stop();
    });
  }
};

TEST(Judgement, AsksAndJudges) {
  Fixture f;
  f.resolver.table[{"sender.example", mail::dns::Type::txt}] = txt("v=spf1 ip4:192.0.2.1 -all");
  f.judgement()->start(std::chrono::seconds(10));
  ASSERT_TRUE(f.outcome);
  EXPECT_EQ(f.outcome->verdict.spf.result, mail::spf::Outcome::pass);
  EXPECT_NE(f.outcome->verdict.authentication_results.find("spf=pass"), std::string::npos);
  EXPECT_FALSE(f.outcome->evidence.empty());
}

TEST(Judgement, NoQuestionIsAskedTwice) {
  Fixture f;
  f.resolver.table[{"sender.example", mail::dns::Type::txt}] = txt("v=spf1 a mx include:other.example -all");
  f.judgement()->start(std::chrono::seconds(10));
  ASSERT_TRUE(f.outcome);
  auto asked = f.resolver.asked;
  std::sort(asked.begin(), asked.end());
  EXPECT_EQ(std::adjacent_find(asked.begin(), asked.end()), asked.end());
}

TEST(Judgement, PastItsDeadlineWhatIsUnknownIsATemporaryError) {
  Fixture f;
  f.resolver.silent = true;
  f.judgement()->start(std::chrono::milliseconds(20));
  EXPECT_FALSE(f.outcome);
  f.loop.run();
  ASSERT_TRUE(f.outcome);
  EXPECT_EQ(f.outcome->verdict.spf.result, mail::spf::Outcome::temperror);
  // Answers that come afterwards change nothing and find nobody.
  for (auto& done : f.resolver.waiting) done(Answer{});
}

}  // namespace
}  // namespace postern::verifier
