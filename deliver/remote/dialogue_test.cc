// The dialogue with a server on loopback: what is said, what comes of each reply, and of each kind of trouble.
#include <gmock/gmock.h>

#include "deliver/remote/courier_test.h"
#include "privsep/wire.h"

namespace postern::remote::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Dialogue = Deliveries;

TEST_F(Dialogue, CommandsOfAMessageGoInOneGroupWithWhatIsOffered) {
  auto r = request({"a@to.test", "b@to.test"});
  r.body = privsep::Body::eight_bit_mime;
  r.ret = privsep::Ret::headers;
  r.envid = "QQ+314";
  r.targets[0].notify.bits = privsep::Notify::kSuccess | privsep::Notify::kDelay;
  r.targets[0].orcpt = "rfc822;first+a@old.test";
  r.targets[1].notify.bits = privsep::Notify::kNever;
  const auto result = deliver(r);
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_EQ(result.outcomes[1].reply.text, "taken");
  EXPECT_FALSE(result.outcomes[0].relayed);
  EXPECT_EQ(result.outcomes[0].server, "127.0.0.1 [127.0.0.1]:" + std::to_string(server.at.port));
  EXPECT_EQ(result.outcomes[0].tls, "");
  ASSERT_EQ(server.messages.size(), 1U);
  EXPECT_THAT(server.messages[0].commands, ElementsAre("MAIL FROM:<s@from.test> SIZE=21 BODY=8BITMIME RET=HDRS ENVID=QQ+2B314",
                                                       "RCPT TO:<a@to.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Ba@old.test",
                                                       "RCPT TO:<b@to.test> NOTIFY=NEVER", "DATA"));
  EXPECT_EQ(server.messages[0].bytes, "Subject: x\r\n\r\nhello\r\n");
  EXPECT_EQ(server.largest_group, 4U);
}

TEST_F(Dialogue, NothingIsSaidThatIsNotOffered) {
  server.manners.offers = {};
  auto r = request({"a@to.test", "b@to.test"});
  r.ret = privsep::Ret::full;
  r.envid = "x";
  r.targets[0].notify.bits = privsep::Notify::kSuccess;
  const auto result = deliver(r);
  EXPECT_TRUE(result.outcomes[0].relayed) << "no DSN there: we owe the report";
  ASSERT_EQ(server.messages.size(), 1U);
  EXPECT_THAT(server.messages[0].commands, ElementsAre("MAIL FROM:<s@from.test>", "RCPT TO:<a@to.test>", "RCPT TO:<b@to.test>", "DATA"));
  EXPECT_EQ(server.largest_group, 1U) << "one command at a time";
}

TEST_F(Dialogue, ChunkingSendsAMessageWithItsCommands) {
  server.manners.offers = {"PIPELINING", "CHUNKING"};
  deliver(request(), "Subject: x\r\n\r\n.dot\r\n");
  ASSERT_EQ(server.messages.size(), 1U);
  EXPECT_EQ(server.messages[0].commands.back(), "BDAT 20 LAST");
  EXPECT_EQ(server.messages[0].bytes, "Subject: x\r\n\r\n.dot\r\n");
  EXPECT_EQ(server.largest_group, 4U) << "MAIL, RCPT, BDAT and its bytes";
}

TEST_F(Dialogue, ALargeMessageArrivesWholeByBothFramings) {
  std::string body = "Subject: big\r\n\r\n";
  while (body.size() < 3'000'000) body += ".line that begins with a dot\r\nand one that does not\r\n";
  for (const auto& offers : {std::vector<std::string>{"PIPELINING"}, std::vector<std::string>{"PIPELINING", "CHUNKING"}}) {
    server.manners.offers = offers;
    pool.close_idle();
    EXPECT_EQ(shown(deliver(request(), body).outcomes[0]), "250 2.0.0");
    ASSERT_FALSE(server.messages.empty());
    EXPECT_TRUE(server.messages.back().bytes == body);
  }
}

TEST_F(Dialogue, FallsBackToHelo) {
  server.manners.answers["EHLO"] = "502 5.5.1 never heard\r\n";
  EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  EXPECT_EQ(server.count("HELO us.test"), 1U);
}

TEST_F(Dialogue, PrefixComesFirstAndCutsStayOut) {
  auto r = request();
  const std::string body = "A: 1\r\nAuthentication-Results: forged\r\nB: 2\r\n\r\n.\r\n..\r\n";
  r.content.prefix = "Received: here\r\n";
  r.content.cuts = {{6, 32}};
  deliver(r, body);
  ASSERT_EQ(server.messages.size(), 1U);
  EXPECT_EQ(server.messages[0].bytes, "Received: here\r\nA: 1\r\nB: 2\r\n\r\n.\r\n..\r\n");
}

TEST_F(Dialogue, EveryLineThatBeginsWithADotIsStuffedWhereverPiecesMeet) {
  for (const std::string body : {".\r\n", "..\r\n", "a\r\n.\r\nb\r\n", ".a\r\n.\r\n.\r\n", "a\r\n.", "x", "a.\r\n.b\r\n"}) {
    for (std::size_t cut = 0; cut + 1 < body.size(); ++cut) {
      auto r = request();
      r.content.prefix = "P: q\r\n\r\n";
      if (cut > 0 && body.substr(cut, 2) != "\r\n" && body[cut] != '\n') r.content.cuts = {{cut, 1}};
      std::string expected = r.content.prefix + body;
      if (!r.content.cuts.empty()) expected.erase(r.content.prefix.size() + cut, 1);
      if (!expected.ends_with("\r\n")) expected += "\r\n";
      const std::size_t before = server.messages.size();
      EXPECT_EQ(shown(deliver(r, body).outcomes[0]), "250 2.0.0") << body << cut;
      ASSERT_EQ(server.messages.size(), before + 1) << "one message seen as one: " << body << cut;
      EXPECT_EQ(server.messages.back().bytes, expected);
    }
  }
}

TEST_F(Dialogue, AStrayLineEndIsNeverSent) {  // SMTP smuggling out
  for (const std::string body : {"a\n.\r\nb\r\n", "a\r.\r\n", "a\r\n.\n", "a\r", "\n", "a\r\r\n", "a\n\r\n"}) {
    EXPECT_EQ(shown(deliver(request(), body).outcomes[0]), "554 5.6.0") << testing::PrintToString(body);
  }
  EXPECT_EQ(server.count("MAIL"), 0U);
  auto r = request();
  r.content.cuts = {{1, 1}};  // what is left would end in a CR alone
  EXPECT_EQ(shown(deliver(r, "\r?\n").outcomes[0]), "250 2.0.0");
  r.content.cuts = {{2, 1}};
  EXPECT_EQ(shown(deliver(r, "a\r\nb\r\n").outcomes[0]), "554 5.6.0");
}

TEST_F(Dialogue, RecipientsAreTakenAndRefusedOneByOne) {
  for (const auto& offers : {std::vector<std::string>{"PIPELINING"}, std::vector<std::string>{}, std::vector<std::string>{"PIPELINING", "CHUNKING"}}) {
    server.manners.offers = offers;
    server.manners.answers = {{"RCPT <b@to.test>", "550 5.1.1 no such user\r\n"}, {"RCPT <c@to.test>", "452 4.2.2 full\r\n"}};
    pool.close_idle();
    const auto result = deliver(request({"a@to.test", "b@to.test", "c@to.test"}));
    EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
    EXPECT_EQ(shown(result.outcomes[1]), "550 5.1.1");
    EXPECT_EQ(result.outcomes[1].reply.text, "no such user");
    EXPECT_EQ(shown(result.outcomes[2]), "452 4.2.2");
  }
}

TEST_F(Dialogue, WhereNobodyIsAcceptedNothingIsDeliveredAndTheSessionGoesOn) {
  for (const char* data : {"503 5.5.1 nobody\r\n", "354 go on\r\n"}) {
    server.manners.answers = {{"RCPT <a@to.test>", "550 5.1.1 no\r\n"}, {"DATA", data}};
    EXPECT_EQ(shown(deliver().outcomes[0]), "550 5.1.1");
    server.manners.answers.clear();
    EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  }
  EXPECT_EQ(server.connections(), 1U);
  EXPECT_EQ(server.count("RSET"), 2U) << "before the next message the old transaction is ended";
  EXPECT_EQ(server.messages.size(), 2U);
}

TEST_F(Dialogue, LongAndOddRepliesEndTheSessionOrAreMadePrintable) {
  std::string many, wide = "250 " + std::string(3000, 'x') + "\r\n";
  for (int i = 0; i < 10'000; ++i) many += "250-line\r\n";
  struct Case {
    std::string reply, expected;
  };
  using namespace std::string_literals;
  for (const auto& [reply, expected] : {Case{many + "250 end\r\n", "451 4.5.0"}, Case{wide, "451 4.5.0"}, Case{"250-a\r\n550 b\r\n", "451 4.5.0"},
                                        Case{"2x0 a\r\n", "451 4.5.0"}, Case{"999 a\r\n", "451 4.5.0"}, Case{"\0\0\0\r\n"s, "451 4.5.0"},
                                        Case{"250 2.0.0 nul \0 esc \x1b[31m\r\n"s, "250 2.0.0"}, Case{"550 2.1.1 contradiction\r\n", "550 5.0.0"},
                                        Case{"354 what\r\n", "451 4.5.0"}}) {
    server.manners.answers = {{"END", reply}};
    const auto result = deliver();
    EXPECT_EQ(shown(result.outcomes[0]), expected) << reply.substr(0, 40);
    for (const char c : result.outcomes[0].reply.text) EXPECT_TRUE(static_cast<unsigned char>(c) >= 32);
  }
}

TEST_F(Dialogue, TextOfManyRecipientsFitsTheResult) {
  std::vector<std::string> targets;
  for (int i = 0; i < 1000; ++i) targets.push_back("u" + std::to_string(i) + "@to.test");
  server.manners.answers = {{"END", "550 5.7.1 " + std::string(1900, 'z') + "\r\n"}};
  const auto result = deliver(request(targets));
  EXPECT_LT(privsep::encode(result).size(), privsep::DeliveryResult::row.max_bytes);
  EXPECT_EQ(shown(result.outcomes[999]), "550 5.7.1");
  server.manners.answers = {{"DATA", "421 4.7.1 " + std::string(1900, 'z') + "\r\n"}};
  const auto gone = deliver(request(targets));
  EXPECT_EQ(shown(gone.outcomes[999]), "421 4.7.1");
  EXPECT_LT(privsep::encode(gone).size(), privsep::DeliveryResult::row.max_bytes / 2) << "names of servers come on top";
}

/// Every step of a dialogue, without PIPELINING so that each is met alone.
class EachStep : public Deliveries, public ::testing::WithParamInterface<const char*> {};

TEST_P(EachStep, SilenceEndsInTime) {
  hurry();
  server.manners.offers = {};
  (GetParam() == std::string("BANNER") ? server.manners.banner : server.manners.answers[GetParam()]) = Manners::kSilence;
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.4.2");
  EXPECT_FALSE(result.host_dead) << "somebody was there";
  EXPECT_TRUE(server.messages.size() == (GetParam() == std::string("END") ? 1U : 0U));
}

TEST_P(EachStep, ABrokenConnectionIsATemporaryFailure) {
  server.manners.offers = {};
  server.manners.answers[GetParam()] = Manners::kReset;
  EXPECT_EQ(shown(deliver(request({"a@to.test", "b@to.test"})).outcomes[1]), "451 4.4.2");
  server.manners.offers = {"PIPELINING"};
  EXPECT_EQ(shown(deliver(request({"a@to.test", "b@to.test"})).outcomes[1]), "451 4.4.2");
}

TEST_P(EachStep, TheServerMayGoWith421) {
  for (const auto& offers : {std::vector<std::string>{}, std::vector<std::string>{"PIPELINING"}}) {
    server.manners.offers = offers;
    server.manners.answers[GetParam()] = "421 4.3.2 closing\r\n";
    EXPECT_EQ(shown(deliver(request({"a@to.test", "b@to.test"})).outcomes[1]), "421 4.3.2");
  }
}

INSTANTIATE_TEST_SUITE_P(Steps, EachStep, ::testing::Values("BANNER", "EHLO", "MAIL", "RCPT", "DATA", "END"));

TEST_F(Dialogue, WhatTheNextServerCannotTakeIsRefusedBeforeItIsSent) {
  server.manners.offers = {"PIPELINING", "SIZE 30"};
  EXPECT_EQ(shown(deliver(request(), "S: x\r\n\r\n" + std::string(40, 'a') + "\r\n").outcomes[0]), "552 5.3.4");
  EXPECT_EQ(shown(deliver(request(), "S: x\r\n\r\n\xC3\xA4\r\n").outcomes[0]), "554 5.6.3");
  auto r = request({"\xC3\xA4@to.test", "b@to.test"});
  const auto result = deliver(r);
  EXPECT_EQ(shown(result.outcomes[0]), "550 5.6.7");
  EXPECT_EQ(shown(result.outcomes[1]), "250 2.0.0");
  r.reverse_path = "\xC3\xA4@from.test";
  EXPECT_EQ(shown(deliver(r).outcomes[1]), "550 5.6.7");
  r = request();
  r.smtputf8 = true;
  server.manners.offers = {"PIPELINING", "8BITMIME"};
  pool.close_idle();
  EXPECT_EQ(shown(deliver(r, "S: \xC3\xA4\r\n\r\nx\r\n").outcomes[0]), "550 5.6.7");
  EXPECT_EQ(shown(deliver(r, "S: a\r\n\r\n\xC3\xA4\r\n").outcomes[0]), "250 2.0.0") << "the header is ASCII: nothing is lost";
}

TEST_F(Dialogue, AddressesThatCouldEndALineAreNotWritten) {
  for (const std::string& bad : std::vector<std::string>{"a@to.test>\r\nRCPT TO:<x@y.test", "a b@to.test", "<a@to.test>", "", "a", std::string("a\0@to.test", 10)}) {
    const auto result = deliver(request({bad, "b@to.test"}));
    EXPECT_EQ(shown(result.outcomes[0]), "553 5.1.3") << bad;
    EXPECT_EQ(shown(result.outcomes[1]), "250 2.0.0");
  }
  EXPECT_EQ(server.count("RCPT"), 6U);
}

TEST_F(Dialogue, LogsInToARoutesServer) {
  courier.rules().routes = {*parse_route("*=user:pa@ss@127.0.0.1:" + std::to_string(server.at.port), 25)};
  server.manners.offers = {"PIPELINING", "AUTH LOGIN PLAIN"};
  EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  EXPECT_EQ(server.count("AUTH PLAIN AHVzZXIAcGFAc3M="), 1U);
  pool.close_idle();
  server.manners.answers["AUTH"] = "535 5.7.8 no\r\n";
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.8") << "the mail waits until the password is right";
}

}  // namespace
}  // namespace postern::remote::test
