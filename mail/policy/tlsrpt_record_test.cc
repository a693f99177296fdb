#include "mail/policy/tlsrpt_record.h"

#include <gmock/gmock.h>

namespace postern::mail::tlsrpt {
namespace {

using ::testing::ElementsAre;

TEST(TlsRptRecord, NamesMailAndHttpsAddresses) {  // RFC 8460 §3
  const auto record = read_record({"v=spf1 -all", "v=TLSRPTv1; rua=mailto:tls%2Dreports@example.com?subject=x, https://reports.example/v1 ; x=1;"});
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_THAT(record->mail, ElementsAre("tls-reports@example.com"));
  EXPECT_THAT(record->https, ElementsAre("https://reports.example/v1"));
  EXPECT_EQ(record_name("Example.COM."), "_smtp._tls.example.com");
}

TEST(TlsRptRecord, OneAloneCounts) {
  EXPECT_EQ(read_record({}).error().code, "tlsrpt.absent");
  for (const char* other : {"", "v=TLSRPTv1", "v=TLSRPTv10; rua=mailto:a@b.example", "V=TLSRPTv1; rua=mailto:a@b.example", " v=TLSRPTv1; rua=mailto:a@b.example"})
    EXPECT_EQ(read_record({other}).error().code, "tlsrpt.absent") << other;
  EXPECT_EQ(read_record({"v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1; rua=mailto:a@b.example"}).error().code, "tlsrpt.several");
}

TEST(TlsRptRecord, WithoutAnAddressItIsNoRecord) {
  for (const char* bad : {"v=TLSRPTv1;", "v=TLSRPTv1; rua=", "v=TLSRPTv1; rua", "v=TLSRPTv1; rua=ftp://x.example/", "v=TLSRPTv1; rua=mailto:", "v=TLSRPTv1; rua=mailto:a",
                          "v=TLSRPTv1; rua=mailto:a@b.example%0D%0ABcc:c@d.example", "v=TLSRPTv1; rua=mailto:%4", "v=TLSRPTv1; rua=https:x",
                          "v=TLSRPTv1; rua=mailto:a@b.example%2Cc@d.example", "v=TLSRPTv1; RUA=mailto:a@b.example"})
    EXPECT_EQ(read_record({bad}).error().code, "tlsrpt.record") << bad;
}

TEST(TlsRptRecord, AddressesPastTheBoundAreNotRead) {
  std::string many = "v=TLSRPTv1; rua=mailto:a0@b.example";
  for (std::size_t i = 1; i <= kAddresses; ++i) many += ",mailto:a" + std::to_string(i) + "@b.example";
  const auto record = read_record({many});
  ASSERT_TRUE(record);
  EXPECT_EQ(record->mail.size(), kAddresses);
  EXPECT_EQ(record->mail.back(), "a9@b.example");
  EXPECT_FALSE(read_record({"v=TLSRPTv1; rua=https://" + std::string(kAddressBytes, 'a')}));
}

}  // namespace
}  // namespace postern::mail::tlsrpt
