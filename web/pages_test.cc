// The pages and the message map: they show what there is, and nothing in them is anybody else's markup.
#include "web/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "web/message_map.h"

namespace postern::web {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

class PagesTest : public testing::Test {
 protected:
  void take(const std::string& json, const std::string& metrics = "postern_up 1\n") { ASSERT_TRUE(house.take({.status_json = json, .metrics_text = metrics}, clock.steady())); }
  Page page(std::string_view path) { return pages.find(path).value(); }
  FakeClock clock;
  House house;
  StatusPages pages{house, clock};
};

constexpr const char* kGood = R"({"running":true,"smtp":"127.0.0.1:2525","processes":[
  {"name":"queue","state":"running","pid":41,"uid":993,"up_seconds":7300,"restarts":0,"seccomp_deaths":0,"last_end":"","in_force":["seccomp","landlock"],"missing":[],
   "metrics":{"queue_accepted_total":1234567,"queue_delivered_total{route=\"local\"}":20,"queue_delivered_total{route=\"remote\"}":22,"queue_messages":17,
   "queue_spool_bytes":1500000,"queue_spool_limit_bytes":8000000000,"queue_commit_batch_sum":90,"queue_commit_batch_count":20,"queue_deliveries{state=\"waiting\"}":5}},
  {"name":"listener","state":"running","pid":42,"uid":994,"up_seconds":5,"restarts":1,"seccomp_deaths":1,"last_end":"seccomp: execve","in_force":["seccomp"],"missing":["uid"],
   "metrics":{"smtp_refused_total{reason=\"unknown-user\"}":9}}]})";

TEST_F(PagesTest, HealthSaysOkOnlyWhileAllRunAndThePictureIsFresh) {
  EXPECT_EQ(page("/healthz").status, 503);
  take(kGood);
  EXPECT_EQ(page("/healthz").status, 200);
  EXPECT_EQ(*page("/healthz").body, "ok\n");
  clock.advance(11s);
  EXPECT_EQ(page("/healthz").status, 503);
  take(R"({"running":false,"processes":[]})");
  EXPECT_EQ(page("/healthz").status, 503);
}

TEST_F(PagesTest, MetricsArePassedOnAsTheyAreWhileFresh) {
  EXPECT_EQ(page("/metrics").status, 503);
  take(kGood, "# TYPE a counter\na 1\n");
  EXPECT_EQ(page("/metrics").status, 200);
  EXPECT_EQ(*page("/metrics").body, "# TYPE a counter\na 1\n");
  clock.advance(11s);
  EXPECT_EQ(page("/metrics").status, 503);
}

TEST_F(PagesTest, StatusShowsProcessesTrafficAndQueue) {
  take(kGood);
  const std::string html = *page("/").body;
  for (const char* shown : {"All processes are running", "127.0.0.1:2525", "1,234,567", ">42<", ">17<", "1.5 MB of 8.0 GB", "4.5", "deliveries waiting", "unknown-user", "pid 41, uid 993",
                            "2 h 1 min", "before: seccomp: execve", "missing: uid", "2 layers in force"})
    EXPECT_THAT(html, HasSubstr(shown));
}

TEST_F(PagesTest, StatusSaysWhenItHasNothingFresh) {
  EXPECT_THAT(*page("/").body, HasSubstr("No word from the parent"));
  take(kGood);
  EXPECT_THAT(*page("/").body, Not(HasSubstr("No word from the parent")));
  clock.advance(11s);
  const std::string stale = *page("/").body;
  EXPECT_THAT(stale, HasSubstr("No word from the parent"));
  EXPECT_THAT(stale, Not(HasSubstr("1,234,567")));
}

TEST_F(PagesTest, ForeignTextNeverBecomesMarkup) {
  const std::string evil = R"(<script>\"'&{{{x}}})";
  std::string json = R"({"running":false,"smtp":"X","processes":[{"name":"X","state":"X","pid":1,"uid":1,"up_seconds":1,"restarts":1,"seccomp_deaths":0,"last_end":"X",
      "in_force":["X"],"missing":["X"],"metrics":{"smtp_refused_total{reason=\"X\"}":1,"queue_deliveries{state=\"X\"}":1}}]})";
  for (auto at = json.find('X'); at != std::string::npos; at = json.find('X', at + evil.size())) json.replace(at, 1, evil);
  take(json);
  const std::string html = *page("/").body;
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  std::size_t escaped = 0;
  for (auto at = html.find("&lt;script&gt;&quot;&apos;&amp;{{{x}}}"); at != std::string::npos; at = html.find("&lt;script&gt;&quot;&apos;&amp;{{{x}}}", at + 1)) ++escaped;
  EXPECT_EQ(escaped, 8U);  // each place it was put: smtp, name, state, last_end, in_force, missing, reason, state of deliveries
}

TEST_F(PagesTest, StatusIsDrawnOnceAPicture) {
  take(kGood);
  const auto first = page("/").body;
  EXPECT_EQ(page("/").body, first);
  take(kGood);
  EXPECT_NE(page("/").body, first);
}

TEST_F(PagesTest, PagesAreFoundByTheirExactNameOnly) {
  for (const char* path : {"/", "/healthz", "/metrics", "/style.css"}) EXPECT_TRUE(pages.find(path)) << path;
  for (const char* path : {"", "//", "/healthz/", "/Healthz", "/../style.css", "/index.html", "/healthz\r\n"}) EXPECT_FALSE(pages.find(path)) << path;
}

TEST_F(PagesTest, NeitherPageNorStyleLoadsOrRunsAnything) {
  take(kGood);
  for (const std::string& text : {*page("/").body, *page("/style.css").body})
    for (const char* banned : {"<script", "style=", "onclick", "http://", "https://", "@import", "<img", "<iframe", "javascript:"}) EXPECT_THAT(text, Not(HasSubstr(banned)));
}

TEST(MessageMap, DrawsEveryChannelOfTheTable) {
  const std::string svg = draw_message_map([](privsep::Role) { return Health::running; });
  std::size_t channels = 0;
  for (const privsep::Role a : privsep::kRoles)
    for (const privsep::Role b : privsep::kRoles) {
      if (a >= b || a == privsep::Role::parent || !privsep::have_channel(a, b)) continue;
      ++channels;
      const auto edge = [](privsep::Role from, privsep::Role to) { return "data-from=\"" + std::string(name_of(from)) + "\" data-to=\"" + std::string(name_of(to)) + '"'; };
      EXPECT_TRUE(svg.find(edge(a, b)) != std::string::npos || svg.find(edge(b, a)) != std::string::npos) << name_of(a) << " - " << name_of(b);
    }
  EXPECT_GT(channels, 10U);
  for (const privsep::Role role : privsep::kRoles) EXPECT_THAT(svg, HasSubstr(std::string(name_of(role)) + (role == privsep::Role::parent ? ":" : "</text>")));
}

TEST(MessageMap, TheWayOfAMessageIsListenerVerifierQueueAndOut) {
  std::vector<std::string> way;
  for (const MapEdge& edge : map_edges())
    if (edge.carries_mail) way.push_back(std::string(name_of(edge.from)) + " " + std::string(name_of(edge.to)));
  EXPECT_THAT(way, testing::UnorderedElementsAre("listener verifier-in", "listener verifier-out", "verifier-in queue", "verifier-out queue", "queue mailbox", "queue remote"));
}

TEST(MessageMap, ShowsWhoIsInTrouble) {
  const std::string svg = draw_message_map([](privsep::Role role) { return role == privsep::Role::remote ? Health::troubled : Health::running; });
  EXPECT_THAT(svg, HasSubstr(R"(<g class="box bad"><title>remote)"));
  EXPECT_THAT(svg, HasSubstr(R"(<g class="box good"><title>queue)"));
}

}  // namespace
}  // namespace postern::web
