// Many messages, few connections; servers that are down, go away, or come second.
#include <gmock/gmock.h>

#include "deliver/remote/courier_test.h"

namespace postern::remote::test {
namespace {

using Pool = Deliveries;

TEST_F(Pool, ASessionCarriesManyMessagesUpToItsLimit) {
  pool.set_limits({.sessions = 10, .sessions_per_server = 10, .session_messages = 3});
  for (int i = 0; i < 7; ++i) EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  EXPECT_EQ(server.connections(), 3U);
  EXPECT_EQ(server.messages.size(), 7U);
}

TEST_F(Pool, WaitersShareTheSessionsThereMayBe) {
  pool.set_limits({.sessions = 10, .sessions_per_server = 2, .session_messages = 1000});
  for (int i = 0; i < 50; ++i) begin(request(), "A: b\r\n\r\n" + std::to_string(i) + "\r\n");
  until([&] { return server.messages.size() == 50 && courier.under_way() == 0; });
  EXPECT_EQ(server.connections(), 2U);
  for (const auto& result : results) EXPECT_EQ(shown(result->outcomes[0]), "250 2.0.0");
  EXPECT_EQ(pool.stats().waiting, 0U);
}

TEST_F(Pool, RestingSessionsMakeRoomForOtherServers) {
  TestServer second(loop, "127.0.0.1");
  courier.rules().routes.push_back(*parse_route("other.test=127.0.0.1:" + std::to_string(second.at.port), 25));
  pool.set_limits({.sessions = 1, .sessions_per_server = 1, .session_messages = 100});
  auto other = request({"x@other.test"});
  other.destination = "other.test";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
    EXPECT_EQ(shown(deliver(other).outcomes[0]), "250 2.0.0");
  }
  for (int i = 0; i < 10; ++i) {
    begin(request(), "A: b\r\n\r\n");
    begin(other, "A: b\r\n\r\n");
  }
  until([&] { return courier.under_way() == 0; });
  EXPECT_EQ(server.messages.size(), 13U);
  EXPECT_EQ(second.messages.size(), 13U);
  EXPECT_LE(pool.stats().open, 1U);
}

TEST_F(Pool, AServerThatClosedARestingSessionIsConnectedAgain) {
  server.manners.close_after = 1;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  EXPECT_EQ(server.connections(), 3U);
  EXPECT_EQ(server.messages.size(), 3U);
}

TEST_F(Pool, MailOnARestingSessionAnswered421GoesOverAFreshOne) {
  EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  server.manners.answers["MAIL"] = "421 4.4.2 idle too long\r\n";
  const auto index = begin(request(), "A: b\r\n\r\n");
  until([&] { return server.count("MAIL") == 2; });
  server.manners.answers.clear();
  until([&] { return results[index].has_value(); });
  EXPECT_EQ(shown(results[index]->outcomes[0]), "250 2.0.0");
}

TEST_F(Pool, ASessionThatRestsTooLongIsClosed) {
  settings.timeouts.idle = std::chrono::milliseconds{20};
  EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  EXPECT_EQ(pool.stats().idle, 1U);
  until([&] { return pool.stats().open == 0 && server.count("QUIT") == 1; });
}

TEST_F(Pool, NobodyThereIsADeadHost) {
  courier.rules().routes = {*parse_route("*=127.0.0.9:" + std::to_string(server.at.port), 25)};
  const auto result = deliver(request({"a@to.test", "b@to.test"}));
  EXPECT_EQ(shown(result.outcomes[1]), "451 4.4.1");
  EXPECT_TRUE(result.host_dead);
}

class ByMx : public Deliveries {
 protected:
  ByMx() {
    courier.rules().routes.clear();
    using namespace mail::dns;
    resolver.table[{"to.test", Type::mx}] = answer({Mx{10, "one.test"}, Mx{20, "two.test"}});
    resolver.table[{"one.test", Type::a}] = answer({ip("127.0.0.8")});
    resolver.table[{"two.test", Type::a}] = answer({ip("127.0.0.9"), ip("127.0.0.1")});
  }
};

TEST_F(ByMx, TheNextAddressIsTriedWhereNobodyAnswers) {
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_EQ(result.outcomes[0].server, "two.test [127.0.0.1]:" + std::to_string(server.at.port));
}

TEST_F(ByMx, TheNextServerIsTriedWhereOneDoesNotWantUs) {
  for (const char* banner : {"554 5.3.2 no mail here\r\n", "450 4.3.2 later\r\n", "hello\r\n", "220-x\r\n421 x\r\n"}) {
    TestServer first(loop, "127.0.0.8", server.at.port);
    first.manners.banner = banner;
    EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
    EXPECT_EQ(first.connections(), 1U);
    EXPECT_EQ(first.count("EHLO"), 0U);
  }
}

TEST_F(ByMx, ATemporaryObstacleOutweighsAPermanentOne) {
  server.manners.banner = "554 5.7.1 blocked\r\n";
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.4.1") << "another server may answer tomorrow";
  EXPECT_FALSE(result.host_dead);
}

TEST_F(ByMx, NoRouteIsSaidAtOnce) {
  resolver.table[{"to.test", mail::dns::Type::mx}] = no_domain();
  EXPECT_EQ(shown(deliver().outcomes[0]), "550 5.1.2");
  resolver.table[{"to.test", mail::dns::Type::mx}] = failed_answer();
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.4.3");
  EXPECT_EQ(server.connections(), 0U);
}

}  // namespace
}  // namespace postern::remote::test
