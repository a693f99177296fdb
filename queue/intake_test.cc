#include "queue/intake.h"

#include <gtest/gtest.h>

#include "io/memfd.h"
#include "privsep/ticket.h"
#include "queue/delivery.h"

namespace postern::queue {
namespace {

using namespace std::chrono_literals;
using privsep::Role;
using privsep::TicketKind;

const WallTime kNow{std::chrono::seconds{1'800'000'000}};

struct Case {
  Secret key{"the key of tests"};
  std::string body = "Subject: x\r\n\r\nhello\r\n";
  privsep::SpoolRequest request;
  Fd fd;

  explicit Case(TicketKind kind = TicketKind::local) {
    request.envelope.id = "ABCDEFGH12345678";
    request.envelope.reverse_path = "a@example.org";
    request.content.size = body.size();
    add("b@example.net", kind);
    fd = *io::sealed_memfd("test", bytes_of(body));
  }
  void add(const std::string& address, TicketKind kind) {
    privsep::Recipient r;
    r.ticket = {kind, address, address, kNow + 1h, {}, false};
    privsep::seal(r.ticket, key);
    request.envelope.recipients.push_back(r);
  }
  std::variant<NewMessage, Refusal> take(Role from = Role::verifier_in) {
    return take_in(request, from, fd, key, kNow, {1 << 20, 120h, 4h});
  }
  int code(Role from = Role::verifier_in) {
    auto taken = take(from);
    const auto* refusal = std::get_if<Refusal>(&taken);
    return refusal == nullptr ? 250 : refusal->reply.code;
  }
};

TEST(Intake, TakesALocalMessageAndFixesItsTimes) {
  Case c;
  auto taken = c.take();
  ASSERT_TRUE(std::holds_alternative<NewMessage>(taken));
  const auto& m = std::get<NewMessage>(taken);
  EXPECT_EQ(m.schedule.expires, kNow + 120h);
  EXPECT_EQ(m.schedule.warn_at, kNow + 4h);
  EXPECT_EQ(m.recipients.at(0).route, Route::local);
}

TEST(Intake, HoldsWhatIsToBeParkedAndReadsNothingOfIt) {
  Case c(TicketKind::relay);
  c.body = "TLS-Required: No\r\n\r\nhello\r\n";
  c.request.content.size = c.body.size();
  c.fd = *io::sealed_memfd("test", bytes_of(c.body));
  for (const bool park : {false, true}) {
    c.request.park = park;
    auto taken = c.take(Role::verifier_out);
    ASSERT_TRUE(std::holds_alternative<NewMessage>(taken));
    const auto& m = std::get<NewMessage>(taken);
    EXPECT_EQ(m.schedule.held, park);
    EXPECT_EQ(m.schedule.held_reason, park ? kParkedUnread : "");
    EXPECT_EQ(m.message.tls_optional, !park);
    EXPECT_EQ(m.schedule.warn_at == WallTime{}, park) << "nobody is told that it is late";
  }
  c.request.envelope.recipients[0].ticket.target = "other@example.net";
  EXPECT_EQ(c.code(Role::verifier_out), 550) << "a ticket is needed all the same";
}

TEST(Intake, RefusesTicketsThatAreNotOurs) {
  Case forged;
  forged.request.envelope.recipients[0].ticket.target = "other@example.net";
  EXPECT_EQ(forged.code(), 550);
  Case bare;
  bare.request.envelope.recipients[0].ticket.mac.clear();
  EXPECT_EQ(bare.code(), 550);
  Case old;
  old.request.envelope.recipients[0].ticket.expires = kNow - 1s;
  privsep::seal(old.request.envelope.recipients[0].ticket, old.key);
  EXPECT_EQ(old.code(), 451);
  Case one_of_two;
  one_of_two.add("c@example.net", TicketKind::local);
  one_of_two.request.envelope.recipients[1].ticket.kind = TicketKind::relay;
  EXPECT_EQ(one_of_two.code(Role::verifier_out), 550) << "one bad ticket spoils the message";
}

TEST(Intake, RelaysOnlyByWayOfTheOutboundVerifier) {
  EXPECT_EQ(Case(TicketKind::relay).code(Role::verifier_in), 550);
  EXPECT_EQ(Case(TicketKind::relay).code(Role::verifier_out), 250);
}

TEST(Intake, RefusesBodiesThatAreNotSealedOrNotOfTheirSize) {
  Case size;
  size.request.content.size += 1;
  EXPECT_EQ(size.code(), 554);
  Case open;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  open.fd = Fd(ends[0]);
  const Fd other(ends[1]);
  EXPECT_EQ(open.code(), 554);
}

TEST(Intake, RefusesRequestsThatAreNotOfTheForm) {
  const std::pair<const char*, std::function<void(privsep::SpoolRequest&)>> spoilt[] = {
      {"id", [](auto& r) { r.envelope.id = "a/b"; }},
      {"no id", [](auto& r) { r.envelope.id.clear(); }},
      {"newline in the reverse-path", [](auto& r) { r.envelope.reverse_path = "a@b\r\nX: y"; }},
      {"no recipients", [](auto& r) { r.envelope.recipients.clear(); }},
      {"evidence", [](auto& r) { r.evidence.assign(65 * 1024, 'x'); }},
      {"prefix inside a line", [](auto& r) { r.content.prefix = "Received: x"; }},
      {"cut beyond the end", [](auto& r) { r.content.cuts = {{r.content.size, 1}}; }},
      {"cut that wraps", [](auto& r) { r.content.cuts = {{1, UINT64_MAX}}; }},
      {"cuts that overlap", [](auto& r) { r.content.cuts = {{0, 5}, {4, 2}}; }},
      {"orcpt with a newline", [](auto& r) { r.envelope.recipients[0].orcpt = "rfc822;a\n"; }},
  };
  for (const auto& [what, spoil] : spoilt) {
    Case c;
    spoil(c.request);
    EXPECT_EQ(c.code(), 554) << what;
  }
}

TEST(Intake, OneCopyForATargetReachedTwice) {
  Case c;
  c.add("b@example.net", TicketKind::local);
  c.add("c@example.net", TicketKind::local);
  auto taken = c.take();
  ASSERT_TRUE(std::holds_alternative<NewMessage>(taken));
  EXPECT_EQ(std::get<NewMessage>(taken).recipients.size(), 2U);
}

TEST(Intake, FindsTlsRequiredNo) {
  EXPECT_TRUE(says_tls_optional(bytes_of("TLS-Required: No\r\n\r\n")));
  EXPECT_TRUE(says_tls_optional(bytes_of("A: b\r\ntls-required:\r\n no\r\n\r\n")));
  EXPECT_FALSE(says_tls_optional(bytes_of("TLS-Required: maybe\r\n\r\n")));
  EXPECT_FALSE(says_tls_optional(bytes_of("A: b\r\n\r\nTLS-Required: No\r\n"))) << "in the body it says nothing";
}

TEST(Content, LeavesTheCutsOut) {
  privsep::Content content;
  content.prefix = "P\r\n";
  content.size = 10;
  content.cuts = {{0, 2}, {5, 3}};
  EXPECT_EQ(final_bytes(content, "0123456789", 100), "P\r\n23489");
  EXPECT_EQ(final_bytes(content, "0123456789", 5), "P\r\n23");
  EXPECT_EQ(final_bytes(content, "0123", 100), "P\r\n23") << "only the beginning is at hand";
}

// ---- delivery ------------------------------------------------------------------------------------------------------

Flight flight_to(Route route, std::size_t recipients) {
  Flight f;
  f.route = route;
  f.destination = route == Route::local ? "" : "example.net";
  f.expires = kNow + 24h;
  f.message = std::make_shared<const MessageRecord>();
  for (std::uint32_t i = 0; i < recipients; ++i) {
    RecipientRecord r;
    r.recipient = r.target = "r" + std::to_string(i) + "@example.net";
    r.route = route;
    r.destination = f.destination;
    f.recipients.emplace_back(i, r);
  }
  return f;
}
privsep::Outcome outcome(std::uint16_t code, std::string enhanced, std::string text) {
  privsep::Outcome o;
  o.reply = {code, std::move(enhanced), std::move(text)};
  o.server = "mx.example.net [192.0.2.1]";
  return o;
}
const RetryCurve kCurve({5min, 10min});

TEST(Delivery, EachRecipientGetsItsOwnOutcome) {
  auto f = flight_to(Route::remote, 3);
  privsep::DeliveryResult result;
  result.outcomes = {outcome(250, "2.1.5", "ok"), outcome(550, "5.1.1", "no such user"), outcome(452, "4.2.2", "full")};
  const auto landing = apply(f, result, kNow, kCurve);
  EXPECT_EQ(f.recipients[0].second.state, RecipientState::relayed);
  EXPECT_EQ(f.recipients[1].second.state, RecipientState::failed);
  EXPECT_EQ(f.recipients[2].second.state, RecipientState::waiting);
  EXPECT_TRUE(landing.waiting);
  EXPECT_EQ(landing.due, kNow + 5min);
  EXPECT_EQ(landing.feedback, Feedback::taken);
  EXPECT_EQ(landing.notes.size(), 2U);
}

TEST(Delivery, AnAnswerToSomethingElseChangesNothing) {
  auto f = flight_to(Route::remote, 2);
  privsep::DeliveryResult result;
  result.outcomes = {outcome(250, "2.1.5", "ok")};
  const auto landing = apply(f, result, kNow, kCurve);
  EXPECT_TRUE(landing.waiting);
  EXPECT_EQ(landing.feedback, Feedback::lost);
  for (const auto& [i, r] : f.recipients) EXPECT_EQ(r.state, RecipientState::waiting);
}

TEST(Delivery, ForeignWordsAreBoundedAndOnOneLine) {
  auto f = flight_to(Route::remote, 1);
  privsep::DeliveryResult result;
  result.outcomes = {outcome(550, "9.9.9\r\nX: y", std::string(10'000, 'x') + "\r\nkey\n\0")};
  result.outcomes[0].server = "mx\nstate: delivered";
  (void)apply(f, result, kNow, kCurve);
  const auto& r = f.recipients[0].second;
  EXPECT_EQ(r.reply.enhanced, "5.0.0");
  EXPECT_LE(r.reply.text.size(), limits::kReplyTextBytes + 8);
  for (const std::string& text : {r.reply.text, r.server, r.reply.enhanced}) EXPECT_EQ(text.find_first_of("\r\n"), std::string::npos);
  const auto again = decode_row<RecipientRecord>(encode_row(r));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->state, RecipientState::failed);
}

TEST(Delivery, WhatIsNoAccountOfOursGoesToTheWorldOnce) {
  auto f = flight_to(Route::local, 1);
  f.recipients[0].second.try_local = true;
  privsep::DeliveryResult result;
  result.outcomes = {outcome(551, "5.1.0", "not-local")};
  const auto landing = apply(f, result, kNow, kCurve);
  ASSERT_EQ(landing.moved.size(), 1U);
  EXPECT_EQ(f.recipients[0].second.route, Route::remote);
  EXPECT_EQ(f.recipients[0].second.destination, "example.net");
  auto ordinary = flight_to(Route::local, 1);
  EXPECT_TRUE(apply(ordinary, result, kNow, kCurve).moved.empty()) << "a stranger's mail never turns into a relay";
  EXPECT_EQ(ordinary.recipients[0].second.state, RecipientState::failed);
}

TEST(Delivery, FailsWhatIsDeferredPastItsExpiry) {
  auto f = flight_to(Route::remote, 1);
  f.expires = kNow - 1s;
  privsep::DeliveryResult result;
  result.outcomes = {outcome(451, "4.4.1", "no answer")};
  const auto landing = apply(f, result, kNow, kCurve);
  EXPECT_FALSE(landing.waiting);
  EXPECT_EQ(f.recipients[0].second.state, RecipientState::failed);
  EXPECT_EQ(f.recipients[0].second.reply.enhanced, "5.4.7");
  EXPECT_NE(f.recipients[0].second.reply.text.find("no answer"), std::string::npos);
}

TEST(Delivery, ChoosesOnlyTheGroupsOwnWaitingRecipientsAndNotTooMany) {
  std::vector<RecipientRecord> all(3000);
  for (auto& r : all) {
    r.route = Route::remote;
    r.destination = "a.example";
    r.target = "x@a.example";
  }
  all[0].destination = "b.example";
  all[1].state = RecipientState::relayed;
  bool partial = false;
  const auto chosen = choose_recipients(all, Route::remote, "a.example", partial);
  EXPECT_EQ(chosen.size(), limits::kDeliveryTargets);
  EXPECT_TRUE(partial);
  EXPECT_EQ(chosen[0].first, 2U);
  EXPECT_EQ(choose_recipients(all, Route::remote, "b.example", partial).size(), 1U);
  EXPECT_FALSE(partial);
}

}  // namespace
}  // namespace postern::queue
