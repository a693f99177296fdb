#include "base/ip.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

TEST(Ip, PrintsWhatItParsesInOneForm) {  // RFC 5952
  const char* cases[][2] = {{"192.0.2.1", "192.0.2.1"},           {"0.0.0.0", "0.0.0.0"},       {"::", "::"},
                            {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"}, {"::ffff:192.0.2.1", "::ffff:192.0.2.1"}, {"fe80::1:0:0:1", "fe80::1:0:0:1"}};
  for (const auto& [text, printed] : cases) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), printed);
  }
}

TEST(Ip, RefusesWhatIsNoAddress) {
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "0x7f.0.0.1", "127.1", "[::1]", "::1%lo",
                          "1::2::3", "12345::", ":1", "1.2.3.4/24", "::ffff:1.2.3", "1111:2222:3333:4444:5555:6666:7777:8888:9999"})
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  EXPECT_FALSE(IpAddress::parse(std::string_view("1.2.3.4\0", 8)));
}

TEST(Ip, FamiliesDiffer) {
  EXPECT_NE(ip("0.0.0.0"), ip("::"));
  EXPECT_EQ(IpAddress(), ip("0.0.0.0"));
  EXPECT_EQ(ip("192.0.2.1").octets().size(), 4U);
  EXPECT_EQ(ip("::1").octets().size(), 16U);
}

TEST(Ip, UnmapsOnlyMappedAddresses) {
  EXPECT_EQ(ip("::ffff:192.0.2.1").unmapped(), ip("192.0.2.1"));
  EXPECT_EQ(ip("::192.0.2.1").unmapped(), ip("::192.0.2.1"));
  EXPECT_EQ(ip("64:ff9b::192.0.2.1").unmapped(), ip("64:ff9b::192.0.2.1"));
}

struct Membership {
  const char* address;
  const char* network;
  unsigned bits;
  bool inside;
};
class Prefixes : public testing::TestWithParam<Membership> {};
TEST_P(Prefixes, CompareLeadingBits) {
  const auto& p = GetParam();
  EXPECT_EQ(ip(p.address).in_prefix(ip(p.network), p.bits), p.inside) << p.address << " in " << p.network << "/" << p.bits;
}
INSTANTIATE_TEST_SUITE_P(
    Table, Prefixes,
    testing::Values(Membership{"1.2.3.4", "9.9.9.9", 0, true}, Membership{"1.2.3.4", "1.2.3.5", 31, true},
                    Membership{"1.2.3.4", "1.2.3.5", 32, false}, Membership{"1.2.3.4", "1.2.3.4", 32, true},
                    Membership{"1.2.3.4", "1.2.3.4", 33, false}, Membership{"10.127.0.1", "10.128.0.0", 9, false},
                    Membership{"10.127.0.1", "10.0.0.0", 9, true}, Membership{"1.2.3.4", "::", 0, false},
                    Membership{"cafe:babe:8000::1", "cafe:babe:8000::", 33, true}, Membership{"cafe:babe:7000::1", "cafe:babe:8000::", 33, false},
                    Membership{"::1", "::1", 128, true}, Membership{"::1", "::2", 128, false}, Membership{"::1", "::1", 129, false}));

TEST(Ip, ReadsPrefixes) {
  const auto network = IpPrefix::parse("192.0.2.0/24");
  ASSERT_TRUE(network);
  EXPECT_TRUE(network->contains(ip("192.0.2.255")));
  EXPECT_FALSE(network->contains(ip("192.0.3.0")));
  EXPECT_EQ(IpPrefix::parse("::1")->bits, 128U);
  EXPECT_EQ(IpPrefix::parse("1.2.3.4")->bits, 32U);
  for (const char* bad : {"1.2.3.4/33", "::/129", "1.2.3.4/", "/8", "1.2.3.4/8/8", "1.2.3.4/-1"}) EXPECT_FALSE(IpPrefix::parse(bad)) << bad;
}

TEST(Ip, FindsLoopbackAlsoWhenMapped) {
  for (const char* yes : {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1"}) EXPECT_TRUE(ip(yes).is_loopback()) << yes;
  for (const char* no : {"128.0.0.1", "::2", "0.0.0.0", "::ffff:128.0.0.1"}) EXPECT_FALSE(ip(no).is_loopback()) << no;
}

TEST(Ip, AFetchForAStrangerReachesNoSpecialAddress) {  // RFC 6890
  for (const char* special : {"0.0.0.0",        "10.1.2.3",         "100.64.0.1",     "127.0.0.1",   "169.254.169.254", "172.16.0.1", "172.31.255.255",
                              "192.168.0.1",    "192.0.2.1",        "198.18.0.1",     "203.0.113.9", "224.0.0.1",       "255.255.255.255",
                              "::",             "::1",              "fe80::1",        "fd00::1",     "fc00::1",         "ff02::1",
                              "2001:db8::1",    "2001::1",          "2002:7f00:1::1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1"})
    EXPECT_TRUE(ip(special).is_special()) << special;
  for (const char* open : {"1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.3.1", "2606:4700::1", "2a00::1", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"})
    EXPECT_FALSE(ip(open).is_special()) << open;
}

}  // namespace
}  // namespace postern
