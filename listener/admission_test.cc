#include "listener/admission.h"

#include <gtest/gtest.h>

#include "listener/received.h"
#include "listener/replies.h"

namespace postern::listener {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

TEST(Admission, BoundsConnectionsInAll) {
  Admission admission({.total = 2, .per_client = 10});
  EXPECT_EQ(admission.enter(ip("192.0.2.1")), Admitted::yes);
  EXPECT_EQ(admission.enter(ip("192.0.2.2")), Admitted::yes);
  EXPECT_EQ(admission.enter(ip("192.0.2.3")), Admitted::too_many);
  admission.leave(ip("192.0.2.1"));
  EXPECT_EQ(admission.enter(ip("192.0.2.3")), Admitted::yes);
  EXPECT_EQ(admission.total(), 2U);
}

TEST(Admission, BoundsANeighbourhood) {
  struct Case { const char *first, *second; Admitted second_is; };
  for (const auto& c : {Case{"192.0.2.1", "192.0.2.1", Admitted::too_many_from_client}, Case{"192.0.2.1", "192.0.2.2", Admitted::yes},
                        Case{"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", Admitted::too_many_from_client}, Case{"2001:db8:0:1::1", "2001:db8:0:2::1", Admitted::yes},
                        Case{"192.0.2.1", "::ffff:192.0.2.1", Admitted::too_many_from_client}, Case{"127.0.0.1", "127.0.0.1", Admitted::yes}, Case{"::1", "::1", Admitted::yes}}) {
    Admission admission({.total = 10, .per_client = 1});
    EXPECT_EQ(admission.enter(ip(c.first)), Admitted::yes);
    EXPECT_EQ(admission.enter(ip(c.second)), c.second_is) << c.first << ' ' << c.second;
    admission.leave(ip(c.first));
    admission.leave(ip("198.51.100.1"));  // never came: changes nothing
    EXPECT_EQ(admission.enter(ip(c.first)), Admitted::yes);
  }
}

TEST(Received, IsWellFormedWhateverTheClientCallsItself) {
  struct Case { const char *helo, *from; };
  for (const auto& c : {Case{"mx.example", "from mx.example ([192.0.2.1])"}, Case{"[192.0.2.9]", "from [192.0.2.9] ([192.0.2.1])"},
                        Case{"x)(y", "from [192.0.2.1] (called itself x??y)"}, Case{"\\x1b", "from [192.0.2.1] (called itself ?x1b)"}, Case{"a;b@c", "from [192.0.2.1] (called itself a;b@c)"}}) {
    privsep::Arrival arrival;
    arrival.client = ip("192.0.2.1");
    arrival.helo = c.helo;
    const std::string field = received_field({.arrival = arrival, .host_name = "us.example", .id = "ID", .recipient = ""});
    EXPECT_TRUE(field.starts_with("Received: " + std::string(c.from) + "\r\n\tby us.example with SMTP\r\n\tid ID;\r\n\t")) << field;
    EXPECT_TRUE(field.ends_with("+0000\r\n"));
  }
}

TEST(Received, NamesTheProtocol) {  // RFC 3848, RFC 6531 §4.3
  privsep::Arrival arrival;
  EXPECT_EQ(protocol_name(arrival, false), "SMTP");
  arrival.esmtp = true;
  EXPECT_EQ(protocol_name(arrival, false), "ESMTP");
  EXPECT_EQ(protocol_name(arrival, true), "UTF8SMTP");
  arrival.tls_version = "TLSv1.3";
  EXPECT_EQ(protocol_name(arrival, false), "ESMTPS");
  EXPECT_EQ(protocol_name(arrival, true), "UTF8SMTPS");
}

TEST(Received, AUtf8RecipientIsNamedOnlyInAUtf8Message) {
  privsep::Arrival arrival;
  const Trace plain{.arrival = arrival, .host_name = "h", .id = "I", .recipient = "\xC3\xA4@b", .smtputf8 = false};
  EXPECT_EQ(received_field(plain).find("for <"), std::string::npos);
  const Trace utf8{.arrival = arrival, .host_name = "h", .id = "I", .recipient = "\xC3\xA4@b", .smtputf8 = true};
  EXPECT_NE(received_field(utf8).find("for <\xC3\xA4@b>"), std::string::npos);
}

TEST(Replies, ForeignOnesAreCheckedAndEscaped) {
  struct Case { privsep::SmtpReply reply; const char* line; };
  for (const auto& c : {Case{{550, "5.1.1", "no"}, "550 5.1.1 no\r\n"}, Case{{550, "4.1.1", "no"}, "451"}, Case{{550, "5.1", "no"}, "451"}, Case{{550, "5.1.1\r\n250 x", "no"}, "451"},
                        Case{{220, "2.0.0", "x\ny"}, "220 2.0.0 x\\x0ay\r\n"}, Case{{600, "6.0.0", ""}, "451"}, Case{{354, "3.0.0", ""}, "451"}, Case{{250, "2.0.0", "\xC3\xA4"}, "250 2.0.0 ??\r\n"}})
    EXPECT_TRUE(to_line(c.reply).starts_with(c.line)) << to_line(c.reply);
}

}  // namespace
}  // namespace postern::listener
