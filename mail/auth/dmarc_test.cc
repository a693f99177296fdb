#include "mail/auth/dmarc.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "mail/auth/fake_dns.h"
#include "mail/limits.h"

namespace postern::mail::dmarc {
namespace {

const orgdomain::SuffixList& suffixes() {
  static const auto list = orgdomain::SuffixList::load(orgdomain::kDebianSuffixList);
  return *list;
}

// One judgement: who wrote, who proved to send, which records there are.
struct Case {
  const char* what;
  std::string author;
  std::vector<std::pair<std::string, std::string>> records;  // name without "_dmarc.", record
  std::string spf;                                           // passes for this domain
  std::vector<std::string> dkim;
  Outcome result;
  const char* policy = "";
  const char* disposition = "none";
  const char* organization = nullptr;
  std::vector<std::string> existing{};                       // names that have an address
};

Query query_for(const Case& c, Standard standard) {
  Query query;
  query.author = {1, true, {c.author}};
  if (!c.spf.empty()) query.spf = {c.spf, Proof::pass};
  for (const auto& domain : c.dkim) query.dkim.push_back({domain, Proof::pass});
  query.standard = standard;
  query.suffixes = &suffixes();
  return query;
}

void check(const Case& c, Standard standard) {
  SCOPED_TRACE(c.what);
  dns::FakeDns dns;
  for (const auto& [name, text] : c.records) dns.txt("_dmarc." + name, text);
  for (const auto& name : c.existing) dns.a(name, "192.0.2.1");
  const auto query = query_for(c, standard);
  const auto verdict = dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); });
  EXPECT_EQ(name_of(verdict.result), name_of(c.result)) << verdict.reason;
  EXPECT_EQ(verdict.policy ? name_of(*verdict.policy) : "", c.policy) << verdict.reason;
  EXPECT_EQ(name_of(verdict.disposition), c.disposition) << verdict.reason;
  if (c.organization != nullptr) {
    EXPECT_EQ(verdict.organizational_domain, c.organization);
  }
  EXPECT_FALSE(verdict.reason.empty());
}

TEST(Dmarc, Rfc9989AppliesThePolicyOfTheRightName) {
  const Case cases[] = {
      {"own record", "example.com", {{"example.com", "v=DMARC1; p=reject"}}, "", {}, Outcome::fail, "reject", "reject", "example.com"},
      {"DKIM aligned exactly", "example.com", {{"example.com", "v=DMARC1; p=reject"}}, "", {"example.com"}, Outcome::pass, "reject"},
      {"SPF aligned, relaxed", "example.com", {{"example.com", "v=DMARC1; p=reject"}}, "bounce.example.com", {}, Outcome::pass, "reject"},
      {"siblings under one record", "a.example.com", {{"example.com", "v=DMARC1; p=reject"}}, "", {"b.example.com"}, Outcome::pass, "reject"},
      {"strict DKIM", "example.com", {{"example.com", "v=DMARC1; p=reject; adkim=s"}}, "", {"mail.example.com"}, Outcome::fail, "reject", "reject"},
      {"strict SPF does not touch DKIM", "example.com", {{"example.com", "v=DMARC1; p=reject; aspf=s"}}, "m.example.com", {"m.example.com"}, Outcome::pass, "reject"},
      {"sp= for a subdomain", "a.example.com", {{"example.com", "v=DMARC1; p=reject; sp=quarantine"}}, "", {}, Outcome::fail, "quarantine", "quarantine", "example.com"},
      {"sp= says nothing of the name itself", "example.com", {{"example.com", "v=DMARC1; p=none; sp=reject"}}, "", {}, Outcome::fail, "none", "none"},
      {"np= for a name that is not there", "a.example.com", {{"example.com", "v=DMARC1; p=none; sp=quarantine; np=reject"}}, "", {}, Outcome::fail, "reject", "reject"},
      {"sp= for one that is", "a.example.com", {{"example.com", "v=DMARC1; p=none; sp=quarantine; np=reject"}}, "", {}, Outcome::fail, "quarantine", "quarantine", nullptr, {"a.example.com"}},
      {"np= without sp=", "a.example.com", {{"example.com", "v=DMARC1; p=none; np=reject"}}, "", {}, Outcome::fail, "reject", "reject"},
      {"a record between is passed over", "x.mail.example.com", {{"mail.example.com", "v=DMARC1; p=none"}, {"example.com", "v=DMARC1; p=reject"}}, "", {}, Outcome::fail, "reject", "reject", "example.com"},
      {"psd=n makes its own organization", "a.mail.example.com", {{"mail.example.com", "v=DMARC1; p=quarantine; psd=n"}, {"example.com", "v=DMARC1; p=reject"}}, "", {"example.com"}, Outcome::fail, "quarantine", "quarantine", "mail.example.com"},
      {"psd=y: the organization is one label below", "a.b.bank", {{"bank", "v=DMARC1; p=reject; psd=y"}}, "", {}, Outcome::fail, "reject", "reject", "b.bank"},
      {"psd=y: no alignment across it", "a.bank", {{"bank", "v=DMARC1; p=reject; psd=y"}}, "", {"b.bank"}, Outcome::fail, "reject", "reject", "a.bank"},
      {"psd=y at the start is like any", "bank", {{"bank", "v=DMARC1; p=reject; psd=y"}}, "", {}, Outcome::fail, "reject", "reject", "bank"},
      {"np= of a public suffix", "no.bank", {{"bank", "v=DMARC1; p=none; np=reject; psd=y"}}, "", {}, Outcome::fail, "reject", "reject"},
      {"an organization with a record does not hear the suffix", "b.bank", {{"b.bank", "v=DMARC1; p=none"}, {"bank", "v=DMARC1; p=reject; psd=y"}}, "", {}, Outcome::fail, "none", "none", "b.bank"},
      {"nobody says anything", "example.com", {}, "example.com", {}, Outcome::none},
      {"t=y: one level below", "example.com", {{"example.com", "v=DMARC1; p=reject; t=y"}}, "", {}, Outcome::fail, "reject", "quarantine"},
      {"t=y below quarantine", "example.com", {{"example.com", "v=DMARC1; p=quarantine; t=y"}}, "", {}, Outcome::fail, "quarantine", "none"},
      {"pct= is an unknown tag", "example.com", {{"example.com", "v=DMARC1; p=reject; pct=0"}}, "", {}, Outcome::fail, "reject", "reject"},
      {"p= unreadable with rua", "example.com", {{"example.com", "v=DMARC1; p=bogus; rua=mailto:a@example.com"}}, "", {}, Outcome::fail, "none", "none"},
      {"p= unreadable without rua", "example.com", {{"example.com", "v=DMARC1; p=bogus"}}, "", {}, Outcome::none},
      {"sp= unreadable without rua", "example.com", {{"example.com", "v=DMARC1; p=reject; sp=x"}}, "", {}, Outcome::none},
      {"rua that is no URI does not help", "example.com", {{"example.com", "v=DMARC1; p=bogus; rua=a@example.com"}}, "", {}, Outcome::none},
      {"no p= is p=none", "example.com", {{"example.com", "v=DMARC1"}}, "", {}, Outcome::fail, "none", "none"},
      {"a deep domain's record at the top of its last seven labels", "a.b.c.d.e.f.g.h.i.mail.example.com", {{"g.h.i.mail.example.com", "v=DMARC1; p=reject; psd=n"}}, "", {}, Outcome::fail, "reject", "reject", "g.h.i.mail.example.com"},
      {"labels the walk jumps over are not asked", "a.b.c.d.e.f.g.h.i.mail.example.com", {{"b.c.d.e.f.g.h.i.mail.example.com", "v=DMARC1; p=reject; psd=n"}}, "", {}, Outcome::none},
      {"an ancestor's authentication without its own record", "a.example.com", {{"a.example.com", "v=DMARC1; p=reject"}}, "", {"example.com"}, Outcome::fail, "reject", "reject", "a.example.com"},
  };
  for (const auto& c : cases) check(c, Standard::rfc9989);
}

TEST(Dmarc, Rfc7489AppliesThePublicSuffixList) {
  const Case cases[] = {
      {"aligned under co.uk", "x.victim.co.uk", {{"victim.co.uk", "v=DMARC1; p=reject"}}, "", {"y.victim.co.uk"}, Outcome::pass, "reject", "none", "victim.co.uk"},
      {"not across co.uk", "victim.co.uk", {{"victim.co.uk", "v=DMARC1; p=reject"}}, "", {"other.co.uk"}, Outcome::fail, "reject", "reject"},
      {"an ancestor may stand in", "a.example.com", {{"a.example.com", "v=DMARC1; p=reject"}}, "", {"example.com"}, Outcome::pass, "reject"},
      {"no walk between", "x.mail.example.com", {{"mail.example.com", "v=DMARC1; p=reject"}}, "", {}, Outcome::none, "", "none", "example.com"},
      {"np= and t= and psd= are unknown tags", "a.example.com", {{"example.com", "v=DMARC1; p=none; np=reject; t=y; psd=n"}}, "", {}, Outcome::fail, "none", "none"},
      {"pct=0: one level below", "example.com", {{"example.com", "v=DMARC1; p=reject; pct=0"}}, "", {}, Outcome::fail, "reject", "quarantine"},
      {"pct=1 and the sample 0", "example.com", {{"example.com", "v=DMARC1; p=reject; pct=1; rf=afrf; ri=3600"}}, "", {}, Outcome::fail, "reject", "reject"},
      {"no p= and no rua", "example.com", {{"example.com", "v=DMARC1"}}, "", {}, Outcome::none},
      {"no p= but rua", "example.com", {{"example.com", "v=DMARC1; rua=mailto:a@b.example"}}, "", {}, Outcome::fail, "none", "none"},
  };
  for (const auto& c : cases) check(c, Standard::rfc7489);
}

TEST(Dmarc, SeveralRecordsCountAsNone) {
  for (const auto standard : {Standard::rfc9989, Standard::rfc7489}) {
    dns::FakeDns dns;
    dns.txt("_dmarc.example.com", "v=DMARC1; p=reject").txt("_dmarc.example.com", "v=DMARC1; p=none");
    const auto query = query_for({"", "example.com", {}, "", {}, Outcome::none}, standard);
    const auto verdict = dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); });
    EXPECT_EQ(verdict.result, Outcome::none);
  }
  dns::FakeDns dns;  // another TXT record beside it does not matter
  dns.txt("_dmarc.example.com", "v=spf1 -all").txt("_dmarc.example.com", "v=DMARC1; p=reject");
  const auto query = query_for({"", "example.com", {}, "", {}, Outcome::none}, Standard::rfc9989);
  EXPECT_EQ(dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); }).result, Outcome::fail);
}

TEST(Dmarc, DeepNamesCostEightQueries) {  // THREATS: tree walk
  std::string deep = "example.com";
  for (int i = 0; i < 60; ++i) deep = "l." + deep;
  dns::FakeDns dns;
  const auto query = query_for({"", deep, {}, "x." + deep, {"y." + deep}, Outcome::none}, Standard::rfc9989);
  EXPECT_EQ(dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); }).result, Outcome::none);
  EXPECT_EQ(dns.asked.size(), limits::kDmarcTreeQueries);
  EXPECT_EQ(dns.asked.back().name, "_dmarc.com");
}

TEST(Dmarc, PsdEndsTheWalk) {
  dns::FakeDns dns;
  dns.txt("_dmarc.c.example.com", "v=DMARC1; p=reject; psd=y");
  const auto query = query_for({"", "a.b.c.example.com", {}, "", {}, Outcome::none}, Standard::rfc9989);
  EXPECT_EQ(dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); }).organizational_domain, "b.c.example.com");
  for (const auto& question : dns.asked) EXPECT_NE(question.name, "_dmarc.example.com");
}

TEST(Dmarc, SilentNameServersAreTemporary) {
  const auto query = query_for({"", "a.example.com", {}, "b.example.com", {}, Outcome::none}, Standard::rfc9989);
  const auto judge = [&](dns::FakeDns& dns, const Query& q) { return dns.judge([&](const dns::Facts& facts) { return evaluate(q, facts); }); };
  dns::FakeDns own;
  own.fails("_dmarc.a.example.com", dns::Type::txt);
  EXPECT_EQ(judge(own, query).result, Outcome::temperror);
  dns::FakeDns above;  // our record is known, whether b is of our organization is not
  above.txt("_dmarc.a.example.com", "v=DMARC1; p=reject").fails("_dmarc.example.com", dns::Type::txt);
  EXPECT_EQ(judge(above, query).result, Outcome::temperror);
  auto exact = query;
  exact.dkim = {{"a.example.com", Proof::pass}};
  EXPECT_EQ(judge(above, exact).result, Outcome::pass);
  // RFC 9989 §5.3.2: a look-up that failed may have hidden an aligned pass.
  dns::FakeDns fine;
  fine.txt("_dmarc.example.com", "v=DMARC1; p=reject");
  auto hidden = query;
  hidden.spf = {};
  hidden.dkim = {{"example.com", Proof::temporary}};
  EXPECT_EQ(judge(fine, hidden).result, Outcome::temperror);
  EXPECT_EQ(judge(fine, hidden).disposition, Policy::none);
  hidden.dkim = {{"elsewhere.example", Proof::temporary}};
  EXPECT_EQ(judge(fine, hidden).result, Outcome::fail);
}

Author author_of(const std::string& header) { return read_author(*parse_header(bytes_of(header))); }

TEST(Dmarc, OnlyOneReadableFromFieldIsJudged) {  // THREATS: two From fields, odd group syntax
  struct From {
    const char* header;
    std::size_t fields;
    bool readable;
    std::vector<std::string> domains;
  };
  const From cases[] = {
      {"From: a@Example.COM\r\n\r\n", 1, true, {"example.com"}},
      {"From: A (x@evil.example) <a@example.com>\r\n\r\n", 1, true, {"example.com"}},
      {"From: \"x@evil.example\" <a@example.com>\r\n\r\n", 1, true, {"example.com"}},
      {"From: \"x@evil.example\"@example.com\r\n\r\n", 1, true, {"example.com"}},
      {"From: =?utf-8?q?x=40evil.example?= <a@example.com>\r\n\r\n", 1, true, {"example.com"}},
      {"From: =?utf-8?q?a=40evil.example=3E?=@example.com\r\n\r\n", 1, true, {"example.com"}},
      {"From: G: a@example.com;\r\n\r\n", 1, true, {"example.com"}},
      {"From: G: a@example.com, b@other.example;\r\n\r\n", 1, true, {"example.com", "other.example"}},
      {"From: a@example.com, b@EXAMPLE.com\r\n\r\n", 1, true, {"example.com"}},
      {"From: a@b\xc3\xbc" "cher.example\r\n\r\n", 1, true, {"xn--bcher-kva.example"}},
      {"From:\r\n a@example.com\r\n\r\n", 1, true, {"example.com"}},
      {"From: a@example.com\r\nfrom: b@evil.example\r\n\r\n", 2, false, {"example.com", "evil.example"}},
      {"Subject: x\r\n\r\n", 0, false, {}},
      {"From:\r\n\r\n", 1, false, {}},
      {"From: Undisclosed:;\r\n\r\n", 1, false, {}},
      {"From: a@example.com, nonsense\r\n\r\n", 1, false, {"example.com"}},
      {"From: a@example.com <b@\r\n\r\n", 1, false, {}},
  };
  for (const auto& c : cases) {
    const auto author = author_of(c.header);
    EXPECT_EQ(author.from_fields, c.fields) << c.header;
    EXPECT_EQ(author.readable, c.readable) << c.header;
    EXPECT_EQ(author.domains, c.domains) << c.header;
    if (c.readable) continue;
    Query query;
    query.author = author;
    query.dkim = {{"example.com", Proof::pass}, {"evil.example", Proof::pass}};
    dns::FakeDns dns;
    dns.txt("_dmarc.example.com", "v=DMARC1; p=none").txt("_dmarc.evil.example", "v=DMARC1; p=none");
    const auto verdict = dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); });
    EXPECT_EQ(verdict.result, Outcome::permerror) << c.header;
    EXPECT_EQ(verdict.disposition, Policy::reject) << c.header;
  }
}

TEST(Dmarc, OfSeveralFromDomainsTheStrictestFailureDecides) {  // RFC 9989 §11.5
  dns::FakeDns dns;
  dns.txt("_dmarc.good.example", "v=DMARC1; p=none").txt("_dmarc.bank.example", "v=DMARC1; p=reject");
  Query query;
  query.author = {1, true, {"good.example", "bank.example"}};
  query.dkim = {{"good.example", Proof::pass}};
  const auto judge = [&] { return dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); }); };
  EXPECT_EQ(judge().result, Outcome::fail);
  EXPECT_EQ(judge().disposition, Policy::reject);
  EXPECT_EQ(judge().domain, "bank.example");
  query.dkim.push_back({"bank.example", Proof::pass});
  EXPECT_EQ(judge().result, Outcome::pass);
  query.author.domains.assign(limits::kDmarcAuthorDomains, "x");
  for (std::size_t i = 0; i < query.author.domains.size(); ++i) query.author.domains[i] = "d" + std::to_string(i) + ".example";
  EXPECT_EQ(judge().result, Outcome::none);
  query.author.domains.push_back("one.more.example");
  EXPECT_EQ(judge().result, Outcome::permerror);
}

TEST(Dmarc, OverridesAreMilderAndNamed) {
  dns::FakeDns dns;
  dns.txt("_dmarc.example.com", "v=DMARC1; p=reject");
  auto query = query_for({"", "example.com", {}, "", {}, Outcome::none}, Standard::rfc9989);
  const auto judge = [&] { return dns.judge([&](const dns::Facts& facts) { return evaluate(query, facts); }); };
  query.overrides.mailing_list = "dev.lists.example";
  EXPECT_EQ(judge().disposition, Policy::quarantine);
  EXPECT_EQ(judge().overrides.at(0).type, "mailing_list");
  query.overrides.trusted_sealer = "lists.example";
  EXPECT_EQ(judge().disposition, Policy::none);
  EXPECT_EQ(judge().result, Outcome::fail);
  EXPECT_EQ(judge().overrides.at(0).type, "trusted_forwarder");
  query.overrides = {};
  query.overrides.allowed_by = "192.0.2.0/24";
  EXPECT_EQ(judge().overrides.at(0).type, "local_policy");
}

TEST(DmarcRecord, KeepsWhatItCanRead) {
  const auto good = parse_record("v = DMARC1 ; P = Reject;adkim=s;bogus;=x;x=1; fo=1:d:s; rua=mailto:a@example.com!10m, http://x/,junk; ruf=mailto:b@example.com ;");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->p, Policy::reject);
  EXPECT_EQ(good->adkim, Alignment::strict);
  EXPECT_EQ(good->failure_options, "1:d:s");
  ASSERT_EQ(good->rua.size(), 2U);
  EXPECT_EQ(good->rua[0].text, "mailto:a@example.com");
  EXPECT_EQ(good->rua[0].max_bytes, 10U << 20);
  EXPECT_EQ(parse_record("v=DMARC1; p=none; p=reject")->p, Policy::none);
  EXPECT_TRUE(parse_record("v=DMARC1"));
  for (const char* bad : {"", "v=dmarc1; p=none", "p=none; v=DMARC1", " v=DMARC1; p=none", "v=DMARC1 p=none", "v=DMARC10", "v=DMARC", "x", ";v=DMARC1", "\nv=DMARC1; p=none", "v\n=DMARC1; p=none", "v=\nDMARC1"}) EXPECT_FALSE(parse_record(bad)) << bad;
  std::string many = "v=DMARC1", uris = "v=DMARC1; rua=";
  for (std::size_t i = 0; i < limits::kDmarcTags; ++i) many += ";x" + std::to_string(i) + "=1";
  EXPECT_FALSE(parse_record(many + ";p=reject")->p);
  for (std::size_t i = 0; i <= limits::kDmarcUris; ++i) uris += "mailto:a@b,";
  EXPECT_EQ(parse_record(uris)->rua.size(), limits::kDmarcUris);
}

TEST(SuffixList, GivesTheRegistrableDomainsOfTheVectors) {  // tests/vectors/psl
  std::ifstream file(POSTERN_SOURCE_DIR "/tests/vectors/psl/cases.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GT(cases.size(), 30U);
  std::size_t apart = 0;
  for (const auto& one : cases) {
    const std::string domain = one["domain"];
    // "local" stands in comments of the source's tests: it is in no rule, so the rule "*" holds for it.
    if (domain.ends_with(".local")) {
      ++apart;
      continue;
    }
    const std::string expected = one["registrable"].is_null() ? "" : one["registrable"].get<std::string>();
    EXPECT_EQ(suffixes().registrable(domain).value_or(""), expected) << domain;
  }
  EXPECT_EQ(apart, 2U);
  EXPECT_FALSE(orgdomain::SuffixList::load("/dev/null"));
}

}  // namespace
}  // namespace postern::mail::dmarc
