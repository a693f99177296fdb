#include "queue/bounce.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "mail/header.h"

namespace postern::queue {
namespace {

using privsep::Notify;

MessageRecord sent_by_account() {
  MessageRecord m;
  m.id = "ABC";
  m.reverse_path = "alice@example.org";
  m.arrival.account = "alice@example.org";
  return m;
}

RecipientRecord failed(std::string address) {
  RecipientRecord r;
  r.recipient = r.target = std::move(address);
  r.state = RecipientState::failed;
  r.reply = {550, "5.1.1", "No such user"};
  r.server = "mx.example.net [192.0.2.1]";
  return r;
}

std::string report(const MessageRecord& m, const std::vector<RecipientRecord>& recipients, ReportKind kind = ReportKind::failure,
                   std::string_view original = "Message-ID: <1@example.org>\r\nSubject: hi\r\n\r\nbody\r\n") {
  ReportInput in;
  in.message = &m;
  for (const auto& r : recipients) in.recipients.push_back(&r);
  in.kind = kind;
  in.original = original;
  in.original_whole = true;
  in.host = "mail.example.com";
  in.boundary = "BOUNDARY";
  in.received = in.now = WallTime{std::chrono::seconds{1'700'000'000}};
  in.expires = in.now + std::chrono::hours{120};
  return compose_report(in);
}

std::vector<std::string> parts_of(const std::string& text) {
  std::vector<std::string> parts;
  const std::string mark = "--BOUNDARY";
  for (std::size_t at = text.find("\r\n" + mark); at != std::string::npos;) {
    const std::size_t begin = text.find("\r\n", at + 2) + 2, end = text.find("\r\n" + mark, begin - 2);
    if (end == std::string::npos) break;
    parts.push_back(text.substr(begin, end - begin));
    at = end;
  }
  return parts;
}

TEST(Recourse, IsForVouchedSendersOnly) {
  struct {
    const char* what;
    const char* reverse_path;
    const char* account;
    bool may_relay;
    const char* auth_domain;
    Recourse expected;
  } const cases[] = {
      {"null sender", "", "alice", true, "example.org", Recourse::null_sender},
      {"account", "a@example.org", "alice", false, "", Recourse::allowed},
      {"our network", "a@example.org", "", true, "", Recourse::allowed},
      {"stranger", "a@example.org", "", false, "", Recourse::unvouched},
      {"authenticated", "a@Example.org", "", false, "example.org", Recourse::allowed},
      {"authenticated organization", "a@mail.example.org", "", false, "example.org", Recourse::allowed},
      {"authenticated part", "a@example.org", "", false, "mail.example.org", Recourse::allowed},
      {"somebody else authenticated", "victim@example.com", "", false, "example.org", Recourse::unvouched},
      {"only looks alike", "victim@badexample.org", "", false, "example.org", Recourse::unvouched},
      {"a whole top-level domain", "a@org", "", false, "example.org", Recourse::unvouched},
  };
  for (const auto& c : cases) {
    MessageRecord m;
    m.reverse_path = c.reverse_path;
    m.arrival.account = c.account;
    m.arrival.may_relay = c.may_relay;
    m.auth_domain = c.auth_domain;
    EXPECT_EQ(recourse(m), c.expected) << c.what;
  }
}

TEST(Owed, FollowsNotify) {                                   // RFC 3461 §4.1
  using S = RecipientState;
  struct {
    std::uint8_t notify;
    S state;
    bool failure, delay, success;
  } const cases[] = {
      {0, S::failed, true, false, false},        {0, S::waiting, false, true, false},        {0, S::delivered, false, false, false},
      {Notify::kNever, S::failed, false, false, false}, {Notify::kNever, S::delivered, false, false, false},
      {Notify::kSuccess, S::failed, false, false, false}, {Notify::kSuccess, S::delivered, false, false, true},
      {Notify::kSuccess, S::relayed, false, false, false}, {Notify::kSuccess, S::relayed_blind, false, false, true},
      {Notify::kFailure, S::waiting, false, false, false}, {Notify::kFailure, S::failed, true, false, false},
      {Notify::kDelay, S::waiting, false, true, false},
      {0, S::dropped, false, false, false},
  };
  for (const auto& c : cases) {
    RecipientRecord r;
    r.notify.bits = c.notify;
    r.state = c.state;
    EXPECT_EQ(is_owed(r, ReportKind::failure), c.failure) << int{c.notify};
    EXPECT_EQ(is_owed(r, ReportKind::delay), c.delay) << int{c.notify};
    EXPECT_EQ(is_owed(r, ReportKind::success), c.success) << int{c.notify};
  }
}

TEST(Report, IsAMultipartReportThatSaysItIsAutomatic) {
  const auto text = report(sent_by_account(), {failed("bob@example.net")});
  const auto header = mail::parse_header(bytes_of(text));
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->malformed, 0U);
  EXPECT_TRUE(header->has_separator);
  EXPECT_EQ(mail::unfold(header->first("Auto-Submitted")->value), "auto-replied");
  EXPECT_EQ(mail::unfold(header->first("To")->value), "<alice@example.org>");
  EXPECT_EQ(mail::unfold(header->first("In-Reply-To")->value), "<1@example.org>");
  EXPECT_EQ(mail::unfold(header->first("Content-Type")->value), "multipart/report; report-type=delivery-status; boundary=\"BOUNDARY\"");
  EXPECT_EQ(mail::unfold(header->first("Date")->value), "Tue, 14 Nov 2023 22:13:20 +0000");
  const auto parts = parts_of(text);
  ASSERT_EQ(parts.size(), 3U);
  EXPECT_NE(parts[0].find("\"550 5.1.1 No such user\""), std::string::npos);
  EXPECT_NE(parts[2].find("Subject: hi\r\n"), std::string::npos);
  EXPECT_EQ(parts[2].find("body"), std::string::npos) << "headers only unless RET=FULL";
}

TEST(Report, StatusPartHasTheFieldsOfRfc3464) {
  MessageRecord m = sent_by_account();
  m.envid = "env-1";
  auto bob = failed("bob@example.net");
  bob.orcpt = "rfc822;Bob@example.com";
  const auto parts = parts_of(report(m, {bob, failed("carol@example.net")}));
  ASSERT_EQ(parts.size(), 3U);
  const auto outer = mail::parse_header(bytes_of(parts[1]));
  const std::string_view status = std::string_view(parts[1]).substr(outer->body);
  const auto message = mail::parse_header(bytes_of(status));
  EXPECT_EQ(mail::unfold(message->first("Reporting-MTA")->value), "dns; mail.example.com");
  EXPECT_EQ(mail::unfold(message->first("Original-Envelope-Id")->value), "env-1");
  const auto first = mail::parse_header(bytes_of(status.substr(message->body)));
  EXPECT_EQ(first->malformed, 0U);
  const std::pair<const char*, const char*> expected[] = {
      {"Original-Recipient", "rfc822;Bob@example.com"}, {"Final-Recipient", "rfc822;bob@example.net"}, {"Action", "failed"},
      {"Status", "5.1.1"}, {"Remote-MTA", "dns; mx.example.net"}, {"Diagnostic-Code", "smtp; 550 5.1.1 No such user"}};
  for (const auto& [name, value] : expected) {
    ASSERT_NE(first->first(name), nullptr) << name;
    EXPECT_EQ(mail::unfold(first->first(name)->value), value);
  }
  EXPECT_NE(status.find("carol@example.net"), std::string_view::npos) << "one report for all that failed together";
}

TEST(Report, ReturnsTheWholeMessageOnlyWhenAskedAndNeverForADelay) {
  MessageRecord m = sent_by_account();
  m.ret = privsep::Ret::full;
  EXPECT_NE(report(m, {failed("b@x.example")}).find("Content-Type: message/rfc822"), std::string::npos);
  EXPECT_NE(report(m, {failed("b@x.example")}).find("\r\nbody\r\n"), std::string::npos);
  EXPECT_NE(report(m, {failed("b@x.example")}, ReportKind::delay).find("text/rfc822-headers"), std::string::npos);
  m.body = privsep::Body::binary_mime;
  EXPECT_NE(report(m, {failed("b@x.example")}).find("text/rfc822-headers"), std::string::npos);
}

TEST(Report, NoForeignWordBeginsAFieldOrALine) {
  MessageRecord m = sent_by_account();
  m.envid = "x\r\nX-Evil: 1";
  m.reverse_path = "a@b\r\nX-Evil: 2";
  auto r = failed("c@d\nX-Evil: 3");
  r.reply.text = "no\r\nX-Evil: 4\r\n\r\n--BOUNDARY--";
  r.server = "mx\r\nX-Evil: 5";
  r.orcpt = "rfc822;\r\nX-Evil: 6";
  const auto text = report(m, {r});
  EXPECT_EQ(text.find("\nX-Evil"), std::string::npos);
  EXPECT_EQ(parts_of(text).size(), 3U);
}

TEST(Report, AddressesInUtf8) {                               // RFC 6533 §3
  MessageRecord m = sent_by_account();
  m.smtputf8 = true;
  std::vector<RecipientRecord> to{failed("j\xC3\xBCrg@example.net")};
  to[0].orcpt = "utf-8;J\xC3\xB6rg@example.com";
  to[0].reply.text = "kein Empf\xC3\xA4nger";
  const auto plain = report(m, to);
  EXPECT_NE(plain.find("Content-Type: message/delivery-status"), std::string::npos) << "the sender's own address needs no SMTPUTF8";
  EXPECT_NE(plain.find("Final-Recipient: utf-8;j\\x{FC}rg@example.net"), std::string::npos) << plain;
  EXPECT_NE(plain.find("Original-Recipient: utf-8;J\\x{F6}rg@example.com"), std::string::npos);
  EXPECT_TRUE(text::is_ascii(parts_of(plain).at(1)));
  EXPECT_NE(parts_of(plain).at(0).find("j\xC3\xBCrg@example.net"), std::string::npos) << "people read it as it is";
  m.reverse_path = "j\xC3\xB6" "e@example.org";
  EXPECT_TRUE(needs_smtputf8(m));
  const auto global = report(m, to);
  EXPECT_NE(global.find("Content-Type: message/global-delivery-status"), std::string::npos);
  EXPECT_NE(global.find("Final-Recipient: utf-8;j\xC3\xBCrg@example.net"), std::string::npos);
  EXPECT_NE(global.find("Content-Transfer-Encoding: 8bit"), std::string::npos);
}

TEST(Report, ReturnsAHeaderInUtf8AsWhatItIs) {                // RFC 6533 §4
  MessageRecord m = sent_by_account();
  const std::string original = "Message-ID: <1@example.org>\r\nSubject: \xC3\xBC\r\n\r\nbody\r\n";
  EXPECT_NE(report(m, {failed("b@x.example")}, ReportKind::failure, original).find("text/rfc822-headers"), std::string::npos);
  m.smtputf8 = true;
  EXPECT_NE(report(m, {failed("b@x.example")}, ReportKind::failure, original).find("message/global-headers"), std::string::npos);
  m.ret = privsep::Ret::full;
  EXPECT_NE(report(m, {failed("b@x.example")}, ReportKind::failure, original).find("Content-Type: message/global\r\n"), std::string::npos);
}

TEST(Report, OfAnAliasIsAboutOneRecipient) {
  auto first = failed("team@example.com"), second = failed("team@example.com");
  first.target = "a@x.example";
  second.target = "b@y.example";
  const auto text = report(sent_by_account(), {first, second});
  EXPECT_EQ(text.find("Final-Recipient"), text.rfind("Final-Recipient"));
  EXPECT_EQ(text.find("a@x.example"), std::string::npos);
}

TEST(Report, OfAnExpansionSaysSo) {                           // RFC 3464 §2.3.3
  auto alias = failed("team@example.com");
  alias.server.clear();
  alias.reply = {250, "2.1.5", "Passed on"};
  const auto text = report(sent_by_account(), {alias}, ReportKind::expanded);
  EXPECT_NE(text.find("Action: expanded\r\nStatus: 2.1.5\r\n"), std::string::npos) << text;
}

TEST(Report, LinesStayWithinTheLimitWhateverTheServerSaid) {
  auto r = failed("b@example.net");
  for (int i = 0; i < 400; ++i) r.reply.text += "word" + std::to_string(i) + " ";
  const auto text = report(sent_by_account(), {r});
  std::size_t begin = 0;
  for (std::size_t end = text.find("\r\n"); end != std::string::npos; end = text.find("\r\n", begin)) {
    EXPECT_LE(end - begin, 998U);
    begin = end + 2;
  }
}

}  // namespace
}  // namespace postern::queue
