// What a person may want of the queue: holding, ending, trying again.
#include "queue/test_house.h"

namespace postern::queue {
namespace {

std::string send_from(House& h, const std::string& sender, const std::string& to) {
  const std::string body = "Subject: hi\r\n\r\nhello\r\n";
  auto r = h.request({to}, TicketKind::relay, body);
  r.envelope.reverse_path = r.envelope.arrival.account = sender;
  return h.send(r, body);
}

/// Releases everything that was taken, and says whether it left.
std::size_t asked(House& h) {
  h.turn();
  return h.courier.remote.size();
}

TEST(Hold, ByRuleKeepsWhatIsThereAndWhatComesAndOutlivesARestart) {
  struct {
    const char* what;
    privsep::KeyValue argument;
    const char* rule;
  } const cases[] = {
      {"a destination", {"destination", "X.example"}, "x.example"},
      {"a sender", {"sender", "Alice@example.org"}, "sender:alice@example.org"},
      {"a sender's domain", {"sender", "@example.org"}, "sender:@example.org"},
      {"everything", {"all", "true"}, "*"},
  };
  for (const auto& c : cases) {
    House h;
    h.warn_after = 0s;
    h.restart();
    h.engine->set_available(Route::remote, false);
    send_from(h, "alice@example.org", "a@x.example");
    h.turn();
    h.admin("queue hold", {c.argument, {"reason", "we look into it"}});
    h.engine->set_available(Route::remote, true);
    send_from(h, "alice@example.org", "a@x.example");
    EXPECT_EQ(asked(h), 0U) << c.what;
    const auto holds = h.admin("queue stats")["holds"];
    ASSERT_EQ(holds.size(), 1U) << c.what;
    EXPECT_EQ(holds[0]["rule"], c.rule);
    EXPECT_EQ(holds[0]["reason"], "we look into it");
    h.restart();
    send_from(h, "alice@example.org", "a@x.example");
    EXPECT_EQ(asked(h), 0U) << c.what << " after a restart";
    h.clock.advance(200h);
    h.turn();
    EXPECT_EQ(h.queued(), 3U) << c.what << ": nothing held expires";
    h.admin("queue release", {c.argument});
    EXPECT_EQ(asked(h), 3U - 1U) << c.what << ": two deliveries at once to a place nothing is known of";
    EXPECT_TRUE(h.admin("queue stats")["holds"].empty());
  }
}

TEST(Hold, OfASenderIsNobodyElses) {
  House h;
  h.admin("queue hold", {{"sender", "list@example.org"}});
  send_from(h, "list@example.org", "a@x.example");
  send_from(h, "alice@example.org", "a@x.example");
  EXPECT_EQ(asked(h), 1U);
  h.admin("queue hold", {{"sender", "@other.example"}});
  send_from(h, "bob@sub.other.example", "a@y.example");
  EXPECT_EQ(asked(h), 2U) << "a domain is not its parts";
  for (const char* wrong : {"list", "", "a@b\nc"}) EXPECT_TRUE(h.admin("queue hold", {{"sender", wrong}}).contains("error")) << wrong;
  EXPECT_TRUE(h.admin("queue hold", {{"sender", "a@b.example"}, {"all", "true"}}).contains("error")) << "one thing at a time";
}

TEST(Hold, RulesOfTheConfigurationComeAndGoWithIt) {
  House h;
  h.configured_holds = {"x.example", "sender:list@example.org"};
  h.restart();
  send_from(h, "alice@example.org", "a@x.example");
  send_from(h, "list@example.org", "a@y.example");
  EXPECT_EQ(asked(h), 0U);
  h.configured_holds = {"sender:list@example.org"};
  h.engine->set_options(h.options());
  EXPECT_EQ(asked(h), 1U);
  h.configured_holds = {};
  h.restart();
  EXPECT_EQ(asked(h), 2U) << "the rule is gone, and with it what it held";
}

TEST(Hold, WhatIsReleasedByHandStaysReleasedUntilTheConfigurationChanges) {
  House h;
  h.configured_holds = {"*"};
  h.restart();
  send_from(h, "alice@example.org", "a@x.example");
  EXPECT_EQ(asked(h), 0U);
  h.admin("queue release", {{"all", "true"}});
  h.engine->set_options(h.options());
  EXPECT_EQ(asked(h), 1U);
}

TEST(Hold, AMessageUnderWayIsHeldWhenItComesBackAndDoesNotExpire) {
  House h;
  h.warn_after = 0s;
  h.restart();
  const auto id = send_from(h, "alice@example.org", "a@x.example");
  ASSERT_EQ(asked(h), 1U);
  h.admin("queue hold", {{"destination", "x.example"}});
  h.clock.advance(121h);
  h.turn();
  h.courier.remote[0].done(result({outcome(451, "4.3.0")}));
  h.turn();
  EXPECT_EQ(h.queued(), 1U);
  EXPECT_EQ(h.admin("queue show", {{"id", id}})["recipients"][0]["state"], "waiting");
}

// ---- ends of deliveries under way ----------------------------------------------------------------------------------

struct EndCase {
  const char* verb;
  privsep::KeyValue argument;
  const char* state;  ///< of the recipient that waited, afterwards
};
const EndCase kEnds[] = {{"queue fail", {"reason", "too old"}, "failed"}, {"queue drop", {"reason", "spam"}, "dropped"}};

TEST(End, ReachesADeliveryUnderWayWhenItComesBackWithSomethingLeft) {
  for (const auto& c : kEnds) {
    House h;
    const auto id = send_from(h, "alice@example.org", "a@x.example");
    ASSERT_EQ(asked(h), 1U);
    const auto told = h.admin(c.verb, {{"id", id}, c.argument});
    EXPECT_EQ(told["busy"], 1) << told.dump();
    EXPECT_EQ(told["messages"], 0);
    h.courier.remote[0].done(result({outcome(451, "4.3.0", "later")}));
    h.turn();
    EXPECT_EQ(h.admin("queue show", {{"id", id}})["recipients"][0]["state"], c.state) << c.verb;
    EXPECT_EQ(h.courier.remote.size(), 1U) << "it is not tried again";
  }
}

TEST(End, DoesNotUndoADeliveryThatSucceeds) {
  House h;
  const auto id = send_from(h, "alice@example.org", "a@x.example");
  ASSERT_EQ(asked(h), 1U);
  h.admin("queue fail", {{"id", id}});
  h.courier.remote[0].done(result({outcome(250, "2.0.0")}));
  h.turn();
  EXPECT_EQ(h.admin("queue show", {{"id", id}})["recipients"][0]["state"], "relayed");
  EXPECT_TRUE(h.courier.local.empty()) << "and nobody is told of a failure";
}

TEST(End, ReachesADeliveryWhoseBearerFell) {
  House h;
  const auto id = send_from(h, "alice@example.org", "a@x.example");
  ASSERT_EQ(asked(h), 1U);
  h.admin("queue drop", {{"id", id}});
  h.courier.remote[0].done(failure("ipc.timeout", ""));
  h.turn();
  EXPECT_EQ(h.queued(), 0U);
}

TEST(End, ARerouteReachesADeliveryUnderWay) {
  House h;
  const auto id = send_from(h, "alice@example.org", "a@x.example");
  ASSERT_EQ(asked(h), 1U);
  EXPECT_EQ(h.admin("queue reroute", {{"destination", "x.example"}, {"to", "[192.0.2.1]:2525"}})["busy"], 1);
  h.courier.remote[0].done(result({outcome(451, "4.3.0")}));
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 2U);
  EXPECT_EQ(h.courier.remote[1].request.destination, "[192.0.2.1]:2525");
  EXPECT_EQ(h.admin("queue show", {{"id", id}})["recipients"][0]["destination"], "[192.0.2.1]:2525");
}

TEST(End, CountsAttemptsWhereTheirNumberIsLimited) {
  House h;
  h.max_attempts = 3;
  h.warn_after = 0s;
  h.restart();
  const auto id = send_from(h, "alice@example.org", "a@x.example");
  for (std::size_t attempt = 0; attempt < 3; ++attempt) {
    ASSERT_EQ(asked(h), attempt + 1);
    h.courier.remote[attempt].done(result({outcome(451, "4.3.0", "later")}));
    h.turn();
    h.clock.advance(2h);
  }
  EXPECT_EQ(asked(h), 3U);
  const auto shown = h.admin("queue show", {{"id", id}});
  EXPECT_EQ(shown["recipients"][0]["state"], "failed");
  EXPECT_NE(shown["recipients"][0]["reply"]["text"].get<std::string>().find("tried too often"), std::string::npos);
  ASSERT_EQ(h.courier.local.size(), 1U) << "and the sender is told";
}

TEST(Retry, NowForOneADestinationASenderOrAll) {
  const privsep::KeyValue kWhich[] = {{"id", "MESSAGE1"}, {"destination", "x.example"}, {"sender", "alice@example.org"}, {"all", "true"}};
  for (const auto& which : kWhich) {
    House h;
    send_from(h, "alice@example.org", "a@x.example");
    send_from(h, "bob@example.org", "b@y.example");
    ASSERT_EQ(asked(h), 2U);
    for (std::size_t i = 0; i < 2; ++i) h.courier.remote[i].done(result({outcome(451, "4.3.0")}));
    h.turn();
    h.admin("queue retry", {which});
    EXPECT_EQ(h.courier.remote.size(), which.key == "all" ? 4U : 3U) << which.key;
    EXPECT_EQ(h.courier.remote[2].request.destination, "x.example");
  }
}

}  // namespace
}  // namespace postern::queue
