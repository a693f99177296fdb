#include "mail/policy/dane.h"

#include <gtest/gtest.h>

namespace postern::mail::dane {
namespace {

dns::Tlsa tlsa(unsigned usage, unsigned selector, unsigned matching, std::size_t size) {
  return {static_cast<std::uint8_t>(usage), static_cast<std::uint8_t>(selector), static_cast<std::uint8_t>(matching),
          Bytes(size, std::byte{0xab})};
}

TEST(DaneRecords, UsableAreThoseAnSmtpClientCanMatch) {
  const struct {
    dns::Tlsa record;
    bool usable;
  } table[] = {
      {tlsa(3, 1, 1, 32), true},  {tlsa(2, 0, 2, 64), true},  {tlsa(3, 0, 0, 1), true},
      {tlsa(0, 1, 1, 32), false}, {tlsa(1, 1, 1, 32), false},  // RFC 7672 §3.1.3
      {tlsa(4, 1, 1, 32), false}, {tlsa(255, 1, 1, 32), false}, {tlsa(3, 2, 1, 32), false}, {tlsa(3, 1, 3, 32), false},
      {tlsa(3, 1, 1, 31), false}, {tlsa(3, 1, 1, 33), false},   {tlsa(3, 1, 2, 32), false}, {tlsa(3, 1, 0, 0), false},
  };
  for (const auto& row : table) EXPECT_EQ(usable(row.record), row.usable) << to_string(row.record);
}

TEST(DaneRecords, OnlyTheStrongestDigestOfEachUsageAndSelectorCounts) {  // RFC 7671 §9
  const auto weak = tlsa(3, 1, 1, 32), strong = tlsa(3, 1, 2, 64), full = tlsa(3, 1, 0, 5);
  const auto other_selector = tlsa(3, 0, 1, 32), other_usage = tlsa(2, 1, 1, 32);
  EXPECT_EQ(select({weak, strong, full, other_selector, other_usage}),
            (std::vector<dns::Tlsa>{strong, full, other_selector, other_usage}));
  EXPECT_EQ(select({weak, full}), (std::vector<dns::Tlsa>{weak, full}));
}

TEST(DaneRecords, UnusableStrongDigestDoesNotHideAWeakOne) {
  const auto weak = tlsa(3, 1, 1, 32), broken = tlsa(3, 1, 2, 63);
  EXPECT_EQ(select({broken, weak}), (std::vector<dns::Tlsa>{weak}));
}

TEST(DaneRecords, NoMoreThanTheLimitIsLookedAt) {
  EXPECT_EQ(select(std::vector<dns::Tlsa>(kMaxRecords, tlsa(3, 1, 1, 32))).size(), kMaxRecords);
  EXPECT_EQ(select(std::vector<dns::Tlsa>(kMaxRecords + 1, tlsa(3, 1, 1, 32))).size(), kMaxRecords);
}

TEST(DaneRecords, NameAndText) {
  EXPECT_EQ(tlsa_name("MX.Example.", 25), "_25._tcp.mx.example");
  EXPECT_EQ(to_string(tlsa(3, 1, 1, 2)), "3 1 1 abab");
}

}  // namespace
}  // namespace postern::mail::dane
