// Dialogues: what a client sends, what it hears, and what comes of it.
#include "listener/smtp_session.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "listener/session_harness_test.h"
#include "privsep/wire.h"

namespace postern::listener {
namespace {

TEST(Dialogue, TheServerSpeaksFirst) {
  Harness h;
  EXPECT_EQ(h.start(), "220 mx.example ESMTP Postern\r\n");
}

TEST(Dialogue, EhloNamesTheExtensions) {
  Harness h;
  h.start();
  const std::string reply = h.say("EHLO client.example\r\n");
  for (const char* keyword : {"PIPELINING", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS",
                              "LIMITS RCPTMAX=1000 MAILMAX=10000"})
    EXPECT_NE(reply.find(std::string("250-") + keyword + "\r\n"), std::string::npos) << keyword;
  EXPECT_TRUE(reply.ends_with("250 HELP\r\n"));
  for (const char* absent : {"BINARYMIME", "REQUIRETLS", "AUTH"}) EXPECT_EQ(reply.find(absent), std::string::npos) << absent;
  h.context.has_tls = false;
  EXPECT_EQ(h.say("EHLO client.example\r\n").find("STARTTLS"), std::string::npos);
}

TEST(Dialogue, EveryCommandInEveryState) {  // RFC 5321 §4.1.4; columns: connected, greeted, sender, recipient, chunks
  struct Case { std::string_view line; std::array<int, 5> codes; };
  for (const auto& c : {
           Case{"HELO client.example", {250, 250, 250, 250, 503}}, Case{"EHLO client.example", {250, 250, 250, 250, 503}},
           Case{"MAIL FROM:<a@b.example>", {503, 250, 503, 503, 503}}, Case{"RCPT TO:<bob@mx.example>", {503, 503, 250, 250, 503}},
           Case{"DATA", {503, 503, 554, 354, 503}}, Case{"BDAT 0", {503, 503, 554, 250, 250}}, Case{"RSET", {250, 250, 250, 250, 250}},
           Case{"NOOP", {250, 250, 250, 250, 250}}, Case{"NOOP ignored", {250, 250, 250, 250, 250}}, Case{"VRFY bob", {252, 252, 252, 252, 252}},
           Case{"EXPN list", {502, 502, 502, 502, 502}}, Case{"HELP", {214, 214, 214, 214, 214}}, Case{"STARTTLS", {503, 220, 503, 503, 503}},
           Case{"QUIT", {221, 221, 221, 221, 221}}, Case{"AUTH PLAIN", {500, 500, 500, 500, 500}}, Case{"", {500, 500, 500, 500, 500}},
           Case{"TURN", {500, 500, 500, 500, 500}}, Case{"DATA now", {503, 503, 554, 501, 503}}, Case{"RSET x", {501, 501, 501, 501, 501}},
           Case{"VRFY", {501, 501, 501, 501, 501}}, Case{"EHLO", {501, 501, 501, 501, 503}},
       })
    for (std::size_t i = 0; i < 5; ++i) {
      Harness h;
      go_to(h, static_cast<At>(i));
      EXPECT_EQ(codes(h.say(std::string(c.line) + "\r\n")), std::to_string(c.codes[i])) << c.line << " in state " << i;
      EXPECT_EQ(h.closed, c.line == "QUIT") << c.line;
    }
}

TEST(Dialogue, RepliesCarryEnhancedCodesButGreetingHelloAnd354) {  // RFC 2034 §3
  Harness h;
  h.greet();
  for (const std::string line : {"MAIL FROM:<a@b.example>", "RCPT TO:<bob@mx.example>", "RCPT TO:<unknown@mx.example>", "NOOP", "VRFY x", "XYZ", "HELP", "RSET", "DATA"}) {
    const std::string reply = h.say(line + "\r\n");
    EXPECT_EQ(reply[4], reply[0]) << reply;
    EXPECT_EQ(reply[5], '.') << reply;
  }
}

TEST(Dialogue, AMessageIsSubmittedWithItsEnvelope) {
  Harness h;
  h.greet();
  EXPECT_EQ(codes(h.say("MAIL FROM:<a@b.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=x+2B1\r\n")), "250");
  EXPECT_EQ(codes(h.say("RCPT TO:<bob@mx.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bob@old.example\r\n")), "250");
  EXPECT_EQ(codes(h.say("DATA\r\n")), "354");
  EXPECT_EQ(codes(h.say(std::string(kText) + "..dot\r\n.\r\n")), "250");
  ASSERT_EQ(h.messages.size(), 1U);
  const Message& m = h.messages[0];
  const privsep::Envelope& e = m.submission.envelope;
  EXPECT_FALSE(m.outbound);
  EXPECT_EQ(m.body, std::string(kText) + ".dot\r\n");
  EXPECT_EQ(m.submission.content.size, m.body.size());
  EXPECT_EQ(e.id.size(), 16U);
  EXPECT_EQ(e.reverse_path, "a@b.example");
  ASSERT_EQ(e.recipients.size(), 1U);
  EXPECT_EQ(e.recipients[0].ticket.target, "bob@mx.example");
  EXPECT_EQ(e.recipients[0].notify.bits, privsep::Notify::kSuccess | privsep::Notify::kDelay);
  EXPECT_EQ(e.recipients[0].orcpt, "rfc822;b+ob@old.example");
  EXPECT_EQ(e.body, privsep::Body::eight_bit_mime);
  EXPECT_EQ(e.ret, privsep::Ret::headers);
  EXPECT_EQ(e.envid, "x+1");
  EXPECT_EQ(e.arrival.helo, "client.example");
  EXPECT_TRUE(e.arrival.esmtp);
  EXPECT_EQ(e.arrival.client, *IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(m.submission.content.prefix,
            "Received: from client.example ([192.0.2.1])\r\n\tby mx.example with ESMTP\r\n\tid " + e.id +
                "\r\n\tfor <bob@mx.example>;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n");
  EXPECT_EQ(codes(h.say("MAIL FROM:<>\r\n")), "250") << "the next one may come";
}

TEST(Dialogue, WithSeveralRecipientsTheTraceNamesNone) {  // RFC 5321 §7.6
  Harness h;
  h.greet();
  h.say(kOpen + "RCPT TO:<team@mx.example>\r\nDATA\r\n");
  h.say(std::string(kText) + ".\r\n");
  ASSERT_EQ(h.messages.size(), 1U);
  EXPECT_EQ(h.messages[0].submission.envelope.recipients.size(), 4U);
  EXPECT_EQ(h.messages[0].submission.content.prefix.find(" for "), std::string::npos);
}

TEST(Dialogue, TheVerdictIsWhatTheClientHears) {
  struct Case { privsep::SmtpReply reply; std::string_view heard; };
  for (const auto& c : {Case{{250, "2.0.0", "accepted as X"}, "250 2.0.0 accepted as X\r\n"}, Case{{550, "5.7.1", "policy"}, "550 5.7.1 policy\r\n"},
                        Case{{452, "4.3.1", "disk"}, "452 4.3.1 disk\r\n"}, Case{{250, "2.0.0", "a\r\n250 b"}, "250 2.0.0 a\\x0d\\x0a250 b\r\n"},
                        Case{{99, "9.9.9", "?"}, "451 4.3.0 A part of this server is away, try again later\r\n"},
                        Case{{354, "3.0.0", "?"}, "451 4.3.0 A part of this server is away, try again later\r\n"}}) {
    Harness h;
    h.greet();
    h.submit_verdict = privsep::SubmissionVerdict{c.reply};
    h.say(kOpen + "DATA\r\n");
    EXPECT_EQ(h.say(std::string(kText) + ".\r\n"), c.heard);
  }
}

TEST(Dialogue, ADeadVerifierIsATemporaryError) {
  Harness h;
  h.greet();
  h.submit_verdict = failure("ipc.gone", "no verifier");
  h.say(kOpen + "DATA\r\n");
  EXPECT_EQ(h.say(std::string(kText) + ".\r\n").substr(0, 9), "451 4.3.0");
}

TEST(Poison, IsTriedTwiceAndThenHandedOverUnread) {
  Harness h;
  h.greet();
  const std::string text = std::string(kText) + ".\r\n";
  h.submit_verdict = failure(kKilledVerifier, "it died");
  h.say(kOpen + "DATA\r\n");
  EXPECT_EQ(h.say(text).substr(0, 9), "451 4.3.0");
  h.say(kOpen + "DATA\r\n");
  h.hear(text);
  h.answer_submission();
  EXPECT_EQ(h.take(), "") << "the client waits until it is parked";
  ASSERT_EQ(h.messages.size(), 3U);
  EXPECT_FALSE(h.messages[1].submission.park);
  EXPECT_TRUE(h.messages[2].submission.park);
  EXPECT_EQ(h.messages[2].body, kText);
  EXPECT_EQ(privsep::encode(h.messages[2].submission.envelope), privsep::encode(h.messages[1].submission.envelope));
  EXPECT_EQ(h.messages[2].submission.content.prefix, h.messages[1].submission.content.prefix);
  h.submit_verdict = privsep::SubmissionVerdict{{250, "2.0.0", "parked"}};
  h.answer_submission();
  EXPECT_EQ(codes(h.take()), "250");
  h.say(kOpen + "DATA\r\n");
  EXPECT_EQ(codes(h.say(text)), "250");
  ASSERT_EQ(h.messages.size(), 4U);
  EXPECT_TRUE(h.messages[3].submission.park) << "no verifier sees it again";
  h.say(kOpen + "DATA\r\n");
  h.say("another " + text);
  EXPECT_FALSE(h.messages[4].submission.park);
}

TEST(Poison, IsNotParkedForWhatBefellAVerifierOtherwise) {
  Harness h;
  h.greet();
  for (int i = 0; i < 5; ++i) {
    h.submit_verdict = i % 2 == 0 ? failure("ipc.gone", "it died over another's") : failure("ipc.timeout", "it is slow");
    h.say(kOpen + "DATA\r\n");
    EXPECT_EQ(h.say(std::string(kText) + ".\r\n").substr(0, 9), "451 4.3.0");
    EXPECT_FALSE(h.messages.back().submission.park);
  }
}

TEST(Poison, ThatCannotBeParkedIsTheClientsAgain) {
  Harness h;
  h.greet();
  h.submit_verdict = failure(kKilledVerifier, "it died");
  for (int i = 0; i < 3; ++i) {
    h.say(kOpen + "DATA\r\n");
    EXPECT_EQ(h.say(std::string(kText) + ".\r\n").substr(0, 9), "451 4.3.0") << "also when the parking itself fails";
  }
  EXPECT_EQ(h.messages.size(), 4U);
}

TEST(Recipients, AreAnsweredByTheMailbox) {
  struct Case { std::string_view recipient, reply; };
  for (const auto& c : {Case{"<bob@mx.example>", "250 2.1.5"}, Case{"<unknown@mx.example>", "550 5.1.1"}, Case{"<full@mx.example>", "452 4.2.2"},
                        Case{"<x@elsewhere.example>", "550 5.7.1"}, Case{"<gone@mx.example>", "451 4.3.0"}, Case{"<empty@mx.example>", "451 4.3.0"},
                        Case{"<Postmaster>", "250 2.1.5"}, Case{"<a b@mx.example>", "501 5.1.3"}, Case{"<>", "501 5.1.3"},
                        Case{"<\xC3\xA4@mx.example>", "553 5.6.7"}, Case{"<bob@mx.example> FOO=1", "555 5.5.4"}, Case{"<`id`;$(x)|@mx.example>", "501 5.1.3"},
                        Case{"bob@mx.example", "501 5.5.4"}, Case{"<bob@mx.example> NOTIFY=X", "501 5.5.4"}}) {
    Harness h;
    h.greet();
    h.say("MAIL FROM:<a@b.example>\r\n");
    EXPECT_EQ(h.say("RCPT TO:" + std::string(c.recipient) + "\r\n").substr(0, 9), c.reply) << c.recipient;
  }
}

TEST(Recipients, PostmasterWithoutADomainIsOurs) {  // RFC 5321 §4.5.1
  Harness h;
  h.greet();
  h.hear("MAIL FROM:<>\r\nRCPT TO:<pOSTmaster>\r\n");
  ASSERT_EQ(h.questions.size(), 1U);
  EXPECT_EQ(h.questions[0].query.recipient, "postmaster");
}

TEST(Recipients, TheQuestionCarriesWhatTheMailboxNeeds) {
  Harness h;
  h.greet();
  h.hear("MAIL FROM:<a@b.example> SIZE=1234\r\nRCPT TO:<Bob@MX.example>\r\n");
  ASSERT_EQ(h.questions.size(), 1U);
  EXPECT_EQ(h.questions[0].query.recipient, "Bob@mx.example");
  EXPECT_EQ(h.questions[0].query.reverse_path, "a@b.example");
  EXPECT_EQ(h.questions[0].query.size, 1234U);
  EXPECT_EQ(h.questions[0].query.client, *IpAddress::parse("192.0.2.1"));
}

TEST(Recipients, AreBounded) {
  auto settings = Harness::default_settings();
  settings.max_recipients = 3;
  Harness h(settings);
  h.greet();
  std::string group = "MAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@mx.example>\r\n";
  EXPECT_EQ(codes(h.say(group)), "250 550");
  EXPECT_EQ(codes(h.say("RCPT TO:<a@mx.example>\r\nRCPT TO:<b@mx.example>\r\nRCPT TO:<c@mx.example>\r\nRCPT TO:<d@mx.example>\r\n")), "250 250 250 452");
  EXPECT_EQ(codes(h.say("RCPT TO:<e@mx.example>\r\n")), "452");
}

TEST(Relaying, MailWithARelayTicketOrFromARelayClientGoesToTheOutboundVerifier) {
  struct Case { bool may_relay; std::string_view recipient; bool outbound; };
  for (const auto& c : {Case{false, "bob@mx.example", false}, Case{false, "forward@mx.example", true}, Case{true, "bob@mx.example", true}}) {
    Harness h(Harness::default_settings(), c.may_relay);
    h.greet();
    h.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<" + std::string(c.recipient) + ">\r\nDATA\r\n");
    h.say(std::string(kText) + ".\r\n");
    ASSERT_EQ(h.messages.size(), 1U);
    EXPECT_EQ(h.messages[0].outbound, c.outbound) << c.recipient;
    EXPECT_EQ(h.messages[0].submission.envelope.arrival.may_relay, c.may_relay);
  }
}

// ---- pipelining ----------------------------------------------------------------------------------------------------

TEST(Pipelining, AGroupIsAnsweredInOrderAndInOneWrite) {  // RFC 2920 §3.2
  Harness h;
  h.greet();
  h.writes = 0;
  EXPECT_EQ(codes(h.say("RSET\r\nNOOP\r\nVRFY x\r\nMAIL FROM:<a@b.example>\r\nBOGUS\r\n")), "250 250 252 250 500");
  EXPECT_EQ(h.writes, 1);
}

TEST(Pipelining, RecipientsAreAskedSideBySideAndAnsweredInOrder) {
  Harness h;
  h.greet();
  h.hear("MAIL FROM:<a@b.example>\r\nRCPT TO:<one@mx.example>\r\nRCPT TO:<unknown@mx.example>\r\nRCPT TO:<bad\r\nRCPT TO:<three@mx.example>\r\nDATA\r\n");
  EXPECT_EQ(codes(h.take()), "250");
  ASSERT_EQ(h.questions.size(), 3U) << "all of them at once";
  h.answer_recipient(2);
  EXPECT_EQ(h.take(), "") << "the third waits for the first";
  h.answer_recipient(1);
  EXPECT_EQ(h.take(), "");
  h.answer_recipient(0);
  EXPECT_EQ(codes(h.take()), "250 550 501 250 354") << "and DATA waited for all";
  h.say(std::string(kText) + ".\r\n");
  ASSERT_EQ(h.messages.size(), 1U);
  ASSERT_EQ(h.messages[0].submission.envelope.recipients.size(), 2U);
  EXPECT_EQ(h.messages[0].submission.envelope.recipients[0].ticket.target, "one@mx.example");
  EXPECT_EQ(h.messages[0].submission.envelope.recipients[1].ticket.target, "three@mx.example");
}

TEST(Pipelining, DataWithoutAnyRecipientIsRefused) {
  Harness h;
  h.greet();
  EXPECT_EQ(codes(h.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<unknown@mx.example>\r\nDATA\r\n")), "250 550 554");
  EXPECT_FALSE(h.closed);
}

TEST(Pipelining, ADialogueInOneByteReadsGivesTheSame) {
  Harness h;
  h.start();
  std::string heard;
  for (char c : "EHLO a.example\r\n" + kOpen + "DATA\r\n") heard += h.say({&c, 1});
  for (char c : std::string(kText) + ".\r\nQUIT\r\n") heard += h.say({&c, 1});
  EXPECT_EQ(codes(heard), "250 250 250 354 250 221");
  ASSERT_EQ(h.messages.size(), 1U);
  EXPECT_EQ(h.messages[0].body, kText);
}

TEST(Pipelining, TheNextTransactionMayFollowTheTextAtOnce) {  // RFC 2920 §3.1
  Harness h;
  h.greet();
  h.say(kOpen + "DATA\r\n");
  h.hear(std::string(kText) + ".\r\n" + kOpen + "QUIT\r\n");
  EXPECT_EQ(h.take(), "") << "nothing before the verdict";
  h.answer_all();
  EXPECT_EQ(codes(h.take()), "250 250 250 221");
  EXPECT_EQ(h.messages.size(), 1U);
}

TEST(Pipelining, WhoSendsPastAPointOfSynchronisationIsRefusedAndCutOff) {  // RFC 2920 §3.1
  struct Case { At at; std::string_view sent; std::string_view heard; };
  for (const auto& c : {Case{At::connected, "EHLO a.example\r\nMAIL FROM:<a@b.example>\r\n", "554"}, Case{At::connected, "HELO a.example\r\nM", "554"},
                        Case{At::recipient, "DATA\r\nSubject: early\r\n\r\n.\r\n", "554"}, Case{At::greeted, "STARTTLS\r\nMAIL FROM:<a@b.example>\r\n", "554"},
                        Case{At::greeted, "STARTTLS\r\n\x16\x03\x01", "554"}, Case{At::greeted, "QUIT\r\nMAIL FROM:<a@b.example>\r\n", "221"}}) {
    Harness h;
    go_to(h, c.at);
    const std::string heard = codes(h.say(c.sent));
    EXPECT_TRUE(heard == c.heard || (c.heard == "221" && heard == "554")) << c.sent << heard;
    EXPECT_TRUE(h.closed) << c.sent;
    EXPECT_TRUE(h.messages.empty());
    EXPECT_EQ(h.say("NOOP\r\n"), "") << "nothing more is read";
  }
}

TEST(Pipelining, BytesBeforeTheGreetingEndTheSession) {
  auto settings = Harness::default_settings();
  settings.banner_delay = std::chrono::seconds{5};
  {
    Harness h(settings);
    EXPECT_EQ(h.start(), "");
    EXPECT_EQ(codes(h.say("EHLO early.example\r\n")), "554");
    EXPECT_TRUE(h.closed);
  }
  Harness patient(settings);
  patient.start();
  patient.clock.advance(std::chrono::seconds{6});
  patient.session.on_tick(patient.clock.steady());
  EXPECT_EQ(codes(patient.take()), "220");
}

TEST(Pipelining, InputIsHeldWhileCommandsWait) {
  Harness h;
  h.greet();
  h.hear(kOpen);
  std::string many;
  while (many.size() <= limits::kInputBytes) many += "NOOP " + std::string(100, 'x') + "\r\n";
  h.hear(many);
  EXPECT_TRUE(h.held);
  h.answer_all();
  EXPECT_FALSE(h.held);
}

// ---- chunks --------------------------------------------------------------------------------------------------------

TEST(Chunking, AMessageMayComeInChunks) {  // RFC 3030 §2
  Harness h;
  h.greet();
  h.say(kOpen);
  EXPECT_EQ(codes(h.say("BDAT 6\r\nA: b\r\nBDAT 2\r\n\r\nBDAT 9 LAST\r\n.\r\nEHLO x")), "250 250 250");
  ASSERT_EQ(h.messages.size(), 1U);
  EXPECT_EQ(h.messages[0].body, "A: b\r\n\r\n.\r\nEHLO x\r\n") << "octets are text, whatever they look like";
}

TEST(Chunking, WholeGroupsWorkWhereverTheyAreCut) {
  const std::string group = kOpen + "BDAT 8\r\nA: b\r\n\r\nBDAT 5 LAST\r\nQUIT\nQUIT\r\n";
  for (std::size_t split = 0; split < group.size(); ++split) {
    Harness h;
    h.greet();
    std::string heard = h.say(group.substr(0, split));
    heard += h.say(group.substr(split));
    EXPECT_EQ(codes(heard), "250 250 250 550") << split;
    EXPECT_TRUE(h.closed);
    EXPECT_TRUE(h.messages.empty());
  }
}

TEST(Chunking, RefusedChunksAreSwallowed) {
  struct Case { At at; std::string_view reply; };
  for (const auto& c : {Case{At::connected, "503"}, Case{At::greeted, "503"}, Case{At::sender, "554"}}) {
    Harness h;
    go_to(h, c.at);
    EXPECT_EQ(codes(h.say("BDAT 6 LAST\r\nRSET\r\nNOOP\r\n")), std::string(c.reply) + " 250") << "one reply to BDAT, one to NOOP";
  }
}

TEST(Chunking, WithoutItsSizeTheDialogueIsLost) {
  for (const std::string_view argument : {"-1 LAST", "18446744073709551621 LAST", "x", "", "99999999999 LAST"}) {
    Harness h;
    go_to(h, At::recipient);
    const auto heard = codes(h.say("BDAT " + std::string(argument) + "\r\nMAIL FROM:<a@b.example>\r\n"));
    EXPECT_TRUE(heard == "501" || heard == "552") << argument << heard;
    EXPECT_TRUE(h.closed) << argument;
  }
}

TEST(Chunking, NothingIsDeliveredWithoutLast) {
  Harness h;
  go_to(h, At::chunks);
  EXPECT_EQ(codes(h.say("DATA\r\nMAIL FROM:<a@b.example>\r\n")), "554") << "DATA is a point of synchronisation";
  Harness g;
  go_to(g, At::chunks);
  EXPECT_EQ(codes(g.say("MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@mx.example>\r\nRSET\r\nBDAT 0 LAST\r\n")), "503 503 250 503");
  EXPECT_TRUE(h.messages.empty() && g.messages.empty());
}

TEST(Chunking, AChunkedMessageOverTheLimitIsRefused) {
  auto settings = Harness::default_settings();
  settings.max_message_size = 10;
  Harness h(settings);
  h.greet();
  EXPECT_EQ(codes(h.say(kOpen + "BDAT 8\r\n12345678BDAT 8 LAST\r\n12345678")), "250 250 250 552");
  EXPECT_EQ(codes(h.say("MAIL FROM:<a@b.example>\r\n")), "250");
}

TEST(Chunking, TheEndOfTheConnectionAtAnyOffsetDeliversNothing) {  // the Dead.Letter class: one owner of the stream, and it ends
  const std::string chunk = "BDAT 20 LAST\r\nA: b\r\n\r\n12345678901";
  for (std::size_t cut = 0; cut <= chunk.size(); ++cut) {
    Harness h;
    go_to(h, At::recipient);
    h.say(chunk.substr(0, cut));
    h.session.on_eof();
    EXPECT_TRUE(h.closed) << cut;
    EXPECT_EQ(h.say("NOOP\r\n"), "") << cut;
    EXPECT_TRUE(h.messages.empty()) << cut;
  }
}

}  // namespace
}  // namespace postern::listener
