#include "base/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace postern::text {
namespace {

TEST(Text, FoldsAsciiOnly) {
  EXPECT_EQ(to_lower("AZaz[@`{\xC3\x84"), "azaz[@`{\xC3\x84");
  EXPECT_TRUE(iequals("Example.COM", "eXAMPLE.com"));
  EXPECT_FALSE(iequals("a", "ab"));
  EXPECT_FALSE(iequals("\xC3\x84", "\xC3\xA4"));  // Ä and ä: not ASCII, not the same
  EXPECT_FALSE(iequals("@", "`"));
}

TEST(Text, FindsPrefixesAndSuffixesInAnyCase) {
  EXPECT_TRUE(istarts_with("V=SPF1 -all", "v=spf1"));
  EXPECT_FALSE(istarts_with("v=spf", "v=spf1"));
  EXPECT_TRUE(iends_with("mail.Example.com", ".example.COM"));
  EXPECT_FALSE(iends_with("com", "example.com"));
  EXPECT_TRUE(istarts_with("x", ""));
  EXPECT_TRUE(iends_with("", ""));
}

TEST(Text, TrimsBlanksAndLineEndsAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t\r\n a b \r\n"), "a b");
  EXPECT_EQ(trim(" \r\n\t"), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\x0B"
                 "a"),
            "\x0B"
            "a");
}

TEST(Text, SplitsIntoAtLeastOnePiece) {
  using Pieces = std::vector<std::string_view>;
  EXPECT_EQ(split("", '.'), Pieces{""});
  EXPECT_EQ(split("a", '.'), Pieces{"a"});
  EXPECT_EQ(split(".a..b.", '.'), (Pieces{"", "a", "", "b", ""}));
}

struct Number {
  const char* text;
  std::uint64_t max;
  std::optional<std::uint64_t> expected;
};
class Numbers : public testing::TestWithParam<Number> {};
TEST_P(Numbers, AreDecimalDigitsUpToAMaximum) {
  EXPECT_EQ(parse_uint(GetParam().text, GetParam().max), GetParam().expected) << GetParam().text;
}
constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
INSTANTIATE_TEST_SUITE_P(Table, Numbers,
                         testing::Values(Number{"0", 0, 0}, Number{"007", 10, 7}, Number{"65535", 65535, 65535},
                                         Number{"65536", 65535, {}}, Number{"18446744073709551615", kMost, kMost},
                                         Number{"18446744073709551616", kMost, {}}, Number{"99999999999999999999", kMost, {}},
                                         Number{"5", 4, {}}, Number{"", kMost, {}}, Number{"+1", kMost, {}}, Number{"-1", kMost, {}},
                                         Number{" 1", kMost, {}}, Number{"1 ", kMost, {}}, Number{"0x1", kMost, {}},
                                         Number{"\xD9\xA1", kMost, {}}));

TEST(Text, MakesForeignTextSafeForATerminal) {
  EXPECT_EQ(printable("plain text"), "plain text");
  EXPECT_EQ(printable("a\x1B[2J\r\nb\tc\x7F"), "a\\x1b[2J\\x0d\\x0ab\\x09c\\x7f");
  EXPECT_EQ(printable("back\\slash"), "back\\x5cslash");
  EXPECT_EQ(printable("Gr\xC3\xBC\xC3\x9F"), "Gr\xC3\xBC\xC3\x9F");
  EXPECT_EQ(printable("\xC2\x9B"
                      "2J"),
            "\\xc2\\x9b2J");  // C1 control: CSI
  EXPECT_EQ(printable("\xFF\xC3"), "\\xff\\xc3");
  EXPECT_EQ(printable(std::string_view("\0", 1)), "\\x00");
}

TEST(Text, CutsLongForeignTextBetweenCharacters) {
  EXPECT_EQ(printable("abcd", 4), "abcd");
  EXPECT_EQ(printable("abcde", 4), "abcd...");
  EXPECT_EQ(printable("a\xC3\xBC", 2), "a...");
  EXPECT_EQ(printable("a\xC3\xBC", 3), "a\xC3\xBC");
  EXPECT_EQ(printable(std::string(100, '\xFF'), 9), "\\xff\\xff...");
}

TEST(Text, KnowsWellFormedUtf8) {  // RFC 3629 §4
  for (const char* good : {"", "a", "\xC3\xBC", "\xE2\x82\xAC", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x9F\x93\xA7", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
                          "\xF0\x80\x80\xAF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE", "\xE2\x82", "a\xC3(b"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Text, KnowsAscii) {
  EXPECT_TRUE(is_ascii(""));
  EXPECT_TRUE(is_ascii("a\x7F"));
  EXPECT_FALSE(is_ascii("a\x80"));
}

}  // namespace
}  // namespace postern::text
