#include "queue/scheduler.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <map>
#include <queue>
#include <set>

namespace postern::queue {
namespace {

using namespace std::chrono_literals;

const std::vector<std::chrono::seconds> kDefaultCurve{5min, 10min, 20min, 40min, 1h, 2h, 4h};

struct World {
  FakeClock clock;
  Scheduler scheduler{clock, {RetryCurve(kDefaultCurve), 500, 20}};
  Number last = 0;

  Number add(std::string_view destination, std::uint32_t sender = 1, std::chrono::milliseconds in = 0ms) {
    Scheduler::Entry entry;
    entry.number = ++last;
    entry.expires = clock.now() + 120h;
    entry.sender = sender;
    const Scheduler::NewGroup group{destination, destination == "local" ? Route::local : Route::remote, clock.now() + in, 0};
    scheduler.add(entry, {&group, 1});
    return last;
  }
  std::vector<Scheduler::Job> start_all() {
    scheduler.advance();
    std::vector<Scheduler::Job> jobs;
    while (auto job = scheduler.next()) jobs.push_back(*job);
    return jobs;
  }
  void deliver(const Scheduler::Job& job, Feedback feedback = Feedback::taken) {
    scheduler.landed(job.group, feedback);
    scheduler.done(job.group);
  }
};

TEST(Scheduler, KeepsTheOrderOfOneSendersMailToOneDestination) {
  World w;
  for (int i = 0; i < 50; ++i) w.add("example.org");
  Number expected = 1;
  while (expected <= 50) {
    const auto jobs = w.start_all();
    ASSERT_FALSE(jobs.empty());
    for (const auto& job : jobs) EXPECT_EQ(job.number, expected++);
    for (const auto& job : jobs) w.deliver(job);
  }
  EXPECT_EQ(w.scheduler.messages(), 0U);
}

TEST(Scheduler, BeginsSmallGrowsOnSuccessAndHalvesWhenAskedForLess) {
  World w;
  for (int i = 0; i < 400; ++i) w.add("example.org");
  auto jobs = w.start_all();
  EXPECT_EQ(jobs.size(), limits::kFirstWindow);
  for (int round = 0; round < 10; ++round) {
    for (const auto& job : jobs) w.deliver(job);
    jobs = w.start_all();
  }
  EXPECT_EQ(jobs.size(), 20U);
  w.deliver(jobs[0], Feedback::busy);
  EXPECT_TRUE(w.start_all().empty()) << "19 still run, 10 are allowed";
  for (std::size_t i = 1; i < jobs.size(); ++i) {
    w.scheduler.landed(jobs[i].group, Feedback::refused);
    w.scheduler.done(jobs[i].group);
  }
  EXPECT_EQ(w.start_all().size(), 10U);
}

TEST(Scheduler, MessagesOfADeadHostShareItsPauseAndOneProbes) {
  World w;
  for (int i = 0; i < 100; ++i) w.add("dead.example");
  for (const auto& job : w.start_all()) {
    w.scheduler.landed(job.group, Feedback::dead);
    w.scheduler.defer(job.group, w.clock.now() + 5min);
  }
  EXPECT_TRUE(w.start_all().empty()) << "98 are due, none may try";
  w.clock.advance(5min);
  const auto probes = w.start_all();
  ASSERT_EQ(probes.size(), 1U);
  w.deliver(probes[0]);
  EXPECT_EQ(w.start_all().size(), 2U) << "it lives again";
}

TEST(Scheduler, FailuresSideBySideLengthenThePauseOnce) {
  World w;
  w.add("dead.example");
  w.add("dead.example");
  for (const auto& job : w.start_all()) {
    w.scheduler.landed(job.group, Feedback::dead);
    w.scheduler.defer(job.group, w.clock.now() + 5min);
  }
  ASSERT_EQ(w.scheduler.destinations(10).size(), 1U);
  EXPECT_EQ(w.scheduler.destinations(10)[0].failures, 1U);
}

TEST(Scheduler, AHugeListDoesNotDelayOneLetter) {
  World w;
  constexpr std::uint32_t kList = 1, kPerson = 2;
  for (int i = 0; i < 100'000; ++i) w.add("d" + std::to_string(i) + ".example", kList);
  auto running = w.start_all();
  const Number letter = w.add("d7.example", kPerson);
  const Number other = w.add("friend.example", kPerson);
  std::set<Number> started;
  for (int landings = 0; landings < 5 && started.size() < 2; ++landings) {
    w.deliver(running[static_cast<std::size_t>(landings)]);
    for (const auto& job : w.start_all()) started.insert(job.number);
    started.erase(started.lower_bound(1), started.lower_bound(letter));
  }
  EXPECT_TRUE(started.contains(letter));
  EXPECT_TRUE(started.contains(other));
}

TEST(Scheduler, SendersTakeTurnsAtOneDestination) {
  World w;
  for (int i = 0; i < 10'000; ++i) w.add("example.org", 1);
  auto running = w.start_all();
  const Number letter = w.add("example.org", 2);
  bool started = false;
  for (int landings = 0; landings < 3 && !started; ++landings) {
    w.deliver(running.at(static_cast<std::size_t>(landings) % running.size()));
    for (const auto& job : w.start_all()) {
      started = started || job.number == letter;
      running.push_back(job);
    }
    running.erase(running.begin());
  }
  EXPECT_TRUE(started);
}

TEST(Scheduler, UnprovenDestinationsLeaveRoomForProvenOnes) {
  World w;
  const auto first = w.add("good.example");
  auto jobs = w.start_all();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].number, first);
  w.deliver(jobs[0]);
  for (std::uint32_t i = 0; i < 2000; ++i) w.add("unknown" + std::to_string(i) + ".example", 10 + i);
  EXPECT_EQ(w.start_all().size(), 300U);
  const Number letter = w.add("good.example", 2);
  jobs = w.start_all();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].number, letter);
}

TEST(Scheduler, HeldMessagesAndDestinationsWaitAndGoOnWhenReleased) {
  World w;
  const Number message = w.add("a.example");
  w.scheduler.set_held(message, true);
  w.scheduler.set_destination_held("b.example", true);
  w.add("b.example");
  EXPECT_TRUE(w.start_all().empty());
  EXPECT_EQ(w.scheduler.groups_in(GroupState::held), 1U);
  w.scheduler.set_held(message, false);
  w.scheduler.set_destination_held("b.example", false);
  EXPECT_EQ(w.start_all().size(), 2U);
}

/// Each way of holding, and whether anything expired by a time.
struct Holding {
  const char* what;
  void (*set)(Scheduler& scheduler, Number message, bool held);
};
const Holding kHoldings[] = {
    {"the message", [](Scheduler& s, Number m, bool held) { s.set_held(m, held); }},
    {"its destination", [](Scheduler& s, Number, bool held) { s.set_destination_held("a.example", held); }},
    {"everything", [](Scheduler& s, Number, bool held) { s.set_all_held(held); }},
};

bool expires_something(World& w) {
  w.scheduler.advance();
  bool any = false;
  while (const auto event = w.scheduler.event()) {
    if (event->kind != Scheduler::EventKind::expired) continue;
    for (const auto& group : w.scheduler.groups(event->number)) any = any || !group.held;
  }
  return any;
}

TEST(Scheduler, WhatIsHeldDoesNotExpireAndIsTriedOnceMoreWhenLetGo) {
  for (const auto& holding : kHoldings) {
    World w;
    const Number message = w.add("a.example", 1, 130h);
    holding.set(w.scheduler, message, true);
    w.clock.advance(300h);
    EXPECT_FALSE(expires_something(w)) << holding.what;
    EXPECT_TRUE(w.start_all().empty()) << holding.what;
    holding.set(w.scheduler, message, false);
    EXPECT_FALSE(expires_something(w)) << holding.what << ": it is tried before it expires";
    EXPECT_EQ(w.start_all().size(), 1U) << holding.what;
  }
}

TEST(Scheduler, WhatWasHeldPastItsTimeExpiresWhenItsLastChanceHasPassed) {
  for (const auto& holding : kHoldings) {
    World w;
    w.scheduler.set_available(Route::remote, false);
    const Number message = w.add("a.example");
    holding.set(w.scheduler, message, true);
    w.clock.advance(121h);
    EXPECT_FALSE(expires_something(w)) << holding.what;
    holding.set(w.scheduler, message, false);
    w.clock.advance(limits::kLastChance - 1s);
    EXPECT_FALSE(expires_something(w)) << holding.what;
    w.clock.advance(1s);
    EXPECT_TRUE(expires_something(w)) << holding.what;
  }
}

TEST(Scheduler, WhatExpiredWhileNobodyRanIsTriedOnceMore) {
  World w;
  Scheduler::Entry entry;
  entry.number = 1;
  entry.warn_at = w.clock.now() - 100h;
  entry.expires = w.clock.now() - 1h;
  const Scheduler::NewGroup group{"a.example", Route::remote, w.clock.now() + 4h, 3};
  w.scheduler.add(entry, {&group, 1});
  EXPECT_FALSE(expires_something(w));
  EXPECT_EQ(w.start_all().size(), 1U);
  w.clock.advance(limits::kLastChance);
  EXPECT_TRUE(expires_something(w));
}

TEST(Scheduler, AHeldDestinationDoesNotKeepAMessagesOtherRecipientsFromExpiring) {
  World w;
  w.scheduler.set_available(Route::remote, false);
  Scheduler::Entry entry;
  entry.number = 1;
  entry.expires = w.clock.now() + 1h;
  const Scheduler::NewGroup groups[] = {{"a.example", Route::remote, w.clock.now(), 0}, {"b.example", Route::remote, w.clock.now(), 0}};
  w.scheduler.add(entry, groups);
  w.scheduler.set_destination_held("a.example", true);
  w.clock.advance(1h);
  w.scheduler.advance();
  ASSERT_TRUE(w.scheduler.event().has_value());
  std::map<std::string, bool> held;
  for (const auto& info : w.scheduler.groups(1)) held[std::string(info.destination)] = info.held;
  EXPECT_EQ(held, (std::map<std::string, bool>{{"a.example", true}, {"b.example", false}}));
}

TEST(Scheduler, ARouteWithoutItsProcessWaits) {
  World w;
  w.scheduler.set_available(Route::local, false);
  w.add("local");
  w.add("a.example");
  EXPECT_EQ(w.start_all().size(), 1U);
  w.scheduler.set_available(Route::local, true);
  EXPECT_EQ(w.start_all().size(), 1U);
}

TEST(Scheduler, SuspectsGoOneAtATimeAndOthersPassThem) {
  World w;
  const Number a = w.add("local"), b = w.add("local"), c = w.add("local");
  w.scheduler.set_suspect(a);
  w.scheduler.set_suspect(b);
  auto jobs = w.start_all();
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_EQ(jobs[0].number, a);
  EXPECT_EQ(jobs[1].number, c);
  w.deliver(jobs[0]);
  jobs = w.start_all();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].number, b);
}

TEST(Scheduler, AClaimedGroupLeavesItsLaneAndComesBackOnce) {
  World w;
  w.scheduler.set_destination_held("a.example", true);
  const Number first = w.add("a.example"), second = w.add("a.example");
  EXPECT_TRUE(w.start_all().empty());
  const auto claimed = w.scheduler.claim(w.scheduler.groups(first)[0].id);
  ASSERT_TRUE(claimed.has_value());
  w.scheduler.set_destination_held("a.example", false);
  auto jobs = w.start_all();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].number, second);
  w.scheduler.requeue(*claimed, w.clock.now());
  jobs = w.start_all();
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].number, first);
  EXPECT_FALSE(w.scheduler.claim(jobs[0].group).has_value()) << "it is being delivered";
}

TEST(Scheduler, WarnsOnceThenExpires) {
  World w;
  Scheduler::Entry entry;
  entry.number = 1;
  entry.warn_at = w.clock.now() + 4h;
  entry.expires = w.clock.now() + 120h;
  const Scheduler::NewGroup group{"a.example", Route::remote, w.clock.now() + 200h, 0};
  w.scheduler.add(entry, {&group, 1});
  w.clock.advance(4h);
  w.scheduler.advance();
  ASSERT_EQ(w.scheduler.event()->kind, Scheduler::EventKind::late);
  EXPECT_FALSE(w.scheduler.event().has_value());
  EXPECT_EQ(w.scheduler.wake(), entry.expires);
  w.clock.advance(116h);
  w.scheduler.advance();
  EXPECT_EQ(w.scheduler.event()->kind, Scheduler::EventKind::expired);
}

TEST(Scheduler, WakesOfMessagesThatLeftDoNotPileUp) {
  World w;
  for (int i = 0; i < 200'000; ++i) {
    w.add("local");
    for (const auto& job : w.start_all()) w.deliver(job);
  }
  EXPECT_EQ(w.scheduler.messages(), 0U);
  EXPECT_EQ(w.scheduler.wake(), std::nullopt);
}

#ifndef POSTERN_SANITIZED
TEST(Scheduler, AMillionMessagesTakeAtMostThreeHundredBytesEach) {
  const auto before = mallinfo2();
  World w;
  constexpr int kMessages = 1'000'000;
  for (std::uint32_t i = 0; i < kMessages; ++i) w.add("d" + std::to_string(i % 5000) + ".example", i % 50'000, i % 2 == 0 ? 0ms : 1h);
  const auto after = mallinfo2();
  const std::size_t used = (after.uordblks + after.hblkhd) - (before.uordblks + before.hblkhd);
  RecordProperty("bytes_each", static_cast<int>(used / kMessages));
  EXPECT_LE(used / kMessages, 300U);
}
#endif

TEST(FlatMap, AgreesWithAMapUnderChurn) {
  FlatMap flat;
  std::map<std::uint64_t, std::uint32_t> map;
  std::uint64_t random = 12345;
  for (std::uint32_t i = 0; i < 200'000; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const std::uint64_t key = (random >> 40) % 3000;
    if ((random >> 20) % 3 == 0) {
      flat.remove(key);
      map.erase(key);
    } else {
      flat.put(key, i);
      map[key] = i;
    }
    ASSERT_EQ(flat.size(), map.size());
  }
  for (std::uint64_t key = 0; key < 3000; ++key) {
    const auto found = map.find(key);
    EXPECT_EQ(flat.get(key), found == map.end() ? std::nullopt : std::optional<std::uint32_t>(found->second));
  }
}

TEST(RetryCurve, FollowsTheCurveAndRepeatsItsEnd) {
  const RetryCurve curve({5min, 10min, 1h});
  const privsep::SmtpReply reply{451, "4.3.0", "try later"};
  EXPECT_EQ(curve.pause(1, reply), 5min);
  EXPECT_EQ(curve.pause(2, reply), 10min);
  EXPECT_EQ(curve.pause(3, reply), 1h);
  EXPECT_EQ(curve.pause(99, reply), 1h);
}

TEST(RetryCurve, MeetsGreylistingWithShortFirstPauses) {
  const RetryCurve curve(kDefaultCurve);
  struct {
    privsep::SmtpReply reply;
    bool grey;
  } const cases[] = {
      {{450, "4.7.1", "come back"}, true},        {{451, "4.7.0", "later"}, true},
      {{451, "4.7.1", "later"}, true},            {{450, "4.2.0", "Greylisted, see ..."}, true},
      {{451, "4.3.0", "disk full"}, false},       {{421, "4.7.0", "too many"}, false},
      {{550, "5.7.1", "greylist"}, false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(looks_like_greylisting(c.reply), c.grey) << c.reply.text;
    EXPECT_EQ(curve.pause(1, c.reply) < 5min, c.grey) << c.reply.text;
    EXPECT_EQ(curve.pause(3, c.reply), 20min) << "not for ever";
  }
}

TEST(RetryCurve, ReadsDurationsAsTheConfigurationWritesThem) {
  EXPECT_EQ(parse_duration("5m"), 300s);
  EXPECT_EQ(parse_duration("2h"), 7200s);
  EXPECT_EQ(parse_duration("1d"), 86400s);
  EXPECT_EQ(parse_duration("30s"), 30s);
  EXPECT_EQ(parse_duration("30"), 30s);
  EXPECT_EQ(parse_duration(""), std::nullopt);
  EXPECT_EQ(parse_duration("m"), std::nullopt);
  EXPECT_EQ(parse_duration("-5m"), std::nullopt);
}

}  // namespace
}  // namespace postern::queue
