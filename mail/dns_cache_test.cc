#include "mail/dns_cache.h"

#include <gtest/gtest.h>

#include <optional>

namespace postern::mail::dns {
namespace {

using std::chrono::seconds;

/// Answers when told to.
struct Upstream : Resolver {
  std::vector<std::pair<Question, Done>> asked;
  void ask(const Question& question, Done done) override { asked.emplace_back(question, std::move(done)); }
  void reply(std::size_t index, const Answer& answer) { asked.at(index).second(answer); }
};

Answer found(seconds ttl, std::string text = "v=spf1 -all") {
  Answer answer;
  answer.status = Status::found;
  answer.ttl = ttl;
  answer.records = {Text{std::move(text)}};
  return answer;
}
Answer absent(seconds ttl) {
  Answer answer;
  answer.status = Status::none;
  answer.ttl = ttl;
  return answer;
}

class Cache : public ::testing::Test {
 protected:
  /// Asks, and gives the answer when it came at once.
  std::optional<Answer> ask(const std::string& name) {
    auto got = std::make_shared<std::optional<Answer>>();
    cache.ask({name, Type::txt}, [got](const Answer& answer) { *got = answer; });
    return *got;
  }
  void learn(const std::string& name, const Answer& answer) {
    ASSERT_FALSE(ask(name));
    upstream.reply(upstream.asked.size() - 1, answer);
  }
  Upstream upstream;
  FakeClock clock;
  CachingResolver cache{upstream, clock, {.max_entries = 3, .max_ttl = seconds(1000), .max_negative_ttl = seconds(100)}};
};

TEST_F(Cache, AnswerIsKeptForItsTtlAndAges) {
  learn("a.example", found(seconds(60)));
  clock.advance(seconds(59));
  const auto again = ask("A.Example.");  // names have no case and no final dot
  ASSERT_TRUE(again);
  EXPECT_EQ(again->ttl, seconds(1));
  EXPECT_EQ(records_of<Text>(*again).at(0).value, "v=spf1 -all");
  clock.advance(seconds(1));
  EXPECT_FALSE(ask("a.example"));
  EXPECT_EQ(upstream.asked.size(), 2U);
}

TEST_F(Cache, LongTtlsAreCutAndZeroIsNotKept) {
  learn("long.example", found(seconds(5000)));
  clock.advance(seconds(999));
  EXPECT_TRUE(ask("long.example"));
  clock.advance(seconds(1));
  EXPECT_FALSE(ask("long.example"));
  learn("zero.example", found(seconds(0)));
  EXPECT_FALSE(ask("zero.example"));
}

TEST_F(Cache, AbsencesAndFailuresAreKeptForLess) {
  learn("none.example", absent(seconds(500)));
  learn("bad.example", Answer{});
  clock.advance(seconds(4));
  EXPECT_EQ(ask("bad.example")->status, Status::failure);
  clock.advance(seconds(1));
  EXPECT_FALSE(ask("bad.example"));
  EXPECT_EQ(ask("none.example")->status, Status::none);
  clock.advance(seconds(95));
  EXPECT_FALSE(ask("none.example"));
}

TEST_F(Cache, SameQuestionInFlightIsAskedOnce) {
  int answers = 0;
  for (int i = 0; i < 3; ++i) cache.ask({"a.example", Type::txt}, [&](const Answer&) { ++answers; });
  cache.ask({"a.example", Type::mx}, [](const Answer&) {});
  ASSERT_EQ(upstream.asked.size(), 2U);  // another type is another question
  upstream.reply(0, found(seconds(60)));
  EXPECT_EQ(answers, 3);
  EXPECT_EQ(cache.stats().joined, 2U);
}

TEST_F(Cache, CallbackMayAskAgain) {
  bool nested = false;
  cache.ask({"a.example", Type::txt}, [&](const Answer&) { nested = ask("a.example").has_value(); });
  upstream.reply(0, found(seconds(60)));
  EXPECT_TRUE(nested);
}

TEST_F(Cache, LeastRecentlyUsedLeavesFirst) {
  for (const char* name : {"a.example", "b.example", "c.example"}) learn(name, found(seconds(60)));
  EXPECT_TRUE(ask("a.example"));
  learn("d.example", found(seconds(60)));
  EXPECT_TRUE(ask("a.example"));
  EXPECT_FALSE(ask("b.example"));
  EXPECT_EQ(cache.stats().evicted, 1U);
  EXPECT_EQ(cache.stats().entries, 3U);
}

TEST_F(Cache, HugeAnswerIsPassedOnButNotKept) {
  std::size_t seen = 0;
  cache.ask({"huge.example", Type::txt}, [&](const Answer& answer) { seen = records_of<Text>(answer).at(0).value.size(); });
  upstream.reply(0, found(seconds(60), std::string(70'000, 'x')));
  EXPECT_EQ(seen, 70'000U);
  EXPECT_FALSE(ask("huge.example"));
}

TEST_F(Cache, ClearForgets) {
  learn("a.example", found(seconds(60)));
  cache.clear();
  EXPECT_FALSE(ask("a.example"));
}

}  // namespace
}  // namespace postern::mail::dns
