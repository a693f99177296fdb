// The picture of the house: what is read, what is not believed, and rates.
#include "web/house.h"

#include <gtest/gtest.h>

#include "web/limits.h"

namespace postern::web {
namespace {

using namespace std::chrono_literals;

TEST(Snapshot, ReadsWhatTheParentSends) {
  const auto s = read_snapshot({.status_json = R"({"running":true,"smtp":"127.0.0.1:2525","processes":[{"name":"queue","state":"running","pid":7,"uid":993,"up_seconds":61,
      "restarts":2,"seccomp_deaths":1,"last_end":"signal 9","in_force":["seccomp"],"missing":["uid"],
      "metrics":{"queue_accepted_total":5,"queue_deliveries{state=\"waiting\"}":3,"queue_deliveries{state=\"busy\"}":4}}]})",
                                .metrics_text = "m"});
  ASSERT_TRUE(s);
  EXPECT_TRUE(s->running);
  EXPECT_EQ(s->smtp, "127.0.0.1:2525");
  ASSERT_EQ(s->processes.size(), 1U);
  const ProcessState& p = s->processes[0];
  EXPECT_EQ(p.name, "queue");
  EXPECT_TRUE(p.runs());
  EXPECT_EQ(p.up, 61s);
  EXPECT_EQ(p.restarts, 2U);
  EXPECT_EQ(p.seccomp_deaths, 1U);
  EXPECT_EQ(p.last_end, "signal 9");
  EXPECT_EQ(p.in_force, std::vector<std::string>{"seccomp"});
  EXPECT_EQ(p.missing, std::vector<std::string>{"uid"});
  EXPECT_EQ(s->total("queue_deliveries"), 7U);
  EXPECT_EQ(s->value("queue_deliveries", R"(state="busy")"), 4U);
  EXPECT_EQ(s->total("nobody_counts_this"), std::nullopt);
}

TEST(Snapshot, RefusesWhatIsNoStatusAndSkipsWrongTypes) {
  for (const char* bad : {"", "{", "[]", "null", R"({"running":1,"processes":[]})", R"({"running":true})", R"({"running":true,"processes":{}})"})
    EXPECT_FALSE(read_snapshot({.status_json = bad, .metrics_text = {}})) << bad;
  const auto odd = read_snapshot(
      {.status_json = R"({"running":false,"smtp":[1],"processes":[3,{"name":4,"pid":-1,"up_seconds":18446744073709551615,"in_force":[1,"x"],"metrics":{"a":-1,"b":"c"}}]})",
       .metrics_text = {}});
  ASSERT_TRUE(odd);
  ASSERT_EQ(odd->processes.size(), 2U);
  EXPECT_EQ(odd->processes[1].name, "");
  EXPECT_EQ(odd->processes[1].pid, 0U);
  EXPECT_EQ(odd->processes[1].in_force, std::vector<std::string>{"x"});
  EXPECT_TRUE(odd->samples.empty());
}

TEST(History, CountsWhatCameSinceItLookedFirst) {
  History history;
  const SteadyTime start{};
  history.add(start, 1000);
  EXPECT_EQ(history.trend(start).sum(), 0U);
  history.add(start + 1s, 1010);
  history.add(start + 2s, 1010);
  history.add(start + 3s, 1012);
  const Trend trend = history.trend(start + 4s);
  EXPECT_EQ(trend.per_second, (std::vector<std::uint64_t>{10, 0, 2, 0}));
  EXPECT_EQ(trend.window, 4s);
  EXPECT_DOUBLE_EQ(trend.per_minute(), 180.0);
}

TEST(History, ForgetsWhatIsOlderThanItsWindow) {
  History history;
  const SteadyTime start{};
  history.add(start, 0);
  history.add(start + 1s, 50);
  history.add(start + 1s + limits::kRateWindow + 1s, 57);
  const Trend trend = history.trend(start + 1s + limits::kRateWindow + 1s);
  EXPECT_EQ(trend.sum(), 7U);
  EXPECT_EQ(trend.window, limits::kRateWindow);
}

TEST(History, TakesACounterThatFellForANewBeginning) {
  History history;
  const SteadyTime start{};
  history.add(start, 500);
  history.add(start + 1s, 3);
  EXPECT_EQ(history.trend(start + 2s).sum(), 3U);
}

TEST(House, IsHealthyOnlyWhileItHearsThatAllRun) {
  House house;
  const SteadyTime start{};
  EXPECT_FALSE(house.is_healthy(start));
  ASSERT_TRUE(house.take({.status_json = R"({"running":true,"processes":[]})", .metrics_text = {}}, start));
  EXPECT_TRUE(house.is_healthy(start + limits::kFreshFor - 1ms));
  EXPECT_FALSE(house.is_healthy(start + limits::kFreshFor));
  ASSERT_TRUE(house.take({.status_json = R"({"running":false,"processes":[]})", .metrics_text = {}}, start + 20s));
  EXPECT_FALSE(house.is_healthy(start + 20s));
  EXPECT_FALSE(house.take({.status_json = "?", .metrics_text = {}}, start + 21s));
  EXPECT_EQ(house.number(), 2U);
}

}  // namespace
}  // namespace postern::web
