#include "mail/dsn.h"

#include <gtest/gtest.h>

#include "mail/limits.h"

namespace postern::mail::dsn {
namespace {

std::string report_with(const std::string& status, const std::string& type = "multipart/report; report-type=delivery-status",
                        const std::string& status_type = "message/delivery-status") {
  return "From: <>\r\nContent-Type: " + type + "; boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b\r\n\r\nIt did not arrive.\r\n--b\r\nContent-Type: " +
         status_type + "\r\n\r\n" + status + "\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <1@here.example>\r\nSubject: x\r\n\r\n--b--\r\n";
}

TEST(Dsn, ReadsTheMessageAndItsRecipients) {  // RFC 3464 §2.2, §2.3
  const auto report = read(bytes_of(report_with(
      "Reporting-MTA: dns; mx.far.example\r\nOriginal-Envelope-Id: env-1\r\n\r\nOriginal-Recipient: rfc822;Bob@far.example\r\nFinal-Recipient: rfc822; bob@in.far.example\r\n"
      "Action: failed\r\nStatus: 5.1.1 (no such user)\r\nRemote-MTA: dns; store.far.example\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n <bob>: no such user\r\n\r\n"
      "Final-Recipient: rfc822;carol@far.example\r\nAction: Delayed (still trying)\r\nStatus: 4.4.1\r\n")));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->reporting_mta, "mx.far.example");
  EXPECT_EQ(report->original_envelope_id, "env-1");
  EXPECT_EQ(report->original_message_id, "<1@here.example>");
  ASSERT_EQ(report->recipients.size(), 2U);
  const Recipient& bob = report->recipients[0];
  EXPECT_EQ(bob.original, "Bob@far.example");
  EXPECT_EQ(bob.final, "bob@in.far.example");
  EXPECT_EQ(bob.action, Action::failed);
  EXPECT_EQ(bob.status, "5.1.1");
  EXPECT_EQ(bob.diagnostic, "550 5.1.1 <bob>: no such user");
  EXPECT_EQ(bob.remote_mta, "store.far.example");
  EXPECT_EQ(report->recipients[1].action, Action::delayed);
}

TEST(Dsn, KnowsEachAction) {
  for (const char* word : {"failed", "delayed", "delivered", "relayed", "expanded"}) {
    const auto report = read(bytes_of(report_with("Reporting-MTA: dns;m\r\n\r\nFinal-Recipient: rfc822;a@b.example\r\nAction: " + std::string(word) + "\r\nStatus: 2.0.0\r\n")));
    ASSERT_TRUE(report.has_value()) << word;
    EXPECT_EQ(name_of(report->recipients.at(0).action), word);
  }
}

TEST(Dsn, IsNoReportWithoutTheTypeARecipientOrAKnownAction) {
  const std::string good = "Reporting-MTA: dns;m\r\n\r\nFinal-Recipient: rfc822;a@b.example\r\nAction: failed\r\nStatus: 5.0.0\r\n";
  ASSERT_TRUE(read(bytes_of(report_with(good))).has_value());
  EXPECT_TRUE(read(bytes_of(report_with(good, "multipart/report; report-type=delivery-status", "message/global-delivery-status"))).has_value()) << "RFC 6533 §3";
  EXPECT_FALSE(read(bytes_of(report_with(good, "multipart/mixed"))).has_value());
  EXPECT_FALSE(read(bytes_of(report_with(good, "multipart/report; report-type=disposition-notification"))).has_value());
  EXPECT_FALSE(read(bytes_of(report_with(good, "multipart/report; report-type=delivery-status", "text/plain"))).has_value());
  EXPECT_FALSE(read(bytes_of(report_with("Reporting-MTA: dns;m\r\n"))).has_value());
  EXPECT_FALSE(read(bytes_of(report_with("Reporting-MTA: dns;m\r\n\r\nFinal-Recipient: rfc822;a@b.example\r\nAction: exploded\r\n"))).has_value());
  EXPECT_FALSE(read(bytes_of(report_with("Reporting-MTA: dns;m\r\n\r\nAction: failed\r\n"))).has_value());
  EXPECT_FALSE(read({}).has_value());
}

TEST(Dsn, AnEncodedStatusPartIsRead) {
  std::string text = report_with("UmVwb3J0aW5nLU1UQTogZG5zO20NCg0KRmluYWwtUmVjaXBpZW50OiByZmM4MjI7YUBiLmV4YW1wbGUNCkFjdGlvbjogZmFpbGVkDQo=");
  text.replace(text.find("message/delivery-status\r\n"), 25, "message/delivery-status\r\nContent-Transfer-Encoding: base64\r\n");
  const auto report = read(bytes_of(text));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->recipients[0].final, "a@b.example");
}

TEST(Dsn, ReadsAsManyRecipientsAsItsLimitAndNoMore) {
  for (const std::size_t count : {limits::kDsnRecipients, limits::kDsnRecipients + 1}) {
    std::string status = "Reporting-MTA: dns;m\r\n";
    for (std::size_t i = 0; i < count; ++i) status += "\r\nFinal-Recipient: rfc822;r" + std::to_string(i) + "@b.example\r\nAction: failed\r\n";
    const auto report = read(bytes_of(report_with(status)));
    ASSERT_TRUE(report.has_value());
    EXPECT_EQ(report->recipients.size(), limits::kDsnRecipients);
  }
}

TEST(Dsn, WordsAreCutAndMadePrintable) {
  const auto report = read(bytes_of(report_with("Reporting-MTA: dns;m\r\n\r\nFinal-Recipient: rfc822;a@b.example\r\nAction: failed\r\nDiagnostic-Code: smtp; bad\x1b[2J " +
                                                std::string(10'000, 'x') + "\r\n")));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->recipients[0].diagnostic.find('\x1b'), std::string::npos);
  EXPECT_LE(report->recipients[0].diagnostic.size(), limits::kDsnFieldBytes + 8);
}

}  // namespace
}  // namespace postern::mail::dsn
