// Reports to senders, and reports from others about what we sent.
#include "mail/dsn.h"
#include "queue/test_house.h"

namespace postern::queue {
namespace {

using privsep::Notify;

const std::string kBody = "Message-ID: <1@example.org>\r\nSubject: hi\r\n\r\nhello\r\n";

/// What the reports in the queue say, as our own reader understands them, by action and recipient.
std::multiset<std::string> told(House& h) {
  std::multiset<std::string> all;
  for (const auto& asked : h.courier.local) {
    const auto report = mail::dsn::read(bytes_of(asked.body));
    if (!report) continue;
    for (const auto& r : report->recipients) all.insert(std::string(mail::dsn::name_of(r.action)) + " " + r.final);
  }
  return all;
}

/// A message to an alias that stands for several.
std::string send_to_alias(House& h, const std::vector<std::string>& targets, std::uint8_t notify, TicketKind kind = TicketKind::relay) {
  auto r = h.request(targets, kind, kBody);
  for (auto& recipient : r.envelope.recipients) {
    recipient.ticket.recipient = "team@example.com";
    privsep::seal(recipient.ticket, h.key);
    recipient.notify.bits = notify;
  }
  return h.send(r, kBody);
}

TEST(Expanded, AnAliasWithSeveralTargetsIsReportedOnceAndItsCopiesNoMore) {  // RFC 3461 §5.2.7.3
  House h;
  send_to_alias(h, {"a@x.example", "b@y.example"}, Notify::kSuccess | Notify::kFailure);
  h.turn();
  EXPECT_EQ(told(h), std::multiset<std::string>{"expanded team@example.com"});
  ASSERT_EQ(h.courier.remote.size(), 2U);
  for (auto& asked : h.courier.remote) EXPECT_EQ(asked.request.targets[0].notify.bits, Notify::kFailure);
  for (auto& asked : h.courier.remote) {
    auto taken = outcome(250, "2.0.0");
    taken.relayed = true;
    std::exchange(asked.done, nullptr)(result({taken}));
  }
  h.turn();
  EXPECT_EQ(told(h).size(), 1U) << "no relayed after expanded";
}

TEST(Expanded, IsStoredInTheCommitThatTakesTheMessage) {
  House h;
  send_to_alias(h, {"a@x.example", "b@y.example"}, Notify::kSuccess);
  h.engine->turn();
  EXPECT_EQ(h.spool.commits, 1U);
  EXPECT_EQ(h.spool.rows.message.size(), 2U);
}

TEST(Expanded, FollowsNotify) {
  struct {
    std::vector<std::string> targets;
    std::uint8_t notify, left;
    bool reported;
  } const cases[] = {
      {{"a@x.example", "b@y.example"}, Notify::kSuccess, Notify::kNever, true},
      {{"a@x.example", "b@y.example"}, Notify::kSuccess | Notify::kDelay, Notify::kDelay, true},
      {{"a@x.example", "b@y.example"}, 0, 0, false},
      {{"a@x.example", "b@y.example"}, Notify::kFailure, Notify::kFailure, false},
      {{"a@x.example", "b@y.example"}, Notify::kNever, Notify::kNever, false},
      {{"a@x.example"}, Notify::kSuccess, Notify::kSuccess, false},
  };
  for (const auto& c : cases) {
    House h;
    send_to_alias(h, c.targets, c.notify);
    h.turn();
    EXPECT_EQ(told(h).size(), c.reported ? 1U : 0U) << int{c.notify};
    for (auto& asked : h.courier.remote) EXPECT_EQ(asked.request.targets[0].notify.bits, c.left) << int{c.notify};
  }
}

TEST(Failed, AnAliasThatFailsAtSeveralTargetsIsOneRecipientOfOneReport) {
  House h;
  send_to_alias(h, {"a@x.example", "b@y.example"}, 0);
  h.turn();
  ASSERT_EQ(h.courier.remote.size(), 2U);
  for (auto& asked : h.courier.remote) std::exchange(asked.done, nullptr)(result({outcome(550, "5.1.1")}));
  h.turn();
  EXPECT_EQ(told(h), std::multiset<std::string>{"failed team@example.com"});
  for (const auto& asked : h.courier.local) EXPECT_EQ(asked.body.find("x.example"), std::string::npos) << "where an alias leads is not told";
}

TEST(Suppressed, SilenceIsLoggedAndCounted) {
  House h;
  std::string logged;
  h.log = Log([&](Severity, std::string_view line) { logged += std::string(line) + "\n"; }, Severity::notice);
  auto r = h.request({"bob@example.net"}, TicketKind::relay, kBody);
  r.envelope.arrival.account.clear();
  const auto id = h.send(r, kBody);
  h.turn();
  h.courier.remote[0].done(result({outcome(550, "5.1.1")}));
  h.turn();
  EXPECT_EQ(h.queued(), 0U);
  EXPECT_EQ(h.counted("dsn_suppressed", "unvouched"), 1U);
  EXPECT_NE(logged.find(id), std::string::npos) << logged;
}

// ---- return paths --------------------------------------------------------------------------------------------------

/// Sends one message of alice's away, delivered, and returns the return path it left with.
std::string send_away(House& h, bool returns = true) {
  auto r = h.request({"bob@far.example"}, TicketKind::relay, kBody);
  r.envelope.recipients[0].ticket.returns = returns;
  privsep::seal(r.envelope.recipients[0].ticket, h.key);
  h.send(r, kBody);
  h.turn();
  auto& asked = h.courier.remote.back();
  std::exchange(asked.done, nullptr)(result({outcome(250, "2.0.0")}));
  h.turn();
  return asked.request.reverse_path;
}

std::string report_of_far(const std::string& action = "failed") {
  return "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
         "Reporting-MTA: dns; mx.far.example\r\n\r\nFinal-Recipient: rfc822;bob@far.example\r\nAction: " + action +
         "\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full\r\n\r\n--b--\r\n";
}

void comes_back(House& h, const std::string& to, const std::string& body, const std::string& from = "") {
  auto r = h.request({to}, TicketKind::local, body);
  r.envelope.reverse_path = from;
  r.envelope.arrival.account.clear();
  r.envelope.recipients[0].ticket.target = "alice@example.org";
  privsep::seal(r.envelope.recipients[0].ticket, h.key);
  h.send(r, body);
  h.turn();
}

std::vector<std::string> history_of(House& h, const std::string& id) {
  std::vector<std::string> whats;
  const auto shown = h.admin("queue show", {{"id", id}});
  for (const auto& row : shown["history"]) whats.push_back(row["what"]);
  return whats;
}

TEST(ReturnPath, IsOneOfItsOwnWhereMailComesBackToUs) {
  House h;
  EXPECT_TRUE(send_away(h).starts_with("alice+b-"));
  EXPECT_EQ(send_away(h, false), "alice@example.org") << "reports would go elsewhere";
  auto options = h.options();
  options.verp = false;
  h.engine->set_options(options);
  EXPECT_EQ(send_away(h), "alice@example.org") << "switched off";
}

TEST(ReturnPath, ABounceThatComesLaterIsInTheHistoryOfWhatWasSentAndIsDelivered) {
  House h;
  const auto path = send_away(h);
  h.restart();  // the key is the spool's, not the process's
  comes_back(h, path, report_of_far());
  EXPECT_EQ(history_of(h, "MESSAGE1"), std::vector<std::string>{"bounced later"});
  const auto row = h.admin("queue show", {{"id", "MESSAGE1"}})["history"][0];
  EXPECT_EQ(row["recipients"][0], "bob@far.example");
  EXPECT_EQ(row["server"], "mx.far.example");
  EXPECT_EQ(row["reply"]["enhanced"], "5.2.2");
  EXPECT_EQ(row["reply"]["text"], "552 5.2.2 mailbox full");
  EXPECT_EQ(h.counted("returned_total"), 1U);
  ASSERT_EQ(h.courier.local.size(), 1U);
  EXPECT_EQ(h.courier.local[0].request.targets, std::vector<std::string>{"alice@example.org"}) << "its sender sees it too";
}

TEST(ReturnPath, OtherActionsAndOtherMailAreNamedForWhatTheyAre) {
  House h;
  const auto path = send_away(h);
  comes_back(h, path, report_of_far("delayed"));
  comes_back(h, path, "Subject: out of office\r\n\r\nBack on Monday.\r\n");
  EXPECT_EQ(history_of(h, "MESSAGE1"), (std::vector<std::string>{"delayed later", "came back"}));
}

TEST(ReturnPath, AForgedOneIsOrdinaryMail) {
  House h;
  std::string path = send_away(h);
  path[path.find('@') - 1] = path[path.find('@') - 1] == 'a' ? 'b' : 'a';
  comes_back(h, path, report_of_far());
  comes_back(h, "alice@example.org", report_of_far());
  EXPECT_TRUE(history_of(h, "MESSAGE1").empty());
  EXPECT_EQ(h.courier.local.size(), 2U) << "and delivered";
}

TEST(ReturnPath, MailWithASenderIsNoBounce) {
  House h;
  const auto path = send_away(h);
  comes_back(h, path, report_of_far(), "somebody@far.example");
  EXPECT_TRUE(history_of(h, "MESSAGE1").empty());
}

TEST(ReturnPath, AHistoryHoldsABoundedNumberOfThem) {
  House h;
  const auto path = send_away(h);
  for (std::size_t i = 0; i < limits::kHistoryAttempts + 20; ++i) comes_back(h, path, report_of_far());
  EXPECT_EQ(h.spool.rows.attempt.size(), limits::kHistoryAttempts);
}

TEST(ReturnPath, OfAMessageThatIsForgottenIsStillDelivered) {
  House h;
  const auto path = send_away(h);
  h.clock.advance(limits::kHistoryLife + 1h);
  h.engine->forget_old();
  h.turn();
  comes_back(h, path, report_of_far());
  EXPECT_EQ(h.courier.local.size(), 1U);
  EXPECT_TRUE(h.spool.rows.attempt.empty());
}

}  // namespace
}  // namespace postern::queue
