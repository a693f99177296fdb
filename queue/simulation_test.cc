// The schedule in simulated time: thousands of destinations with manners of their own, days of retries in a second or two.
#include <gtest/gtest.h>

#include <map>
#include <queue>
#include <set>

#include "queue/scheduler.h"

namespace postern::queue {
namespace {

using namespace std::chrono_literals;

const std::vector<std::chrono::seconds> kDefaultCurve{5min, 10min, 20min, 40min, 1h, 2h, 4h};

/// How a destination answers.
enum class Manner { good, slow, dead, grey, fickle, full };

struct Simulation {
  struct Landing {
    WallTime at;
    Scheduler::Job job;
    Feedback feedback;
    bool delivered;
    bool operator>(const Landing& other) const { return at > other.at; }
  };
  struct Letter {
    WallTime at;
    std::string destination;
    std::uint32_t sender;
    bool operator>(const Letter& other) const { return at > other.at; }
  };
  struct Sent {
    WallTime at;
    std::string destination;
    std::uint32_t sender = 0;
  };
  FakeClock clock;
  Scheduler scheduler{clock, {RetryCurve(kDefaultCurve), 500, 20}};
  std::map<std::string, Manner> manners;
  std::priority_queue<Landing, std::vector<Landing>, std::greater<>> under_way;
  std::priority_queue<Letter, std::vector<Letter>, std::greater<>> to_come;
  std::map<Number, Sent> sent;
  std::map<Number, WallTime> delivered, expired;
  std::map<std::pair<std::string, std::uint32_t>, Number> last_first_try;  // by destination and sender
  std::size_t most_running = 0, out_of_order = 0;
  Number last = 0;
  std::uint64_t random = 88172645463325252ULL;

  std::uint64_t roll() {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random;
  }
  Number add(const std::string& destination, std::uint32_t sender) {
    Scheduler::Entry entry;
    entry.number = ++last;
    entry.expires = clock.now() + 120h;
    entry.sender = sender;
    const Scheduler::NewGroup group{destination, Route::remote, clock.now(), 0};
    scheduler.add(entry, {&group, 1});
    sent[last] = {clock.now(), destination, sender};
    return last;
  }
  void launch(const Scheduler::Job& job) {
    if (job.attempts == 0) {
      Number& before = last_first_try[{job.destination, sent[job.number].sender}];
      out_of_order += job.number < before ? 1U : 0U;
      before = job.number;
    }
    const WallTime now = clock.now();
    switch (manners[job.destination]) {
      case Manner::good: return under_way.push({now + 1s, job, Feedback::taken, true});
      case Manner::slow: return under_way.push({now + 60s, job, Feedback::taken, true});
      case Manner::dead: return under_way.push({now + 30s, job, Feedback::dead, false});
      case Manner::grey: return under_way.push({now + 1s, job, job.attempts == 0 ? Feedback::refused : Feedback::taken, job.attempts > 0});
      case Manner::fickle: {
        const bool takes = roll() % 3 != 0;
        return under_way.push({now + 2s, job, takes ? Feedback::taken : Feedback::busy, takes});
      }
      case Manner::full: return under_way.push({now + 1s, job, Feedback::refused, false});
    }
  }
  void land(const Landing& l) {
    scheduler.landed(l.job.group, l.feedback);
    if (l.delivered) {
      delivered[l.job.number] = clock.now();
      return scheduler.done(l.job.group);
    }
    const bool grey = manners[l.job.destination] == Manner::grey;
    const privsep::SmtpReply reply{static_cast<std::uint16_t>(grey ? 450 : 451), grey ? "4.7.1" : "4.4.1", "later"};
    const WallTime expires = scheduler.expires(l.job.number);
    if (clock.now() >= expires) {  // as the engine does (delivery.h)
      expired[l.job.number] = clock.now();
      return scheduler.done(l.job.group);
    }
    const auto pause = RetryCurve(kDefaultCurve).pause(l.job.attempts + 1U, reply);
    scheduler.defer(l.job.group, std::min(clock.now() + pause, expires));
  }
  void expire(Number number) {
    bool later = false;
    for (const auto& group : scheduler.groups(number)) {
      if (const auto claimed = scheduler.claim(group.id)) {
        scheduler.done(*claimed);
        expired[number] = clock.now();
      } else {
        later = true;
      }
    }
    if (later) scheduler.expire_at(number, clock.now() + 10s);
  }
  void step() {
    while (!to_come.empty() && to_come.top().at <= clock.now()) {
      add(to_come.top().destination, to_come.top().sender);
      to_come.pop();
    }
    scheduler.advance();
    while (const auto event = scheduler.event())
      if (event->kind == Scheduler::EventKind::expired) expire(event->number);
    while (auto job = scheduler.next()) launch(*job);
    most_running = std::max(most_running, under_way.size());
  }
  /// Until everything has ended, or `until`.
  void run(std::optional<WallTime> until = std::nullopt) {
    for (std::size_t steps = 0;; ++steps) {
      ASSERT_LT(steps, 20'000'000U) << "it never ends";
      step();
      std::optional<WallTime> next = scheduler.wake();
      const auto sooner = [&](WallTime at) { next = next ? std::min(*next, at) : at; };
      if (!under_way.empty()) sooner(under_way.top().at);
      if (!to_come.empty()) sooner(to_come.top().at);
      if (scheduler.messages() == 0 && to_come.empty()) return;
      ASSERT_TRUE(next.has_value()) << scheduler.messages() << " messages wait for nothing";
      if (until && *next > *until) return void(clock.advance(*until - clock.now()));
      if (*next > clock.now()) clock.advance(*next - clock.now());
      while (!under_way.empty() && under_way.top().at <= clock.now()) {
        const Landing l = under_way.top();
        under_way.pop();
        land(l);
      }
    }
  }
};

TEST(Simulation, EveryMessageToFiveThousandDestinationsEndsByItsExpiry) {
  Simulation s;
  constexpr std::uint32_t kDestinations = 5000;
  for (std::uint32_t round = 0; round < 4; ++round) {
    for (std::uint32_t d = 0; d < kDestinations; ++d) {
      const std::string name = "d" + std::to_string(d) + ".example";
      s.manners[name] = static_cast<Manner>(d % 6);
      s.add(name, d % 100);
    }
    s.run(s.clock.now() + 10min);
  }
  s.run();
  EXPECT_LE(s.most_running, 500U);
  EXPECT_EQ(s.out_of_order, 0U) << "first in, first out, for a sender at a destination";
  EXPECT_EQ(s.delivered.size() + s.expired.size(), s.sent.size());
  for (const auto& [number, sent] : s.sent) {
    const Manner manner = s.manners[sent.destination];
    const bool hopeless = manner == Manner::dead || manner == Manner::full;
    ASSERT_EQ(s.expired.contains(number), hopeless) << number;
    const WallTime end = hopeless ? s.expired[number] : s.delivered[number];
    ASSERT_LE(end - sent.at, 120h + 2min) << "nothing outlives its expiry by more than one attempt";
    ASSERT_TRUE(!hopeless || end - sent.at >= 120h) << "nothing is given up before";
    ASSERT_TRUE(manner != Manner::grey || end - sent.at <= 15min) << "greylisting is met with a short first retry";
  }
}

TEST(Simulation, AListOfAHundredThousandDoesNotDelaySingleLetters) {
  Simulation s;
  constexpr std::uint32_t kList = 1;
  const WallTime begin = s.clock.now();
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const std::uint32_t d = i % 4000;
    const std::string name = "d" + std::to_string(d) + ".example";
    s.manners[name] = d % 10 == 0 ? Manner::dead : d % 10 == 1 ? Manner::grey : d % 10 == 2 ? Manner::slow : Manner::good;
    s.add(name, kList);
  }
  // A letter every two seconds for ten minutes: half to places the list goes to as well, half to others.
  std::set<std::uint32_t> people;
  for (std::uint32_t i = 0; i < 300; ++i) {
    const std::string name = i % 2 == 0 ? "d" + std::to_string(10 * (i % 400) + 5) + ".example" : "friend" + std::to_string(i) + ".example";
    s.manners[name] = Manner::good;
    s.to_come.push({begin + 2s * (i + 1), name, 1000 + i});
    people.insert(1000 + i);
  }
  s.run();
  EXPECT_EQ(s.out_of_order, 0U);
  std::chrono::milliseconds longest{0};
  std::size_t letters = 0;
  for (const auto& [number, sent] : s.sent) {
    if (!people.contains(sent.sender)) continue;
    ++letters;
    ASSERT_TRUE(s.delivered.contains(number)) << sent.destination;
    longest = std::max(longest, std::chrono::duration_cast<std::chrono::milliseconds>(s.delivered[number] - sent.at));
  }
  EXPECT_EQ(letters, 300U);
  RecordProperty("longest_ms", static_cast<int>(longest.count()));
  EXPECT_LE(longest, 5s) << "one second is what a delivery takes";
  EXPECT_EQ(s.delivered.size() + s.expired.size(), s.sent.size());
}

/// When the last of 20,000 messages to fifty good places is delivered, beside hosts that are dead: some were tried before, one is new.
std::chrono::milliseconds time_of_the_good(std::uint32_t known_dead, bool a_new_dead_one) {
  Simulation s;
  for (std::uint32_t d = 0; d < known_dead; ++d) {
    const std::string name = "dead" + std::to_string(d) + ".example";
    s.manners[name] = Manner::dead;
    for (int m = 0; m < 20; ++m) s.add(name, 100 + d);
  }
  s.run(s.clock.now() + 3h);
  const WallTime begin = s.clock.now();
  s.manners["dead.example"] = Manner::dead;
  if (a_new_dead_one)
    for (int i = 0; i < 5000; ++i) s.add("dead.example", 1);
  const Number first = s.last + 1;
  for (int i = 0; i < 400; ++i)
    for (int d = 0; d < 50; ++d) s.add("good" + std::to_string(d) + ".example", 2);
  s.run(begin + 30min);
  WallTime end = begin;
  for (Number n = first; n <= s.last; ++n) {
    const auto found = s.delivered.find(n);
    if (found == s.delivered.end()) return 24h;
    end = std::max(end, found->second);
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(end - begin);
}

TEST(Simulation, ADeadHostCostsOthersLessThanFivePercent) {
  const auto alone = time_of_the_good(0, false);
  EXPECT_LE(time_of_the_good(0, true).count() * 100, alone.count() * 105);
}

TEST(Simulation, TwoThousandDeadHostsCostOthersLessThanFivePercent) {
  const auto alone = time_of_the_good(0, false);
  EXPECT_LE(time_of_the_good(2000, true).count() * 100, alone.count() * 105);
}

}  // namespace
}  // namespace postern::queue
