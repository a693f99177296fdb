#include "mail/auth/spf.h"

#include <gtest/gtest.h>

#include <chrono>

#include "mail/auth/fake_dns.h"
#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

using dns::FakeDns;
using dns::Type;

struct Client {
  const char* ip = "192.0.2.1";
  std::string helo = "mail.example.com";
  std::string mail_from = "user@example.com";
};

Verdict check(FakeDns& dns, const Client& client = {}) {
  const Query query{.client = *IpAddress::parse(client.ip), .helo = client.helo, .mail_from = client.mail_from};
  return dns.judge([&](const dns::Facts& facts) { return check_host(query, facts); });
}

std::size_t asked(const FakeDns& dns, Type type) {
  return static_cast<std::size_t>(
      std::count_if(dns.asked.begin(), dns.asked.end(), [&](const dns::Question& question) { return question.type == type; }));
}

TEST(Spf, TheFirstMatchDecides) {
  auto dns = FakeDns().txt("example.com", "v=spf1 ip4:198.51.100.0/24 ~ip4:192.0.2.0/24 -all");
  const Verdict verdict = check(dns);
  EXPECT_EQ(verdict.result, Outcome::softfail);
  EXPECT_EQ(verdict.mechanism, "~ip4:192.0.2.0/24");
  EXPECT_EQ(verdict.domain, "example.com");
  EXPECT_EQ(verdict.lookups, 0U);
  EXPECT_EQ(verdict.reason, "\"~ip4:192.0.2.0/24\" of example.com matches");
}

TEST(Spf, WhatNothingMatchesIsNeutral) {  // RFC 7208 §4.7
  auto dns = FakeDns().txt("example.com", "v=spf1 ip4:198.51.100.1");
  EXPECT_EQ(check(dns).result, Outcome::neutral);
  EXPECT_EQ(check(dns).mechanism, "default");
}

TEST(Spf, AsksOnlyForWhatItReaches) {
  auto dns = FakeDns().txt("example.com", "v=spf1 a mx include:other.example -all").a("example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::pass);
  EXPECT_EQ(dns.asked, (dns::Questions{{"example.com", Type::txt}, {"example.com", Type::a}}));
}

TEST(Spf, AsksForAllHostsOfAnMxAtOnce) {
  auto dns = FakeDns().txt("example.com", "v=spf1 mx -all");
  for (int i = 0; i < 10; ++i) {
    const std::string host = "mx" + std::to_string(i) + ".example.com";
    dns.mx("example.com", 10, host).a(host, "198.51.100.1");
  }
  dns.a("mx9.example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::pass);
  EXPECT_EQ(dns.rounds, 4U);  // the record, the MX records, the addresses, the verdict
}

// -- Who is judged --

struct Malformed {
  const char* helo;
  const char* mail_from;
};
class NoDomain : public testing::TestWithParam<Malformed> {};
TEST_P(NoDomain, GivesNoneAndAsksNothing) {  // RFC 7208 §4.3
  FakeDns dns;
  const Verdict verdict = check(dns, {.helo = GetParam().helo, .mail_from = GetParam().mail_from});
  EXPECT_EQ(verdict.result, Outcome::none);
  EXPECT_TRUE(dns.asked.empty());
}
INSTANTIATE_TEST_SUITE_P(
    Section43, NoDomain,
    testing::Values(Malformed{"A2345678", ""}, Malformed{"[1.2.3.5]", ""}, Malformed{"1.2.3.5", ""}, Malformed{"", ""},
                    Malformed{"x", "foo@[1.2.3.5]"}, Malformed{"x", "a@A...example.com"}, Malformed{"x", "a@.example.com"},
                    Malformed{"x", "a@a123456789012345678901234567890123456789012345678901234567890123.example.com"},
                    Malformed{"x", "a@localhost"}, Malformed{"x", "a@"}, Malformed{"x", "a@exa mple.com"},
                    Malformed{"x", "a@\xFF\xFE.example"}));

TEST(Spf, TheNullSenderIsPostmasterAtHelo) {  // RFC 7208 §2.4
  auto dns = FakeDns().txt("mail.example.com", "v=spf1 exists:%{l}.%{o}.%{d}.x.example -all");
  dns.a("postmaster.mail.example.com.mail.example.com.x.example", "127.0.0.2");
  const Verdict verdict = check(dns, {.mail_from = ""});
  EXPECT_EQ(verdict.result, Outcome::pass);
  EXPECT_EQ(verdict.identity, Identity::helo);
}

TEST(Spf, AMissingLocalPartIsPostmaster) {  // RFC 7208 §4.3
  auto dns = FakeDns().txt("example.net", "v=spf1 -all exp=why.example.net").txt("why.example.net", "%{l}");
  EXPECT_EQ(check(dns, {.mail_from = "@example.net"}).explanation, "postmaster");
  EXPECT_EQ(check(dns, {.mail_from = "example.net"}).explanation, "postmaster");
}

TEST(Spf, AQuotedLocalPartMeansItsContent) {
  auto dns = FakeDns().txt("example.com", "v=spf1 -all exp=why.example.com").txt("why.example.com", "%{l}");
  EXPECT_EQ(check(dns, {.mail_from = "\"Macro \\\"@\\\" Error\"@example.com"}).explanation, "Macro \"@\" Error");
  EXPECT_EQ(check(dns, {.mail_from = "Macro Error@example.com"}).explanation, "Macro Error");
}

TEST(Spf, AFinalDotOfTheSenderIsNoLabel) {
  auto dns = FakeDns().txt("example.com", "v=spf1 +all");
  EXPECT_EQ(check(dns, {.mail_from = "a@example.com."}).result, Outcome::pass);
}

TEST(Spf, InternationalDomainsAreAskedAsALabels) {  // RFC 8616 §4
  auto dns = FakeDns().txt("xn--bcher-kva.example", "v=spf1 +all");
  EXPECT_EQ(check(dns, {.mail_from = "a@b\xC3\xBC"
                                     "cher.example"})
                .result,
            Outcome::pass);
}

TEST(Spf, InternationalLocalPartsMatchNothing) {  // RFC 8616 §4
  const Client client{.mail_from = "j\xC3\xB6rg@example.com"};
  auto exists = FakeDns().txt("example.com", "v=spf1 exists:%{l}.x.example include:%{s}.x.example ptr:%{L}.example ~all");
  EXPECT_EQ(check(exists, client).result, Outcome::softfail);
  EXPECT_EQ(exists.asked.size(), 1U);
  auto redirect = FakeDns().txt("example.com", "v=spf1 redirect=%{l}.x.example");
  EXPECT_EQ(check(redirect, client).result, Outcome::permerror);
  auto explained = FakeDns().txt("example.com", "v=spf1 -all exp=why.example").txt("why.example", "not %{l}");
  EXPECT_EQ(check(explained, client).explanation, "");
}

TEST(Spf, AMappedAddressIsAV4Client) {  // RFC 7208 §5
  auto dns = FakeDns().txt("example.com", "v=spf1 ip6:::/0 ip4:192.0.2.1 -all");
  EXPECT_EQ(check(dns, {.ip = "::ffff:192.0.2.1"}).mechanism, "ip4:192.0.2.1");
}

TEST(Spf, IdentitiesAreReadUpToTheirLimit) {
  auto dns = FakeDns().txt("example.com", "v=spf1 +all");
  const std::string at = "@example.com";
  EXPECT_EQ(check(dns, {.mail_from = std::string(limits::kSpfIdentityBytes - at.size(), 'l') + at}).result, Outcome::pass);
  EXPECT_EQ(check(dns, {.mail_from = std::string(limits::kSpfIdentityBytes - at.size() + 1, 'l') + at}).result, Outcome::none);
}

// -- Finding the record --

TEST(Spf, FindsTheRecordByRfc7208Section45) {
  auto several = FakeDns().txt("example.com", "v=spf1 -all").txt("example.com", "v=spf1 +all");
  EXPECT_EQ(check(several).result, Outcome::permerror);
  auto among = FakeDns().txt("example.com", "google-site-verification=x").txt("example.com", "v=spf1 +all").txt("example.com", "\x80");
  EXPECT_EQ(check(among).result, Outcome::pass);
  auto other = FakeDns().txt("example.com", "v=spf10 +all");
  EXPECT_EQ(check(other).result, Outcome::none);
  auto absent = FakeDns();
  EXPECT_EQ(check(absent).result, Outcome::none);
  auto failing = FakeDns().fails("example.com", Type::txt);
  EXPECT_EQ(check(failing).result, Outcome::temperror);
}

TEST(Spf, AnErrorAnywhereIsFoundBeforeAMatch) {  // RFC 7208 §4.6
  auto dns = FakeDns().txt("example.com", "v=spf1 +all moo");
  const Verdict verdict = check(dns);
  EXPECT_EQ(verdict.result, Outcome::permerror);
  EXPECT_EQ(verdict.reason, "record of example.com: \"moo\": unknown mechanism");
}

// -- include and redirect --

struct Included {
  const char* record;
  Outcome expected;
};
class Include : public testing::TestWithParam<Included> {};
TEST_P(Include, MapsResultsByTheTable) {  // RFC 7208 §5.2
  auto dns = FakeDns().txt("example.com", "v=spf1 ?include:in.example ~all").txt("in.example", GetParam().record);
  dns.fails("fails.example", Type::a).fails("down.example", Type::txt);
  EXPECT_EQ(check(dns).result, GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(Section52, Include,
                         testing::Values(Included{"v=spf1 +all", Outcome::neutral}, Included{"v=spf1 -all", Outcome::softfail},
                                         Included{"v=spf1 ~all", Outcome::softfail}, Included{"v=spf1 ?all", Outcome::softfail},
                                         Included{"v=spf1", Outcome::softfail}, Included{"v=spf1 a:fails.example", Outcome::temperror},
                                         Included{"v=spf1 moo", Outcome::permerror}, Included{"no record", Outcome::permerror},
                                         Included{"v=spf1 redirect=down.example", Outcome::temperror},
                                         Included{"v=spf1 redirect=nowhere.example", Outcome::permerror},
                                         Included{"v=spf1 include:nowhere.example", Outcome::permerror},
                                         Included{"v=spf1 include:%{v}", Outcome::permerror}));

TEST(Spf, TheDomainFollowsIncludesAndRedirects) {
  auto dns = FakeDns().txt("example.com", "v=spf1 include:in.example redirect=to.example");
  dns.txt("in.example", "v=spf1 -exists:%{d}.%{o}.x.example").a("in.example.example.com.x.example", "127.0.0.2");
  dns.txt("to.example", "v=spf1 a ~all").a("to.example", "192.0.2.1");
  const Verdict verdict = check(dns);
  EXPECT_EQ(verdict.result, Outcome::pass);
  EXPECT_EQ(verdict.mechanism, "a");
  EXPECT_EQ(verdict.lookups, 4U);
  EXPECT_EQ(verdict.domain, "example.com");
}

TEST(Spf, RedirectToNothingIsAnError) {  // RFC 7208 §6.1
  for (const char* target : {"nowhere.example", "%{v}", "a..example", "%{o1}"}) {
    auto dns = FakeDns().txt("example.com", std::string("v=spf1 redirect=") + target);
    EXPECT_EQ(check(dns).result, Outcome::permerror) << target;
  }
}

// -- Mechanisms --

TEST(Spf, NamesTheDnsCannotHoldMatchNothing) {  // RFC 7208 §4.8
  const std::string label(64, 'a');
  for (const std::string& name : {std::string("a..example"), label + ".example"}) {
    auto dns = FakeDns().txt("example.com", "v=spf1 a:" + name + " mx:" + name + " exists:" + name + " ptr:" + name + " ~all");
    EXPECT_EQ(check(dns).result, Outcome::softfail) << name;
    EXPECT_EQ(dns.asked.size(), 1U) << name;
  }
}

TEST(Spf, AMechanismAsksForAddressesOfTheClientsFamily) {
  auto dns = FakeDns().txt("example.com", "v=spf1 a//64 -all").a("example.com", "192.0.2.1").aaaa("example.com", "2001:db8::1");
  EXPECT_EQ(check(dns, {.ip = "2001:db8::2"}).result, Outcome::pass);
  EXPECT_EQ(asked(dns, Type::a), 0U);
  EXPECT_EQ(check(dns, {.ip = "192.0.2.2"}).result, Outcome::fail);
}

TEST(Spf, ExistsAlwaysAsksForA) {  // RFC 7208 §5.7
  auto dns = FakeDns().txt("example.com", "v=spf1 exists:x.example -all").a("x.example", "127.0.0.2");
  EXPECT_EQ(check(dns, {.ip = "2001:db8::2"}).result, Outcome::pass);
}

TEST(Spf, DnsFailureOfAMechanismIsTemporary) {  // RFC 7208 §5
  for (const char* term : {"a", "mx", "exists:example.com"}) {
    auto dns = FakeDns().txt("example.com", std::string("v=spf1 ") + term + " -all");
    dns.fails("example.com", Type::a).fails("example.com", Type::mx);
    const Verdict verdict = check(dns);
    EXPECT_EQ(verdict.result, Outcome::temperror) << term;
    EXPECT_EQ(verdict.mechanism, term);
  }
}

TEST(Spf, MxHostsAreComparedInOrderOfPreference) {  // RFC 7208 §5.4
  auto dns = FakeDns().txt("example.com", "v=spf1 mx -all");
  dns.mx("example.com", 20, "down.example").mx("example.com", 10, "up.example").a("up.example", "192.0.2.1").fails("down.example", Type::a);
  EXPECT_EQ(check(dns).result, Outcome::pass);
  EXPECT_EQ(check(dns, {.ip = "192.0.2.9"}).result, Outcome::temperror);
}

TEST(Spf, ANullMxHasNoHosts) {  // RFC 7505
  auto dns = FakeDns().txt("example.com", "v=spf1 mx ~all").mx("example.com", 0, "").a("", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::softfail);
}

TEST(Spf, WithoutMxTheAddressOfTheDomainIsNotTried) {  // RFC 7208 §5.4
  auto dns = FakeDns().txt("example.com", "v=spf1 mx ~all").a("example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::softfail);
}

TEST(Spf, PtrWantsANameThatLeadsBackWithinTheDomain) {  // RFC 7208 §5.5
  auto dns = FakeDns().txt("example.com", "v=spf1 ptr -all");
  dns.ptr("192.0.2.1", "Mail.Example.com").ptr("192.0.2.2", "liar.example.com").ptr("192.0.2.3", "badexample.com");
  dns.a("mail.example.com", "192.0.2.1").a("liar.example.com", "192.0.2.99").a("badexample.com", "192.0.2.3");
  EXPECT_EQ(check(dns, {.ip = "192.0.2.1"}).result, Outcome::pass);
  EXPECT_EQ(check(dns, {.ip = "192.0.2.2"}).result, Outcome::fail);
  dns.asked.clear();
  EXPECT_EQ(check(dns, {.ip = "192.0.2.3"}).result, Outcome::fail);
  EXPECT_EQ(asked(dns, Type::a), 0U);  // a name outside of the domain is not worth a question
}

TEST(Spf, PtrTakesDnsFailuresAsNoMatch) {  // RFC 7208 §5.5
  auto dns = FakeDns().txt("example.com", "v=spf1 ptr ~all").ptr("192.0.2.1", "a.example.com").ptr("192.0.2.1", "b.example.com");
  dns.fails("a.example.com", Type::a).a("b.example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::pass);
  dns.fails(dns::reverse_name(*IpAddress::parse("192.0.2.1")), Type::ptr);
  EXPECT_EQ(check(dns).result, Outcome::softfail);
}

TEST(Spf, TheValidatedNamePrefersTheDomainThenWhatIsBelowIt) {  // RFC 7208 §7.3
  auto dns = FakeDns().txt("example.com", "v=spf1 -all exp=why.example").txt("why.example", "%{p}");
  EXPECT_EQ(check(dns).explanation, "unknown");
  dns.ptr("192.0.2.1", "z.example.net").a("z.example.net", "192.0.2.1");
  EXPECT_EQ(check(dns).explanation, "z.example.net");
  dns.ptr("192.0.2.1", "b.example.com").a("b.example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).explanation, "b.example.com");
  dns.ptr("192.0.2.1", "example.com").a("example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).explanation, "example.com");
}

// -- Explanations --

TEST(Spf, ExplanationsAreOfTheRecordThatFailed) {  // RFC 7208 §6.2
  auto dns = FakeDns().txt("why1.example", "one").txt("why2.example", "two.").txt("in.example", "v=spf1 +all exp=why1.example");
  dns.txt("example.com", "v=spf1 -include:in.example exp=why2.example");
  EXPECT_EQ(check(dns).explanation, "two.");
  auto redirected = FakeDns().txt("why1.example", "one").txt("to.example", "v=spf1 -all");
  redirected.txt("example.com", "v=spf1 exp=why1.example redirect=to.example");
  EXPECT_EQ(check(redirected).explanation, "");
  EXPECT_EQ(asked(redirected, Type::txt), 2U);
}

TEST(Spf, AnExplanationThatCannotBeReadIsLeftOut) {  // RFC 7208 §6.2
  const auto with = [](auto... texts) {
    auto dns = FakeDns().txt("example.com", "v=spf1 -all exp=why.example");
    (dns.txt("why.example", texts), ...);
    const Verdict verdict = check(dns);
    EXPECT_EQ(verdict.result, Outcome::fail);
    return verdict.explanation;
  };
  EXPECT_EQ(with("good"), "good");
  EXPECT_EQ(with(), "");
  EXPECT_EQ(with("one", "two"), "");
  EXPECT_EQ(with("The %{x}-files."), "");
  EXPECT_EQ(with("\xEF\xBB\xBFnot ASCII"), "");
  auto failing = FakeDns().txt("example.com", "v=spf1 -all exp=why.example").fails("why.example", Type::txt);
  EXPECT_EQ(check(failing).result, Outcome::fail);
}

TEST(Spf, AnExplanationIsNotCountedAndNotAskedForWithoutFail) {  // RFC 7208 §4.6.4
  auto dns = FakeDns().txt("example.com", "v=spf1 a:n1.example a:n2.example exp=nowhere.example -all");
  const Verdict verdict = check(dns);
  EXPECT_EQ(verdict.result, Outcome::fail);
  EXPECT_EQ(verdict.void_lookups, 2U);
  auto soft = FakeDns().txt("example.com", "v=spf1 ~all exp=why.example").txt("why.example", "x");
  EXPECT_EQ(check(soft).explanation, "");
  EXPECT_EQ(soft.asked.size(), 1U);
}

// -- Limits (RFC 7208 §4.6.4) --

TEST(SpfLimits, TenTermsThatAskAndNotEleven) {
  std::string terms;
  for (std::size_t i = 0; i < limits::kSpfLookups; ++i) terms += " a:h.example";
  auto at = FakeDns().txt("example.com", "v=spf1" + terms + " +all").a("h.example", "198.51.100.1");
  EXPECT_EQ(check(at).result, Outcome::pass);
  EXPECT_EQ(check(at).lookups, limits::kSpfLookups);
  auto over = FakeDns().txt("example.com", "v=spf1" + terms + " a:h.example +all").a("h.example", "198.51.100.1");
  EXPECT_EQ(check(over).result, Outcome::permerror);
  EXPECT_EQ(check(over).lookups, limits::kSpfLookups);
}

TEST(SpfLimits, OneBudgetForAllIncludesAndRedirects) {
  auto dns = FakeDns().txt("example.com", "v=spf1 include:in.example a:h.example redirect=to.example").a("h.example", "198.51.100.1");
  dns.txt("in.example", "v=spf1 a:h.example a:h.example a:h.example a:h.example");
  dns.txt("to.example", "v=spf1 a:h.example a:h.example a:h.example ip4:192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::pass);
  EXPECT_EQ(check(dns).lookups, 10U);
  dns.txt("more.example", "v=spf1 include:example.com");
  EXPECT_EQ(check(dns, {.mail_from = "a@more.example"}).result, Outcome::permerror);
}

TEST(SpfLimits, AnIncludeBombIsAskedForTenRecords) {
  FakeDns dns;
  std::string record = "v=spf1";
  for (int i = 0; i < 60; ++i) record += " include:i" + std::to_string(i) + ".example";
  for (int i = 0; i < 60; ++i) dns.txt("i" + std::to_string(i) + ".example", record);
  dns.txt("example.com", record);
  EXPECT_EQ(check(dns).result, Outcome::permerror);
  EXPECT_LE(dns.asked.size(), 1 + limits::kSpfLookups);
}

TEST(SpfLimits, LoopsEnd) {
  auto included = FakeDns().txt("example.com", "v=spf1 include:example.com");
  EXPECT_EQ(check(included).result, Outcome::permerror);
  EXPECT_EQ(included.asked.size(), 1U);
  auto redirected = FakeDns().txt("example.com", "v=spf1 redirect=%{d}");
  EXPECT_EQ(check(redirected).result, Outcome::permerror);
}

TEST(SpfLimits, EveryTermAtItsWorstIsStillBounded) {
  FakeDns dns;
  std::string record = "v=spf1";
  for (int i = 0; i < 10; ++i) {
    const std::string domain = "d" + std::to_string(i) + ".example";
    record += " mx:%{p}." + domain;
    for (int j = 0; j < 10; ++j) {
      const std::string host = "h" + std::to_string(j) + "." + domain;
      dns.mx("n0.example.com." + domain, 10, host).a(host, "198.51.100.1");
    }
  }
  for (int i = 0; i < 40; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example.com";
    dns.ptr("192.0.2.1", name).a(name, "192.0.2.1");
  }
  dns.txt("example.com", record + " +all");
  EXPECT_EQ(check(dns).result, Outcome::pass);
  EXPECT_LE(dns.asked.size(), 1 + 1 + limits::kSpfPtrNames + limits::kSpfLookups * (1 + limits::kSpfMxHosts));
  EXPECT_LE(dns.rounds, limits::kSpfRounds);
}

TEST(SpfLimits, TwoTermsMayFindNothingAndNotThree) {
  auto at = FakeDns().txt("example.com", "v=spf1 a:n1.example exists:n2.example +all");
  EXPECT_EQ(check(at).result, Outcome::pass);
  EXPECT_EQ(check(at).void_lookups, limits::kSpfVoidLookups);
  for (const char* third : {"a:n3.example", "mx:n3.example", "exists:n3.example", "ptr"}) {
    auto over = FakeDns().txt("example.com", std::string("v=spf1 a:n1.example exists:n2.example ") + third + " +all");
    EXPECT_EQ(check(over).result, Outcome::permerror) << third;
  }
}

TEST(SpfLimits, AnMxWithHostsThatDoNotExistIsOneVoidTerm) {
  auto dns = FakeDns().txt("example.com", "v=spf1 mx ~all");
  for (const char* host : {"n1.example", "n2.example", "n3.example"}) dns.mx("example.com", 10, host);
  const Verdict verdict = check(dns);
  EXPECT_EQ(verdict.result, Outcome::softfail);
  EXPECT_EQ(verdict.void_lookups, 1U);
}

TEST(SpfLimits, TenMxHostsAndNotEleven) {
  auto dns = FakeDns().txt("example.com", "v=spf1 mx ~all");
  for (std::size_t i = 0; i < limits::kSpfMxHosts; ++i) {
    const std::string host = "mx" + std::to_string(i) + ".example";
    dns.mx("example.com", 10, host).a(host, "198.51.100.1");
  }
  EXPECT_EQ(check(dns).result, Outcome::softfail);
  dns.mx("example.com", 0, "here.example").a("here.example", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::permerror);
}

TEST(SpfLimits, OfManyPtrNamesTenAreRead) {
  auto dns = FakeDns().txt("example.com", "v=spf1 ptr ~all");
  for (std::size_t i = 0; i < limits::kSpfPtrNames; ++i) dns.ptr("192.0.2.1", "n" + std::to_string(i) + ".example.com");
  dns.ptr("192.0.2.1", "good.example.com").a("good.example.com", "192.0.2.1");
  EXPECT_EQ(check(dns).result, Outcome::softfail);
  EXPECT_EQ(asked(dns, Type::a), limits::kSpfPtrNames);
}

TEST(SpfLimits, TheLongestRecordOfMacrosCostsLittle) {
  FakeDns dns;
  std::string record = "v=spf1";
  while (record.size() + 40 < limits::kSpfRecordBytes) record += " ?exists:%{L2r-}%{L}%{L}%{L}%{L}.example";
  dns.txt("example.com", record);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(check(dns, {.mail_from = std::string(900, '-') + "@example.com"}).result, Outcome::permerror);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_LE(dns.asked.size(), 1 + limits::kSpfLookups);
}

}  // namespace
}  // namespace postern::mail::spf
