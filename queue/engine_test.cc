#include "queue/test_house.h"

namespace postern::queue {
namespace {

TEST(Engine, AnswersOnlyAfterTheCommit) {
  House h;
  const auto id = h.send({"bob@example.net"});
  EXPECT_TRUE(h.answers.empty());
  h.engine->turn();
  ASSERT_EQ(h.answers.size(), 1U);
  EXPECT_EQ(h.answers[0].code, 250);
  EXPECT_EQ(h.answers[0].text, id + " queued");
  EXPECT_EQ(h.spool.rows.message.size(), 1U);
}

TEST(Engine, OneTurnIsOneCommit) {
  House h;
  for (int i = 0; i < 100; ++i) h.send({"bob@example.net"});
  h.engine->turn();
  EXPECT_EQ(h.answers.size(), 100U);
  EXPECT_EQ(h.spool.commits, 1U);
}

TEST(Engine, AFailedCommitAcceptsNothing) {
  for (const auto& [code, reply] : {std::pair{"spool.io", 451}, std::pair{"spool.full", 452}}) {
    House h;
    h.spool.fail_commit = code;
    h.send({"bob@example.net"});
    h.turn();
    ASSERT_EQ(h.answers.size(), 1U);
    EXPECT_EQ(h.answers[0].code, reply);
    EXPECT_TRUE(h.spool.rows.message.empty());
    EXPECT_EQ(h.queued(), 0U);
    h.spool.fail_commit = {};
    h.clock.advance(2s);
    h.send({"bob@example.net"});
    h.turn();
    EXPECT_EQ(h.answers.at(1).code, 250);
  }
}

TEST(Engine, AResultSurvivesAFailedCommit) {
  House h;
  h.send({"bob@example.net"});
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 1U);
  h.spool.fail_commit = "spool.io";
  h.courier.remote[0].done(result({outcome(250, "2.0.0")}));
  h.turn();
  EXPECT_EQ(h.spool.rows.message.size(), 1U);
  h.spool.fail_commit = {};
  h.clock.advance(2s);
  h.turn();
  EXPECT_TRUE(h.spool.rows.message.empty());
  EXPECT_EQ(h.courier.remote.size(), 1U) << "it is not delivered twice for that";
}

TEST(Engine, SaysWhyWhileItWaitsAfterAFailedCommit) {
  for (const auto& [code, reply] : {std::pair{"spool.io", 451}, std::pair{"spool.full", 452}}) {
    House h;
    h.send({"bob@example.net"});
    h.turn();
    h.spool.fail_commit = code;
    h.courier.remote.at(0).done(result({outcome(250, "2.0.0")}));
    h.turn();  // the result could not be stored: no commit is tried for a moment
    h.send({"bob@example.net"});
    h.turn();
    ASSERT_EQ(h.answers.size(), 2U);
    EXPECT_EQ(h.answers[1].code, reply) << code;
  }
}

TEST(Engine, RefusesWhileThereIsNoRoom) {
  House h;
  h.engine->set_accepting(false);
  h.send({"bob@example.net"});
  ASSERT_EQ(h.answers.size(), 1U);
  EXPECT_EQ(h.answers[0].code, 452);
}

TEST(Engine, DeliversLocallyWithItsBodyAndForgetsIt) {
  House h;
  h.send({"bob@example.org"}, TicketKind::local);
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 1U);
  EXPECT_EQ(h.courier.local[0].body, "Subject: hi\r\n\r\nhello\r\n");
  EXPECT_EQ(h.courier.local[0].request.targets, std::vector<std::string>{"bob@example.org"});
  EXPECT_EQ(h.courier.local[0].request.spool_epoch, 7U);
  h.courier.local[0].done(result({outcome(250, "2.1.5")}));
  h.turn();
  EXPECT_EQ(h.queued(), 0U);
  EXPECT_TRUE(h.spool.rows.body.empty());
  EXPECT_EQ(h.spool.rows.history.size(), 1U);
}

TEST(Engine, RecipientsAtOneDestinationShareADelivery) {
  House h;
  h.send({"a@x.example", "b@x.example", "c@y.example"});
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 2U);
  EXPECT_EQ(h.courier.remote[0].request.targets.size() + h.courier.remote[1].request.targets.size(), 3U);
}

TEST(Engine, OnlyTheDeferredRecipientIsTriedAgainAtItsTime) {
  House h;
  h.send({"a@x.example", "b@x.example"});
  h.turn();
  h.courier.remote[0].done(result({outcome(250, "2.0.0"), outcome(452, "4.2.2")}));
  h.turn();
  h.clock.advance(299s);
  h.turn();
  EXPECT_EQ(h.courier.remote.size(), 1U);
  h.clock.advance(1s);
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 2U);
  ASSERT_EQ(h.courier.remote[1].request.targets.size(), 1U);
  EXPECT_EQ(h.courier.remote[1].request.targets[0].address, "b@x.example");
  EXPECT_EQ(h.courier.remote[1].body, "Subject: hi\r\n\r\nhello\r\n");
}

TEST(Engine, ARestartGoesOnWithEverythingThatIsNotDone) {
  House h;
  h.send({"a@x.example"});
  h.send({"b@example.org"}, TicketKind::local);
  h.turn();
  ASSERT_EQ(h.courier.remote.size() + h.courier.local.size(), 2U);
  h.restart();
  h.turn();
  EXPECT_EQ(h.courier.remote.size(), 1U);
  ASSERT_EQ(h.courier.local.size(), 1U);
  EXPECT_EQ(h.courier.local[0].body, "Subject: hi\r\n\r\nhello\r\n");
}

TEST(Engine, ALargeBodyIsStagedOverSeveralTurnsWhileSmallOnesPass) {
  House h;
  const std::string large(20U << 20, 'x');
  h.send(h.request({"a@x.example"}, TicketKind::relay, large), large);
  h.send({"b@y.example"});
  EXPECT_TRUE(h.engine->turn());
  ASSERT_EQ(h.answers.size(), 1U) << "the small one";
  h.turn();
  ASSERT_EQ(h.answers.size(), 2U);
  EXPECT_EQ(h.answers[1].code, 250);
  ASSERT_EQ(h.courier.remote.size(), 2U);
  EXPECT_TRUE(h.spool.rows.incomplete.empty());
}

TEST(Engine, ALargeBodyThatCannotBeStagedIsRefused) {
  House h;
  const std::string large(9U << 20, 'x');
  h.spool.fail_stage = "spool.full";
  h.send(h.request({"a@x.example"}, TicketKind::relay, large), large);
  h.turn();
  ASSERT_EQ(h.answers.size(), 1U);
  EXPECT_EQ(h.answers[0].code, 452);
}

// ---- reports -------------------------------------------------------------------------------------------------------

TEST(Engine, TheReportIsStoredInTheSameCommitThatEndsTheMessage) {
  House h;
  h.send({"bob@example.net"});
  h.turn();
  const auto commits = h.spool.commits;
  h.courier.remote[0].done(result({outcome(550, "5.1.1", "No such user")}));
  h.engine->turn();
  EXPECT_EQ(h.spool.commits, commits + 1);
  ASSERT_EQ(h.spool.rows.message.size(), 1U);
  const auto report = decode_row<MessageRecord>(h.spool.rows.message.begin()->second);
  EXPECT_TRUE(report->reverse_path.empty());
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 1U) << "perhaps the sender has an account here";
  EXPECT_NE(h.courier.local[0].body.find("5.1.1 No such user"), std::string::npos);
  h.courier.local[0].done(result({outcome(551, "5.1.0", "not-local")}));
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 2U);
  EXPECT_EQ(h.courier.remote[1].request.destination, "example.org");
  EXPECT_TRUE(h.courier.remote[1].request.reverse_path.empty());
}

TEST(Engine, ABounceOfABounceIsDroppedAndCounted) {
  House h;
  h.send({"bob@example.net"});
  h.turn();
  h.courier.remote[0].done(result({outcome(550, "5.1.1")}));
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 1U);
  h.courier.local[0].done(result({outcome(550, "5.1.1")}));
  h.turn();
  EXPECT_EQ(h.queued(), 0U);
  EXPECT_TRUE(h.spool.rows.message.empty());
}

TEST(Engine, NobodyVouchedForGetsNoReport) {
  House h;
  const std::string body = "x\r\n";
  auto r = h.request({"bob@example.net"}, TicketKind::relay, body);
  r.envelope.arrival.account.clear();
  h.send(r, body);
  h.turn();
  h.courier.remote[0].done(result({outcome(550, "5.1.1")}));
  h.turn();
  EXPECT_EQ(h.queued(), 0U);
  bool counted = false;
  for (const auto& sample : h.metrics.changed()) counted = counted || (sample.name.find("dsn_suppressed") != std::string::npos && sample.value == 1);
  EXPECT_TRUE(counted);
}

TEST(Engine, FailuresThatComeTogetherShareOneReport) {
  House h;
  h.send({"a@x.example", "b@y.example"});
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 2U);
  h.courier.remote[0].done(result({outcome(550, "5.1.1")}));
  h.turn();
  EXPECT_EQ(h.queued(), 1U) << "the report waits a minute for the other";
  h.courier.remote[1].done(result({outcome(550, "5.1.1")}));
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 1U);
  EXPECT_NE(h.courier.local[0].body.find("a@x.example"), std::string::npos);
  EXPECT_NE(h.courier.local[0].body.find("b@y.example"), std::string::npos);
}

TEST(Engine, AFailureIsReportedThoughOthersStillWaitAndOnlyOnce) {
  House h;
  h.send({"a@x.example", "b@y.example"});
  h.turn();
  h.courier.remote[0].done(result({outcome(550, "5.1.1")}));
  h.courier.remote[1].done(result({outcome(451, "4.3.0")}));
  h.turn();
  h.clock.advance(61s);
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 1U);
  h.courier.local[0].done(result({outcome(250, "2.1.5")}));
  h.clock.advance(5min);
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 3U);
  h.courier.remote[2].done(result({outcome(250, "2.0.0")}));
  h.turn();
  EXPECT_EQ(h.courier.local.size(), 1U);
  EXPECT_EQ(h.queued(), 0U);
}

TEST(Engine, WarnsAfterFourHoursAndFailsAtTheExpiry) {
  House h;
  h.send({"a@x.example"});
  h.turn();
  for (int hours = 0; hours < 125 && h.queued() > 0; ++hours) {
    h.turn();
    for (auto& asked : h.courier.remote)
      if (asked.done) std::exchange(asked.done, nullptr)(result({outcome(451, "4.4.1", "no answer")}));
    for (auto& asked : h.courier.local)
      if (asked.done) std::exchange(asked.done, nullptr)(result({outcome(250, "2.1.5")}));
    h.turn();
    h.clock.advance(1h);
  }
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 2U);
  EXPECT_NE(h.courier.local[0].body.find("Action: delayed"), std::string::npos);
  EXPECT_NE(h.courier.local[1].body.find("Action: failed"), std::string::npos);
  EXPECT_NE(h.courier.local[1].body.find("Status: 5.4.7"), std::string::npos);
}

TEST(Engine, SuccessIsReportedWhereItWasAskedFor) {
  House h;
  const std::string body = "x\r\n";
  auto r = h.request({"bob@example.net"}, TicketKind::relay, body);
  r.envelope.recipients[0].notify.bits = privsep::Notify::kSuccess;
  h.send(r, body);
  h.turn();
  auto taken = outcome(250, "2.0.0");
  taken.relayed = true;
  h.courier.remote[0].done(result({taken}));
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 1U);
  EXPECT_NE(h.courier.local[0].body.find("Action: relayed"), std::string::npos);
}

TEST(Engine, AMessageIsNotLetGoWhileARecipientWaits) {
  House h;
  h.send({"a@x.example", "b@y.example"});
  h.turn();
  // The schedule is made to believe that both groups are done.
  const Number number = 1;
  Change wrong;
  wrong.number = number;
  for (const auto& group : h.engine->scheduler().groups(number)) {
    h.engine->scheduler().landed(group.id, Feedback::lost);
    wrong.groups.push_back({group.id, Change::After::done, {}});
  }
  h.engine->change(std::move(wrong));
  h.turn();
  EXPECT_EQ(h.spool.rows.message.size(), 1U);
  EXPECT_EQ(h.courier.remote.size(), 4U) << "both are delivered again";
}

// ---- falls ---------------------------------------------------------------------------------------------------------

TEST(Engine, AFallenPeersDeliveriesGoOnAndThePoisonIsParked) {
  House h;
  for (int i = 0; i < 5; ++i) h.send({"bob@example.org"}, TicketKind::local);
  h.turn();
  ASSERT_EQ(h.courier.local.size(), 5U);
  for (auto& asked : h.courier.local) std::exchange(asked.done, nullptr)(failure("ipc.gone", ""));
  h.turn();
  std::set<std::string> delivered;
  // From now on one at a time; the third message is the one that kills.
  for (std::size_t i = 5; i < h.courier.local.size() && i < 20; ++i) {
    EXPECT_EQ(h.courier.local.size(), i + 1);
    auto& asked = h.courier.local[i];
    if (asked.request.id == "MESSAGE3") {
      std::exchange(asked.done, nullptr)(failure("ipc.gone", ""));
    } else {
      delivered.insert(asked.request.id);
      std::exchange(asked.done, nullptr)(result({outcome(250, "2.1.5")}));
    }
    h.turn();
  }
  EXPECT_EQ(delivered.size(), 4U);
  EXPECT_EQ(h.queued(), 1U);
  const auto shown = h.admin("queue show", {{"id", "MESSAGE3"}});
  EXPECT_TRUE(shown["held"].get<bool>()) << shown.dump();
  EXPECT_NE(shown["held_reason"].get<std::string>().find("mailbox"), std::string::npos);
  h.restart();
  h.turn();
  EXPECT_TRUE(h.courier.local.empty()) << "parked outlives a restart";
  h.admin("queue release", {{"id", "MESSAGE3"}});
  EXPECT_EQ(h.courier.local.size(), 1U);
}

TEST(Engine, APeerThatIsAwayIsNotHeldAgainstTheMessage) {
  House h;
  h.engine->set_available(Route::local, false);
  h.send({"bob@example.org"}, TicketKind::local);
  h.turn();
  EXPECT_TRUE(h.courier.local.empty());
  h.engine->set_available(Route::local, true);
  h.turn();
  EXPECT_EQ(h.courier.local.size(), 1U);
}

// ---- commands ------------------------------------------------------------------------------------------------------

TEST(Admin, ListsShowsAndCounts) {
  House h;
  h.send({"a@x.example"});
  h.send({"b@y.example"});
  h.turn();
  h.courier.remote[0].done(result({outcome(451, "4.3.0", "try later")}));
  h.turn();
  EXPECT_EQ(h.admin("queue list")["total"], 2);
  EXPECT_EQ(h.admin("queue list", {{"destination", "x.example"}})["messages"].size(), 1U);
  EXPECT_EQ(h.admin("queue list", {{"state", "deferred"}})["total"], 1);
  EXPECT_EQ(h.admin("queue list", {{"limit", "1"}, {"page", "1"}})["messages"][0]["id"], "MESSAGE2");
  const auto shown = h.admin("queue show", {{"id", "MESSAGE1"}});
  EXPECT_EQ(shown["recipients"][0]["reply"]["text"], "try later");
  EXPECT_EQ(shown["history"][0]["what"], "deferred");
  EXPECT_EQ(shown["evidence"]["spf"], "pass");
  EXPECT_EQ(h.admin("queue stats")["messages"], 2);
  EXPECT_TRUE(h.admin("queue show", {{"id", "NONE"}}).contains("error"));
  EXPECT_TRUE(h.admin("queue dance").contains("error"));
}

TEST(Admin, TellsOfAMessageThatHasLeft) {
  House h;
  h.send({"a@x.example"});
  h.turn();
  h.courier.remote[0].done(result({outcome(250, "2.0.0", "taken")}));
  h.turn();
  const auto shown = h.admin("queue show", {{"id", "MESSAGE1"}});
  EXPECT_FALSE(shown["in_queue"].get<bool>());
  EXPECT_EQ(shown["recipients"][0]["reply"]["text"], "taken");
  EXPECT_EQ(h.admin("message why", {{"id", "MESSAGE1"}})["evidence"]["spf"], "pass");
}

TEST(Admin, RetriesNowAlsoWhereTheHostWasDead) {
  House h;
  h.send({"a@x.example"});
  h.turn();
  auto dead = result({outcome(451, "4.4.1")});
  dead.host_dead = true;
  h.courier.remote[0].done(dead);
  h.turn();
  EXPECT_EQ(h.courier.remote.size(), 1U);
  EXPECT_EQ(h.admin("queue retry", {{"destination", "x.example"}})["messages"], 1);
  EXPECT_EQ(h.courier.remote.size(), 2U);
}

TEST(Admin, FailsWithAReportDropsWithoutAndReroutes) {
  House h;
  for (int i = 0; i < 3; ++i) h.send({"a@x.example"});
  h.engine->scheduler().set_destination_held("x.example", true);
  h.turn();
  EXPECT_EQ(h.admin("queue drop", {{"id", "MESSAGE1"}})["messages"], 1);
  EXPECT_EQ(h.queued(), 2U);
  EXPECT_EQ(h.admin("queue fail", {{"id", "MESSAGE2"}, {"reason", "too old"}})["messages"], 1);
  ASSERT_EQ(h.courier.local.size(), 1U);
  EXPECT_NE(h.courier.local[0].body.find("too old"), std::string::npos);
  EXPECT_TRUE(h.admin("queue reroute", {{"id", "MESSAGE3"}, {"to", "a b"}}).contains("error"));
  EXPECT_EQ(h.admin("queue reroute", {{"id", "MESSAGE3"}, {"to", "[192.0.2.1]:2525"}})["messages"], 1);
  ASSERT_EQ(h.courier.remote.size(), 1U);
  EXPECT_EQ(h.courier.remote[0].request.destination, "[192.0.2.1]:2525");
}

TEST(Admin, AHeldDestinationStaysHeldAfterARestart) {
  House h;
  h.admin("queue hold", {{"destination", "x.example"}});
  h.send({"a@x.example"});
  h.turn();
  EXPECT_TRUE(h.courier.remote.empty());
  h.restart();
  h.turn();
  EXPECT_TRUE(h.courier.remote.empty());
  h.admin("queue release", {{"destination", "x.example"}});
  EXPECT_EQ(h.courier.remote.size(), 1U);
  h.restart();
  h.turn();
  EXPECT_EQ(h.courier.remote.size(), 1U);
}

}  // namespace
}  // namespace postern::queue
