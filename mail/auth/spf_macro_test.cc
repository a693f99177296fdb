#include "mail/auth/spf_macro.h"

#include <gtest/gtest.h>

#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

// The values of the examples in RFC 7208 §7.4.
MacroValues example(const char* client = "192.0.2.3") {
  MacroValues values;
  values.sender = "strong-bad@email.example.com";
  values.local_part = "strong-bad";
  values.sender_domain = "email.example.com";
  values.domain = "email.example.com";
  values.client = *IpAddress::parse(client);
  values.validated = "mx.example.org";
  values.helo = "mail helo&co";
  values.receiver = "mx.example.net";
  values.time = 1'700'000'000;
  return values;
}

struct Expansion {
  const char* text;
  const char* expected;
};
class MacroExpansion : public testing::TestWithParam<Expansion> {};

TEST_P(MacroExpansion, IsThatOfTheRfc) {
  const auto macro = parse_explanation(GetParam().text);
  ASSERT_TRUE(macro) << GetParam().text;
  EXPECT_EQ(expand_explanation(*macro, example()), GetParam().expected) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(Rfc7208Section7, MacroExpansion,
                         testing::Values(Expansion{"%{s}", "strong-bad@email.example.com"},
                                         Expansion{"%{o}", "email.example.com"}, Expansion{"%{d}", "email.example.com"},
                                         Expansion{"%{d4}", "email.example.com"}, Expansion{"%{d3}", "email.example.com"},
                                         Expansion{"%{d2}", "example.com"}, Expansion{"%{d1}", "com"},
                                         Expansion{"%{dr}", "com.example.email"}, Expansion{"%{d2r}", "example.email"},
                                         Expansion{"%{l}", "strong-bad"}, Expansion{"%{l-}", "strong.bad"},
                                         Expansion{"%{lr}", "strong-bad"}, Expansion{"%{lr-}", "bad.strong"},
                                         Expansion{"%{l1r-}", "strong"}, Expansion{"%{D2R}", "example.email"},
                                         Expansion{"%{d99999999999999999999}", "email.example.com"},
                                         Expansion{"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
                                         Expansion{"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
                                         Expansion{"%%_%%-%%", "%_%-%"},
                                         Expansion{"a%_b%-c", "a b%20c"}, Expansion{"%{h}|%{H}", "mail helo&co|mail%20helo%26co"},
                                         Expansion{"%{p}", "mx.example.org"}, Expansion{"%{c} %{r} %{t}", "192.0.2.3 mx.example.net 1700000000"}));

TEST(Macro, NibblesOfV6AreDottedAndTheReadableFormIsShort) {
  const auto macro = parse_explanation("%{ir}.%{v} %{c}");
  ASSERT_TRUE(macro);
  EXPECT_EQ(expand_explanation(*macro, example("2001:db8::cb01")),
            "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6 2001:db8::cb01");
}

TEST(Macro, ConsecutiveAndOuterDelimitersGiveEmptyParts) {  // RFC 7208 §7.3
  auto values = example();
  values.local_part = "-a--b";
  const auto macro = parse_explanation("%{l-}");
  ASSERT_TRUE(macro);
  EXPECT_EQ(expand_explanation(*macro, values), ".a..b");
}

TEST(Macro, UnreservedCharactersAreNotEscaped) {  // RFC 7208 §7.3, RFC 3986 §2.3
  auto values = example();
  values.local_part = "~jack&jill=up-a_b3.c\xC3\xA9";
  const auto macro = parse_explanation("%{L}");
  ASSERT_TRUE(macro);
  EXPECT_EQ(expand_explanation(*macro, values), "~jack%26jill%3Dup-a_b3.c%C3%A9");
}

class BadMacro : public testing::TestWithParam<const char*> {};
TEST_P(BadMacro, IsRefused) { EXPECT_FALSE(parse_explanation(GetParam())) << GetParam(); }
INSTANTIATE_TEST_SUITE_P(Section7, BadMacro,
                         testing::Values("%", "a%", "%a", "%{", "%{}", "%{d", "%{x}", "%{d0}", "%{d00}", "%{dr2}", "%{d2rr}",
                                         "%{d:}", "%{d r}", "%(d)", "\x01", "caf\xC3\xA9", "tab\there", "%{d-2}"));

TEST(Macro, OnlyAnExplanationKnowsClientReceiverAndTime) {  // RFC 7208 §7.2
  for (const char* letter : {"%{c}", "%{r}", "%{t}", "%{C}"}) {
    EXPECT_FALSE(parse_domain_spec(letter)) << letter;
    EXPECT_TRUE(parse_explanation(letter)) << letter;
  }
}

struct DomainSpec {
  const char* text;
  bool valid;
};
class DomainSpecs : public testing::TestWithParam<DomainSpec> {};
TEST_P(DomainSpecs, EndInATopLabelOrAMacro) {
  EXPECT_EQ(bool(parse_domain_spec(GetParam().text)), GetParam().valid) << GetParam().text;
}
INSTANTIATE_TEST_SUITE_P(Section7, DomainSpecs,
                         testing::Values(DomainSpec{"example.com", true}, DomainSpec{"example.com.", true},
                                         DomainSpec{".com", true}, DomainSpec{"a.%{d}", true}, DomainSpec{"%{d}.com", true},
                                         DomainSpec{"foo:bar/baz.example.com", true}, DomainSpec{"a.xn--zckzah", true},
                                         DomainSpec{"a.1-2", true}, DomainSpec{"a.b1", true}, DomainSpec{"foo%%", true},
                                         DomainSpec{"foo%_", true}, DomainSpec{"", false}, DomainSpec{".", false},
                                         DomainSpec{"museum", false}, DomainSpec{"museum.", false}, DomainSpec{"a.b..", false},
                                         DomainSpec{"%{d}com", false}, DomainSpec{"a.-com", false}, DomainSpec{"a.com-", false},
                                         DomainSpec{"111.222.33.44", false}, DomainSpec{"example.com:8080", false},
                                         DomainSpec{"a.c_m", false}, DomainSpec{"a b.com", false}));

std::string domain_of(const std::string& text, const MacroValues& values) {
  const auto macro = parse_domain_spec(text);
  return macro ? expand_domain(*macro, values) : "not parsed";
}

TEST(Macro, LongDomainsLoseLabelsOnTheLeft) {  // RFC 7208 §7.3
  auto values = example();
  const std::string label(49, 'a');
  std::string name = "x";
  for (int i = 0; i < 5; ++i) name += "." + label;
  values.domain = name;  // 251 octets
  EXPECT_EQ(domain_of("%{d}", values), name);
  EXPECT_EQ(domain_of("b.%{d}", values), "b." + name);  // 253: the most that fits
  EXPECT_EQ(domain_of("bb.%{d}", values), name);
  EXPECT_EQ(domain_of("b.b.%{d}", values), "b." + name);
}

TEST(Macro, ALongLocalPartRepeatedManyTimesStaysSmall) {
  auto values = example();
  values.local_part = std::string(limits::kSpfIdentityBytes, 'l');
  std::string text;
  for (std::size_t i = 0; i < limits::kSpfRecordBytes / 4; ++i) text += "%{l}";
  EXPECT_EQ(domain_of(text + ".example.com", values), "example.com");
  EXPECT_EQ(domain_of(text, values), "");
  const auto macro = parse_explanation(text);
  ASSERT_TRUE(macro);
  EXPECT_EQ(expand_explanation(*macro, values), "");
}

TEST(Macro, AnExplanationFitsItsLimitAndNoMore) {
  const auto macro = parse_explanation("%{l}");
  ASSERT_TRUE(macro);
  auto values = example();
  values.local_part = std::string(limits::kSpfExplanationBytes, 'l');
  EXPECT_EQ(expand_explanation(*macro, values).size(), limits::kSpfExplanationBytes);
  values.local_part += 'l';
  EXPECT_EQ(expand_explanation(*macro, values), "");
}

TEST(Macro, AnExplanationHoldsPrintableAsciiOnly) {  // RFC 7208 §6.2: it stands in a reply line
  const auto macro = parse_explanation("see %{l}");
  ASSERT_TRUE(macro);
  auto values = example();
  for (const char* bad : {"a\r\n250 ok", "caf\xC3\xA9", "a\x1B[2J", "\x7F"}) {
    values.local_part = bad;
    EXPECT_EQ(expand_explanation(*macro, values), "");
  }
}

}  // namespace
}  // namespace postern::mail::spf
