// The protection of a delivery on its way into the history, rows written before it was kept, and what REQUIRETLS asks of reports.
#include <gtest/gtest.h>

#include "queue/bounce.h"
#include "queue/delivery.h"
#include "queue/limits.h"
#include "queue/skim.h"

namespace postern::queue {
namespace {

using privsep::TlsUse;

TlsUse use_of(std::string host) {
  TlsUse use;
  use.host = std::move(host);
  use.address = "192.0.2.1:25";
  use.wanted = use.got = "dane";
  use.version = "TLSv1.3";
  use.cipher = "TLS_AES_256_GCM_SHA384";
  use.key_exchange = "ECDHE";
  use.forward_secrecy = true;
  use.certificate_key = "ECDSA P-256";
  use.dane = "match 3 1 1";
  return use;
}

/// A row as version 1 wrote it: without what has been added at its end.
template <class R>
std::string as_version_1(const R& record) {
  std::string row = encode_row(record);
  row[0] = 1;
  row.resize(row.size() - missing_in_version_1<R>().size());
  return row;
}

TEST(Schema, ReadsRowsOfVersion1) {
  RecipientRecord r;
  r.recipient = "a@b.example";
  r.server = "mx.b.example";
  const auto recipient = decode_row<RecipientRecord>(as_version_1(r));
  ASSERT_TRUE(recipient) << recipient.error().message;
  EXPECT_EQ(recipient->recipient, r.recipient);
  EXPECT_EQ(recipient->use, TlsUse{});
  r.destination = "b.example";
  RecipientRecord scratch;
  OpenRecipient open;
  const std::string old = as_version_1(r);
  ASSERT_EQ(skim_recipient(old, scratch, open), Skim::open) << "at the start, too";
  EXPECT_EQ(open.destination, "b.example");
  EXPECT_EQ(skim_recipient(std::string_view(old).substr(0, old.size() - 1), scratch, open), Skim::spoiled);
  AttemptRecord a;
  a.what = "deferred";
  const auto attempt = decode_row<AttemptRecord>(as_version_1(a));
  ASSERT_TRUE(attempt) << attempt.error().message;
  EXPECT_EQ(attempt->what, "deferred");
  HistoryRecord h;
  h.id = "ID";
  h.ends.resize(2);
  const auto history = decode_row<HistoryRecord>(as_version_1(h));
  ASSERT_TRUE(history) << history.error().message;
  EXPECT_EQ(history->ends.size(), 2U);
  EXPECT_TRUE(history->uses.empty());
  MessageRecord m;
  m.id = "ID";
  EXPECT_EQ(decode_row<MessageRecord>(as_version_1(m))->id, "ID");
  EXPECT_FALSE(decode_row<RecipientRecord>(as_version_1(r) + "x")) << "trailing bytes";
}

TEST(Landing, KeepsTheProtectionAndTheServersPassedOver) {
  Flight flight;
  flight.route = Route::remote;
  flight.destination = "b.example";
  flight.expires = WallTime{std::chrono::hours{100}};
  for (const char* address : {"x@b.example", "y@b.example"}) {
    RecipientRecord r;
    r.recipient = r.target = address;
    flight.recipients.emplace_back(0, r);
  }
  privsep::DeliveryResult result;
  result.outcomes = {{{250, "2.0.0", "ok"}, "mx2", "TLSv1.3 X dane", false}, {{450, "4.2.1", "later"}, "mx2", "TLSv1.3 X dane", false}};
  result.uses = {use_of("mx1"), use_of("mx2")};
  result.uses[0].got.clear();
  result.uses[0].obstacle = {451, "4.7.5", "no\r\nmatch"};
  const auto landing = apply(flight, result, WallTime{std::chrono::hours{1}}, RetryCurve({std::chrono::minutes{5}}));
  EXPECT_EQ(flight.recipients[0].second.use, use_of("mx2"));
  ASSERT_EQ(landing.notes.size(), 2U);
  EXPECT_EQ(landing.notes[0].what, "passed over");
  EXPECT_EQ(landing.notes[0].server, "mx1 192.0.2.1:25");
  EXPECT_EQ(landing.notes[0].reply.enhanced, "4.7.5");
  EXPECT_EQ(landing.notes[0].reply.text.find('\n'), std::string::npos) << "foreign words are one line";
  EXPECT_EQ(landing.notes[1].what, "deferred");
  EXPECT_EQ(landing.notes[1].use, use_of("mx2"));
}

TEST(Landing, BoundsWhatRemoteSays) {
  Flight flight;
  flight.route = Route::remote;
  flight.recipients.emplace_back(0, RecipientRecord{});
  privsep::DeliveryResult result;
  result.outcomes = {{{250, "2.0.0", "ok"}, "mx", "", false}};
  TlsUse huge = use_of(std::string(100'000, 'x'));
  huge.cipher = "a\x1b[2J" + std::string(100'000, 'y');
  result.uses.assign(1000, huge);
  const auto landing = apply(flight, result, WallTime{std::chrono::hours{1}}, RetryCurve({std::chrono::minutes{5}}));
  EXPECT_EQ(landing.notes.size(), limits::kDetours);
  const TlsUse& kept = flight.recipients[0].second.use;
  EXPECT_LE(kept.host.size(), 210U);
  EXPECT_LE(kept.cipher.size(), 80U);
  EXPECT_EQ(kept.cipher.find('\x1b'), std::string::npos);
}

TEST(Report, OfWhatWantsTlsReturnsTheHeaderOnly) {  // RFC 8689 §5
  MessageRecord m;
  m.reverse_path = "alice@example.org";
  m.ret = privsep::Ret::full;
  RecipientRecord r;
  r.recipient = r.target = "x@b.example";
  r.state = RecipientState::failed;
  ReportInput in;
  in.message = &m;
  in.recipients = {&r};
  in.original = "Subject: hi\r\n\r\nthe body\r\n";
  in.original_whole = true;
  in.host = "mail.example.com";
  in.boundary = "B";
  EXPECT_NE(compose_report(in).find("the body"), std::string::npos);
  m.require_tls = true;
  const std::string guarded = compose_report(in);
  EXPECT_EQ(guarded.find("the body"), std::string::npos);
  EXPECT_NE(guarded.find("Subject: hi"), std::string::npos);
}

}  // namespace
}  // namespace postern::queue
