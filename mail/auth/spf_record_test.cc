#include "mail/auth/spf_record.h"

#include <gtest/gtest.h>

#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

TEST(SpfRecord, BeginsWithTheVersionAndABlankOrEnds) {  // RFC 7208 §4.5
  for (const char* yes : {"v=spf1", "v=spf1 ", "v=spf1 -all", "V=SPF1 mx"}) EXPECT_TRUE(is_record(yes)) << yes;
  for (const char* no : {"", "v=spf10", "v=spf1-all", " v=spf1", "v=spf2.0/pra", "v=spf1\t-all", "spf1 -all"})
    EXPECT_FALSE(is_record(no)) << no;
}

struct Case {
  const char* terms;
  bool valid;
};
class Terms : public testing::TestWithParam<Case> {};

TEST_P(Terms, AreReadByTheGrammar) {
  const auto record = parse_record(std::string("v=spf1 ") + GetParam().terms);
  EXPECT_EQ(bool(record), GetParam().valid) << GetParam().terms;
  if (!record) {
    EXPECT_EQ(record.error().code, "spf.syntax");
  }
}

INSTANTIATE_TEST_SUITE_P(
    Section5, Terms,
    testing::Values(
        Case{"all", true}, Case{"-ALL", true}, Case{"all.", false}, Case{"all:x", false}, Case{"all/8", false},
        Case{"--all", false}, Case{"*all", false}, Case{"-", false}, Case{"moo", false}, Case{"  -all   ", true},
        Case{"a", true}, Case{"A:Foo.Example.com/24//64", true}, Case{"a/24", true}, Case{"a//64", true},
        Case{"a/24//64", true}, Case{"a/0//0", true}, Case{"a/32//128", true}, Case{"a/33", false}, Case{"a//129", false},
        Case{"a/00", false}, Case{"a/024", false}, Case{"a//064", false}, Case{"a/24/64", false}, Case{"a//64/24", false},
        Case{"a///64", false}, Case{"a/", false}, Case{"a//", false}, Case{"a:", false}, Case{"a:/24", false},
        Case{"a:museum", false}, Case{"a:example.com/", false}, Case{"a:1.2.3.4", false}, Case{"a:%{d}/24", true},
        Case{"a:%{d/}", true}, Case{"a.example.com", false}, Case{"a:foo:bar/baz.example.com/24", true},
        Case{"a/4294967328", false}, Case{"a/18446744073709551616", false}, Case{"mx", true}, Case{"mx:example.com/8", true},
        Case{"mx/8//9", true}, Case{"mx:%{d", false}, Case{"ptr", true}, Case{"ptr:example.com", true}, Case{"ptr/24", false},
        Case{"ptr:", false}, Case{"include:example.com", true}, Case{"include", false}, Case{"include:", false},
        Case{"include:example.com/24", false}, Case{"exists:%{i}.example.com", true}, Case{"exists", false},
        Case{"exists:example.com/24", false}, Case{"exists:%(i).example.com", false}));

INSTANTIATE_TEST_SUITE_P(
    Networks, Terms,
    testing::Values(Case{"ip4:1.2.3.4", true}, Case{"ip4:1.2.3.4/0", true}, Case{"ip4:1.2.3.4/32", true},
                    Case{"ip4:1.2.3.4/33", false}, Case{"ip4:1.2.3.4/032", false}, Case{"ip4:1.2.3.4/", false},
                    Case{"ip4:1.2.3.4//32", false}, Case{"ip4:1.2.3", false}, Case{"ip4:1.2.3.04", false},
                    Case{"ip4:1.2.3.256", false}, Case{"ip4:1.2.3.4:25", false}, Case{"ip4:%{i}", false}, Case{"ip4", false},
                    Case{"ip4:", false}, Case{"ip4/8", false}, Case{"ip4:::1", false}, Case{"ip6:::1", true},
                    Case{"ip6:::1.1.1.1/0", true}, Case{"ip6:::1.1.1.1//33", false}, Case{"ip6:Cafe:Babe:8000::/33", true},
                    Case{"ip6:::1/128", true}, Case{"ip6:::1/129", false}, Case{"ip6:1::2::3", false}, Case{"ip6:1.2.3.4", false},
                    Case{"ip6", false}, Case{"ip6:[::1]", false}));

INSTANTIATE_TEST_SUITE_P(
    Modifiers, Terms,
    testing::Values(Case{"redirect=example.com", true}, Case{"REDIRECT=%{d}", true}, Case{"redirect=", false},
                    Case{"redirect=foo", false}, Case{"redirect:example.com", false}, Case{"redirect=a.example redirect=a.example", false},
                    Case{"-redirect=example.com", false}, Case{"exp=a.example", true}, Case{"exp=", false}, Case{"exp=-all", false},
                    Case{"exp=a.example Exp=a.example", false}, Case{"exp=%{r}.example.com", false}, Case{"moo.cow-far_out=man:dog/cat", true},
                    Case{"moo= moo=", true}, Case{"moo=%abc", false}, Case{"1up=foo", false}, Case{"=all", false}, Case{"moo/x=y", false},
                    Case{"moo:x=y", false}, Case{"a=example.com", true}, Case{"default=+", true}));

TEST(SpfRecord, HoldsWhatTheTermsSay) {
  const auto record = parse_record("v=spf1 ~a:foo.example.com/24//64 ?ip6:2001:db8::/32 exp=e.example -all redirect=r.example");
  ASSERT_TRUE(record);
  ASSERT_EQ(record->directives.size(), 3U);
  EXPECT_EQ(record->directives[0].qualifier, Qualifier::softfail);
  EXPECT_EQ(record->directives[0].mechanism, Mechanism::a);
  EXPECT_EQ(record->directives[0].bits4, 24U);
  EXPECT_EQ(record->directives[0].bits6, 64U);
  EXPECT_EQ(expand_domain(*record->directives[0].domain, {}), "foo.example.com");
  EXPECT_EQ(record->directives[1].qualifier, Qualifier::neutral);
  EXPECT_EQ(record->directives[1].network, IpAddress::parse("2001:db8::"));
  EXPECT_EQ(record->directives[1].bits6, 32U);
  EXPECT_EQ(record->directives[2].text, "-all");
  EXPECT_TRUE(record->explanation);
  EXPECT_EQ(record->redirect_text, "redirect=r.example");
}

TEST(SpfRecord, AnErrorNamesItsTermAndEscapesIt) {
  const auto record = parse_record("v=spf1 a \x1B[2J:x -all");
  ASSERT_FALSE(record);
  EXPECT_NE(record.error().message.find("\\x1b[2J:x"), std::string::npos) << record.error().message;
}

TEST(SpfRecord, OddBytesAnywhereAreErrors) {
  for (const char* text : {"v=spf1 a:\xEF\xBB\xBFgarbage.example.net -all", "v=spf1 \x80"
                           "a:example.net -all",
                           "v=spf1 a:example.net \x96"
                           "all",
                           "v=spf1 a:ctrl.example.com\x0Dptr -all", "v=spf1 a\t-all", "v=spf1 moo=\x7F"})
    EXPECT_FALSE(parse_record(text)) << text;
  EXPECT_FALSE(parse_record(std::string_view("v=spf1 a:foo.example.com\0", 25)));
}

TEST(SpfRecord, IsReadUpToItsLimit) {
  std::string text = "v=spf1";
  text.resize(limits::kSpfRecordBytes, ' ');
  EXPECT_TRUE(parse_record(text));
  const auto longer = parse_record(text + " ");
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().code, "spf.too-long");
}

}  // namespace
}  // namespace postern::mail::spf
