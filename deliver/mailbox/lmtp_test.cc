#include "deliver/mailbox/lmtp.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/test_support.h"
#include "io/timer.h"
#include "io/watch.h"

namespace postern::mailbox {
namespace {

using testing::ElementsAre;

std::vector<int> codes(const LmtpOutcome& outcome) {
  std::vector<int> found;
  for (const auto& reply : outcome) found.push_back(reply.code);
  return found;
}

LmtpMessage message_to(std::vector<std::string> recipients, std::string_view text = "A: b\r\n\r\n.dot\r\n..two\r\nend\r\n") {
  LmtpMessage message;
  message.reverse_path = "s@sender.example";
  message.recipients = std::move(recipients);
  message.bytes = message_of(text);
  return message;
}

std::string all_output(LmtpSession& session) {
  std::string all;
  for (auto part = session.output(); !part.empty(); part = session.output()) all += part;
  return all;
}

/// A session past its greeting.
LmtpSession greeted(std::string_view extensions = "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000\r\n") {
  LmtpSession session("us.example");
  EXPECT_TRUE(session.feed("220 ready\r\n"));
  EXPECT_EQ(all_output(session), "LHLO us.example\r\n");
  EXPECT_TRUE(session.feed(extensions));
  EXPECT_TRUE(session.ready());
  return session;
}

// ---- replies -------------------------------------------------------------------------------------------------------

TEST(LmtpReply, ReadsRepliesHoweverTheyAreCut) {
  const std::string stream = "250-first\r\n250-2.1.5 second\r\n250 third\r\n550 5.1.1 no\r\n354\r\n221 2.0.0\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    LmtpReplyReader reader;
    ASSERT_TRUE(reader.feed(stream.substr(0, cut)));
    ASSERT_TRUE(reader.feed(stream.substr(cut)));
    const auto first = reader.next().value();
    EXPECT_EQ(first.code, 250);
    EXPECT_THAT(first.lines, ElementsAre("first", "second", "third"));
    const auto second = reader.next().value();
    EXPECT_EQ(second.enhanced, "5.1.1");
    EXPECT_EQ(second.to_smtp().text, "no");
    EXPECT_EQ(reader.next().value().code, 354);
    EXPECT_EQ(reader.next().value().enhanced, "2.0.0");
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.has_rest());
  }
}

TEST(LmtpReply, RefusesWhatIsNotOfTheGrammarOrWithoutBound) {
  for (const char* bad : {"hello\r\n", "99 x\r\n", "600 x\r\n", "250x\r\n", "250-a\r\n251 b\r\n", "\r\n", "25\r\n", "-250 x\r\n"}) {
    LmtpReplyReader reader;
    EXPECT_FALSE(reader.feed(bad)) << bad;
  }
  LmtpReplyReader at_limit;
  EXPECT_TRUE(at_limit.feed("250 " + std::string(limits::kReplyLineBytes - 5, 'x') + "\r\n"));
  LmtpReplyReader past_limit;
  EXPECT_FALSE(past_limit.feed("250 " + std::string(limits::kReplyLineBytes - 3, 'x')));
  std::string lines;
  for (std::size_t i = 0; i < limits::kReplyLines - 1; ++i) lines += "250-x\r\n";
  LmtpReplyReader enough;
  EXPECT_TRUE(enough.feed(lines + "250 x\r\n"));
  LmtpReplyReader too_many;
  EXPECT_FALSE(too_many.feed(lines + "250-x\r\n250 x\r\n"));
}

TEST(LmtpReply, AnEnhancedCodeOfAnotherClassIsText) {
  LmtpReplyReader reader;
  ASSERT_TRUE(reader.feed("250 5.1.1 odd\r\n"));
  const auto reply = reader.next().value();
  EXPECT_EQ(reply.enhanced, "");
  EXPECT_EQ(reply.to_smtp().enhanced, "2.0.0");
  EXPECT_EQ(reply.to_smtp().text, "5.1.1 odd");
}

// ---- the session ---------------------------------------------------------------------------------------------------

TEST(LmtpSession, PipelinesAndGivesEachRecipientItsReply) {  // RFC 2033 §4.2
  auto session = greeted();
  session.deliver(message_to({"a@x.example", "b@x.example", "c@x.example"}));
  EXPECT_EQ(all_output(session),
            "MAIL FROM:<s@sender.example> SIZE=26 BODY=8BITMIME\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n"
            "RCPT TO:<c@x.example>\r\nDATA\r\n");
  ASSERT_TRUE(session.feed("250 ok\r\n250 a\r\n550 5.1.1 no b\r\n250 c\r\n354 go\r\n"));
  EXPECT_EQ(all_output(session), "A: b\r\n\r\n..dot\r\n...two\r\nend\r\n.\r\n");
  EXPECT_FALSE(session.take_outcome());
  ASSERT_TRUE(session.feed("250 2.0.0 stored\r\n"));
  EXPECT_FALSE(session.take_outcome());
  ASSERT_TRUE(session.feed("452 4.2.2 full\r\n"));
  EXPECT_THAT(codes(session.take_outcome().value()), ElementsAre(250, 550, 452));
  EXPECT_TRUE(session.ready());
  EXPECT_FALSE(session.must_close());
}

TEST(LmtpSession, WaitsForEachReplyWithoutPipelining) {
  auto session = greeted("250 mx\r\n");
  session.deliver(message_to({"a@x.example", "b@x.example"}));
  EXPECT_EQ(all_output(session), "MAIL FROM:<s@sender.example>\r\n");
  ASSERT_TRUE(session.feed("250 ok\r\n"));
  EXPECT_EQ(all_output(session), "RCPT TO:<a@x.example>\r\n");
  ASSERT_TRUE(session.feed("250 ok\r\n"));
  EXPECT_EQ(all_output(session), "RCPT TO:<b@x.example>\r\n");
  ASSERT_TRUE(session.feed("250 ok\r\n"));
  EXPECT_EQ(all_output(session), "DATA\r\n");
  ASSERT_TRUE(session.feed("354 go\r\n"));
  EXPECT_TRUE(all_output(session).ends_with("\r\n.\r\n"));
  ASSERT_TRUE(session.feed("250 ok\r\n250 ok\r\n"));
  EXPECT_THAT(codes(session.take_outcome().value()), ElementsAre(250, 250));
}

TEST(LmtpSession, EndsAsTheTableSays) {
  const struct {
    const char* replies;
    std::vector<int> expected;
    bool must_close;
  } cases[] = {
      {"550 5.7.1 no\r\n", {550, 550}, true},                                     // MAIL refused
      {"250 ok\r\n550 a\r\n551 b\r\n503 no recipients\r\n", {550, 551}, true},
      {"250 ok\r\n550 a\r\n551 b\r\n354 go\r\n", {550, 551}, true},               // grants DATA for nobody: not sent a message
      {"250 ok\r\n250 a\r\n551 b\r\n452 4.3.1 disk\r\n", {452, 551}, true},       // DATA refused
  };
  for (const auto& c : cases) {
    auto session = greeted();
    session.deliver(message_to({"a@x.example", "b@x.example"}));
    (void)all_output(session);
    ASSERT_TRUE(session.feed(c.replies)) << c.replies;
    EXPECT_EQ(codes(session.take_outcome().value()), c.expected) << c.replies;
    EXPECT_EQ(session.must_close(), c.must_close) << c.replies;
    EXPECT_EQ(all_output(session), "") << c.replies;
  }
}

TEST(LmtpSession, ABreakLeavesWhatWasAnsweredAndDefersTheRest) {
  auto session = greeted();
  session.deliver(message_to({"a@x.example", "b@x.example", "c@x.example"}));
  (void)all_output(session);
  EXPECT_TRUE(session.may_retry_elsewhere());
  ASSERT_TRUE(session.feed("250 ok\r\n250 a\r\n550 b\r\n250 c\r\n354 go\r\n"));
  (void)all_output(session);
  EXPECT_FALSE(session.may_retry_elsewhere());
  ASSERT_TRUE(session.feed("250 stored a\r\n"));
  EXPECT_THAT(codes(session.fail(Error{"lmtp.closed", "gone"})), ElementsAre(250, 550, 451));
}

TEST(LmtpSession, RepliesNobodyAskedForEndItWithoutHarm) {
  auto idle = greeted();
  EXPECT_FALSE(idle.feed("250 what\r\n"));
  auto session = greeted();
  session.deliver(message_to({"a@x.example"}));
  (void)all_output(session);
  // All is answered, and one more: the result stays what it was.
  EXPECT_FALSE(session.feed("250 ok\r\n250 a\r\n354 go\r\n250 stored\r\n250 again\r\n"));
  EXPECT_THAT(codes(session.fail(Error{"lmtp.protocol", "x"})), ElementsAre(250));
  LmtpSession refused("us");
  EXPECT_FALSE(refused.feed("554 no\r\n"));
  auto closing = greeted();
  EXPECT_FALSE(closing.feed("421 4.3.2 bye\r\n"));
}

TEST(LmtpSession, InternationalMailNeedsAServerThatTakesIt) {  // RFC 6531 §3.2
  auto without = greeted();
  auto message = message_to({"b\xc3\xbc" "cher@x.example"});
  message.smtputf8 = true;
  without.deliver(message);
  EXPECT_EQ(all_output(without), "");
  EXPECT_THAT(codes(without.take_outcome().value()), ElementsAre(554));
  auto with = greeted("250-mx\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n");
  with.deliver(message);
  EXPECT_TRUE(all_output(with).starts_with("MAIL FROM:<s@sender.example> SMTPUTF8\r\n"));
}

TEST(LmtpData, DotsAreDoubledWhereverTheStretchEnds) {
  const std::string text = ".a\r\n..b\r\nc.\r\n.\r\n";
  for (std::size_t most = 1; most <= text.size() + 1; ++most) {
    DataWriter writer("X: y\r\n", message_of(text));
    std::string all;
    for (auto part = writer.next(most); !part.empty(); part = writer.next(most)) all += part;
    EXPECT_EQ(all, "X: y\r\n..a\r\n...b\r\nc.\r\n..\r\n.\r\n") << most;
  }
  DataWriter open_end("", message_of("no line end"));
  EXPECT_EQ(open_end.next(100), "no line end\r\n.\r\n");
}

// ---- the connections -----------------------------------------------------------------------------------------------

/// An LMTP server on the other end of a socketpair: answers each command it knows, keeps the mail.
class FakeServer {
 public:
  FakeServer(io::Loop& loop, Fd socket) : socket_(std::move(socket)), watch_(loop, socket_.get(), [this](io::Interest) { read(); }) {
    watch_.set(io::Interest::readable);
    say("220 fake LMTP\r\n");
  }
  bool close_at_mail = false;
  std::vector<std::string> mails;

 private:
  void say(std::string_view text) { (void)!::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  void read() {
    std::array<char, 65536> buffer;
    const auto count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return watch_.set(io::Interest::none);
    in_.append(buffer.data(), static_cast<std::size_t>(count));
    for (auto end = in_.find("\r\n"); end != std::string::npos; end = in_.find("\r\n")) {
      const std::string line = in_.substr(0, end);
      in_.erase(0, end + 2);
      take(line);
    }
  }
  void take(const std::string& line) {
    if (in_data_) {
      if (line != ".") return mail_.append(line).append("\n"), void();
      in_data_ = false;
      mails.push_back(std::exchange(mail_, {}));
      for (const auto& recipient : std::exchange(recipients_, {}))
        say(recipient.starts_with("full") ? "452 4.2.2 full\r\n" : "250 2.0.0 stored\r\n");
    } else if (line.starts_with("LHLO")) {
      say("250-fake\r\n250-PIPELINING\r\n250 8BITMIME\r\n");
    } else if (line.starts_with("MAIL")) {
      if (close_at_mail) return socket_gone();
      say("250 ok\r\n");
    } else if (line.starts_with("RCPT TO:<no")) {
      say("550 5.1.1 no such user\r\n");
    } else if (line.starts_with("RCPT TO:<")) {
      recipients_.push_back(line.substr(9));
      say("250 ok\r\n");
    } else if (line == "DATA") {
      in_data_ = !recipients_.empty();
      say(in_data_ ? "354 go\r\n" : "503 no recipients\r\n");
    }
  }
  void socket_gone() {
    watch_.set(io::Interest::none);
    ::shutdown(socket_.get(), SHUT_RDWR);
  }
  Fd socket_;
  io::Watch watch_;
  std::string in_, mail_;
  bool in_data_ = false;
  std::vector<std::string> recipients_;
};

class Lmtp : public testing::Test {
 protected:
  void connect(const std::string& name, LmtpClients::Connected connected) {
    ++connects_;
    loop_.post([this, name, connected] {
      if (name == "absent") return connected(failure("lmtp.connect", "no such socket"));
      int pair[2];
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
      servers_.push_back(std::make_unique<FakeServer>(loop_, Fd(pair[0])));
      if (close_next_) servers_.back()->close_at_mail = std::exchange(close_next_, false);
      connected(Fd(pair[1]));
    });
  }
  LmtpOutcome deliver(const std::string& server, LmtpMessage message) {
    LmtpOutcome got;
    clients_.deliver(server, std::move(message), [&](const LmtpOutcome& outcome) {
      got = outcome;
      loop_.stop();
    });
    io::Timer guard(loop_);
    guard.start(std::chrono::seconds(20), [&] { loop_.stop(); });
    loop_.run();
    return got;
  }
  std::size_t mails() const {
    std::size_t count = 0;
    for (const auto& server : servers_) count += server->mails.size();
    return count;
  }
  io::Loop loop_;
  Log log_{[](Severity, std::string_view) {}, Severity::debug};
  int connects_ = 0;
  bool close_next_ = false;
  std::vector<std::unique_ptr<FakeServer>> servers_;
  LmtpClients clients_{loop_, log_, [this](const std::string& name, LmtpClients::Connected c) { connect(name, std::move(c)); }, "us.example"};
};

TEST_F(Lmtp, DeliversAndKeepsTheConnection) {
  EXPECT_THAT(codes(deliver("dovecot", message_to({"a@x", "no@x", "full@x"}))), ElementsAre(250, 550, 452));
  EXPECT_THAT(codes(deliver("dovecot", message_to({"b@x"}))), ElementsAre(250));
  EXPECT_EQ(connects_, 1);
  ASSERT_EQ(mails(), 2U);
  EXPECT_EQ(servers_[0]->mails[0], "A: b\n\n..dot\n...two\nend\n");
}

TEST_F(Lmtp, ABigMessageDrainsAsTheServerReads) {
  std::string text = "A: b\r\n\r\n";
  while (text.size() < 3'000'000) text += std::string(70, 'x') + "\r\n";
  EXPECT_THAT(codes(deliver("dovecot", message_to({"a@x"}, text))), ElementsAre(250));
  ASSERT_EQ(mails(), 1U);
  EXPECT_GT(servers_[0]->mails[0].size(), 2'900'000U);
}

TEST_F(Lmtp, AServerThatIsNotThereDefers) {
  EXPECT_THAT(codes(deliver("absent", message_to({"a@x", "b@x"}))), ElementsAre(451, 451));
  EXPECT_TRUE(clients_.idle());
}

TEST_F(Lmtp, AServerThatClosesDefers) {
  close_next_ = true;
  EXPECT_THAT(codes(deliver("dovecot", message_to({"a@x"}))), ElementsAre(451));
  EXPECT_THAT(codes(deliver("dovecot", message_to({"a@x"}))), ElementsAre(250));  // the next one gets a new connection
}

TEST_F(Lmtp, AKeptConnectionThatBreaksCostsOnlyAnotherTry) {
  ASSERT_THAT(codes(deliver("dovecot", message_to({"a@x"}))), ElementsAre(250));
  servers_[0]->close_at_mail = true;
  EXPECT_THAT(codes(deliver("dovecot", message_to({"b@x"}))), ElementsAre(250));
  EXPECT_EQ(mails(), 2U);
}

TEST_F(Lmtp, ManyAtOnceUseABoundedNumberOfConnections) {
  int left = 200, good = 0;
  for (int i = 0; i < 200; ++i)
    clients_.deliver("dovecot", message_to({"a@x"}), [&](const LmtpOutcome& outcome) {
      good += outcome.at(0).code == 250 ? 1 : 0;
      if (--left == 0) loop_.stop();
    });
  io::Timer guard(loop_);
  guard.start(std::chrono::seconds(60), [&] { loop_.stop(); });
  loop_.run();
  EXPECT_EQ(good, 200);
  EXPECT_LE(connects_, static_cast<int>(limits::kLmtpConnections));
}

}  // namespace
}  // namespace postern::mailbox
