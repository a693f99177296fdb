// Protection: chosen from facts (a table), and had or not had from a server on loopback.
#include <gmock/gmock.h>

#include "deliver/remote/courier_test.h"
#include "io/test_authority.h"
#include "mail/policy/dane.h"

namespace postern::remote::test {
namespace {

using mail::dns::Mx;
using mail::mta_sts::Mode;
using mail::dns::Security;
using mail::dns::Status;
using mail::dns::Tlsa;
using mail::dns::Type;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kHost = "mx.to.test";

struct Choice {
  const char* says;
  mail::dns::Answer tlsa;
  bool mx_secure = true, address_secure = true;
  DnssecTrust dnssec = DnssecTrust::on;
  TlsRule rule = TlsRule::opportunistic;
  bool require_tls = false, tls_optional = false;
  std::string exception = {};
  Mode sts = Mode::none;
  bool listed = true;
  std::string expected;  // level, or the refusal's code
};

Tlsa usable_record() { return {3, 1, 1, Bytes(32, std::byte{1})}; }
Tlsa unusable_record() { return {1, 1, 1, Bytes(32, std::byte{1})}; }  // PKIX-EE means nothing here: RFC 7672 §3.1.3

TEST(TlsChoice, ByTlsaStateAndRule) {
  const auto found = answer({usable_record()}, Security::secure), unusable = answer({unusable_record()}, Security::secure);
  const auto unproved = answer({usable_record()}, Security::insecure), absent = answer({}, Security::secure);
  const auto bogus = failed_answer(Security::bogus), silent = failed_answer();
  const Choice kChoices[] = {
      {.says = "records", .tlsa = found, .expected = "dane"},
      {.says = "records that cannot be used promise TLS", .tlsa = unusable, .expected = "required"},
      {.says = "unproved records count nothing", .tlsa = unproved, .expected = "opportunistic"},
      {.says = "proved absence", .tlsa = absent, .expected = "opportunistic"},
      {.says = "bogus is no absence", .tlsa = bogus, .expected = "451 4.7.5"},
      {.says = "silence is no absence", .tlsa = silent, .expected = "451 4.7.5"},
      {.says = "an insecure MX: records are not looked at", .tlsa = bogus, .mx_secure = false, .expected = "opportunistic"},
      {.says = "an insecure address likewise", .tlsa = bogus, .address_secure = false, .expected = "opportunistic"},
      {.says = "a resolver that failed its probe proves nothing", .tlsa = found, .dnssec = DnssecTrust::off, .expected = "opportunistic"},
      {.says = "one that was not probed yet: the mail waits", .tlsa = found, .dnssec = DnssecTrust::not_known, .expected = "451 4.4.3"},
      {.says = "required", .tlsa = absent, .rule = TlsRule::required, .expected = "required"},
      {.says = "verified", .tlsa = absent, .rule = TlsRule::verified, .expected = "verified"},
      {.says = "verified, with records", .tlsa = found, .rule = TlsRule::verified, .expected = "dane"},
      {.says = "verified, unusable records", .tlsa = unusable, .rule = TlsRule::verified, .expected = "verified"},
      {.says = "dane-only without records", .tlsa = absent, .rule = TlsRule::dane_only, .expected = "451 4.7.5"},
      {.says = "dane-only with unusable records", .tlsa = unusable, .rule = TlsRule::dane_only, .expected = "451 4.7.5"},
      {.says = "dane-only with records", .tlsa = found, .rule = TlsRule::dane_only, .expected = "dane"},
      {.says = "REQUIRETLS", .tlsa = absent, .require_tls = true, .expected = "verified+requiretls"},
      {.says = "REQUIRETLS and records", .tlsa = found, .require_tls = true, .expected = "dane+requiretls"},
      {.says = "REQUIRETLS, servers not proved", .tlsa = absent, .mx_secure = false, .require_tls = true, .expected = "550 5.7.10"},
      {.says = "TLS-Required: No", .tlsa = found, .tls_optional = true, .expected = "opportunistic"},
      {.says = "TLS-Required: No: what the destination publishes, not what our administrator wants", .tlsa = found, .rule = TlsRule::verified, .tls_optional = true, .expected = "verified"},
      {.says = "TLS-Required: No, and dane-only", .tlsa = found, .rule = TlsRule::dane_only, .tls_optional = true, .expected = "dane"},
      {.says = "an exception", .tlsa = found, .exception = "until 2027-01-31: late", .expected = "opportunistic"},
      {.says = "an exception with a level", .tlsa = found, .rule = TlsRule::required, .exception = "until 2027-01-31: late", .expected = "required"},
      {.says = "an exception does not touch REQUIRETLS", .tlsa = found, .require_tls = true, .exception = "until 2027-01-31: late", .expected = "dane+requiretls"},
      {.says = "enforce", .tlsa = absent, .sts = Mode::enforce, .expected = "verified"},
      {.says = "enforce needs no DNSSEC", .tlsa = absent, .mx_secure = false, .sts = Mode::enforce, .expected = "verified"},
      {.says = "enforce, the host is not listed", .tlsa = absent, .sts = Mode::enforce, .listed = false, .expected = "451 4.7.5"},
      {.says = "testing", .tlsa = absent, .sts = Mode::testing, .expected = "opportunistic+rehearse"},
      {.says = "testing, not listed", .tlsa = absent, .sts = Mode::testing, .listed = false, .expected = "opportunistic+rehearse"},
      {.says = "testing does not lower what is wanted here", .tlsa = absent, .rule = TlsRule::verified, .sts = Mode::testing, .expected = "verified"},
      {.says = "where there is DANE, MTA-STS is not asked", .tlsa = found, .sts = Mode::enforce, .listed = false, .expected = "dane"},
      {.says = "enforce does not help a host whose records cannot be learnt", .tlsa = bogus, .sts = Mode::enforce, .expected = "451 4.7.5"},
      {.says = "records that cannot be used leave it to MTA-STS", .tlsa = unusable, .sts = Mode::enforce, .expected = "verified"},
      {.says = "nor do they let testing lower their level", .tlsa = unusable, .sts = Mode::testing, .expected = "required+rehearse"},
      {.says = "TLS-Required: No goes before MTA-STS", .tlsa = absent, .tls_optional = true, .sts = Mode::enforce, .listed = false, .expected = "opportunistic"},
      {.says = "REQUIRETLS, servers named by MTA-STS", .tlsa = absent, .mx_secure = false, .require_tls = true, .sts = Mode::enforce, .expected = "verified+requiretls"},
      {.says = "REQUIRETLS, testing names nobody", .tlsa = absent, .mx_secure = false, .require_tls = true, .sts = Mode::testing, .expected = "550 5.7.10"},
      {.says = "dane-only is not content with MTA-STS", .tlsa = absent, .rule = TlsRule::dane_only, .sts = Mode::enforce, .expected = "451 4.7.5"},
      {.says = "REQUIRETLS is the stronger word", .tlsa = absent, .require_tls = true, .tls_optional = true, .expected = "verified+requiretls"},
  };
  for (const Choice& choice : kChoices) {
    Host host;
    host.name = kHost;
    host.listed_securely = choice.mx_secure;
    const TlsDemand demand{choice.rule, choice.exception};
    TlsQuery query{demand, choice.dnssec, choice.require_tls, choice.tls_optional, "to.test", host, true, nullptr};
    const StsWord word{choice.sts, choice.listed};
    const auto proof = choice.address_secure ? Security::secure : Security::insecure;
    mail::dns::Facts facts;
    facts.add({kHost, Type::a}, answer({ip("127.0.0.1")}, proof));
    facts.add({kHost, Type::aaaa}, answer({}, proof));
    auto chosen = choose_tls(query, facts);
    if (const auto* questions = std::get_if<mail::dns::Questions>(&chosen)) {
      EXPECT_THAT(*questions, ElementsAre(mail::dns::Question{"_25._tcp.mx.to.test", Type::tlsa}));
      facts.add(questions->front(), choice.tlsa);
      chosen = choose_tls(query, facts);
    } else {
      EXPECT_TRUE(!choice.mx_secure || !choice.address_secure || choice.dnssec != DnssecTrust::on || choice.tls_optional || !choice.exception.empty()) << choice.says;
    }
    if (std::holds_alternative<NeedsSts>(chosen)) {
      query.sts = &word;
      chosen = choose_tls(query, facts);
    } else {
      EXPECT_TRUE(choice.sts == Mode::none || choice.tls_optional || choice.expected == "dane" || choice.expected == "451 4.7.5") << choice.says;
    }
    std::string shown;
    if (const auto* plan = std::get_if<TlsPlan>(&chosen))
      shown = std::string(name_of(plan->level)) + (plan->rehearse ? "+rehearse" : "") + (plan->require_tls ? "+requiretls" : "");
    if (const auto* refused = std::get_if<HostRefused>(&chosen)) shown = std::to_string(refused->reply.code) + " " + refused->reply.enhanced;
    EXPECT_EQ(shown, choice.expected) << choice.says;
  }
}

TEST(TlsChoice, ACnamesEndIsAskedFirst) {  // RFC 7672 §2.2.2; more in mail/policy/dane_test.cc
  Host host;
  host.name = kHost;
  host.listed_securely = true;
  const TlsDemand demand;
  const TlsQuery query{demand, DnssecTrust::on, false, false, "to.test", host, false, nullptr};
  mail::dns::Facts facts;
  for (const Type type : {Type::a, Type::aaaa}) {
    auto alias = answer(type == Type::a ? std::vector<mail::dns::Record>{ip("127.0.0.1")} : std::vector<mail::dns::Record>{}, Security::secure);
    alias.canonical_name = "real.host.test";
    facts.add({kHost, type}, alias);
  }
  EXPECT_EQ(std::get<mail::dns::Questions>(choose_tls(query, facts)).front().name, "_25._tcp.real.host.test");
  facts.add({"_25._tcp.real.host.test", Type::tlsa}, answer({}));
  EXPECT_EQ(std::get<mail::dns::Questions>(choose_tls(query, facts)).front().name, "_25._tcp.mx.to.test");
  facts.add({"_25._tcp.mx.to.test", Type::tlsa}, answer({usable_record()}, Security::secure));
  EXPECT_EQ(std::get<TlsPlan>(choose_tls(query, facts)).server_name, kHost);
}

class Tls : public Deliveries {
 protected:
  Tls() {
    const WallTime now = loop.now();
    root = std::make_unique<io::test::Authority>(io::test::Authority::root("Root", now - std::chrono::days{2}, std::chrono::days{30}));
    const auto issued = root->issue_with_key(kHost, now - std::chrono::days{1}, std::chrono::days{20});
    chain_pem = issued.pem;
    server.manners.tls = *io::TlsServerContext::create({{issued.pem, std::string(issued.key->to_pem().view()), ""}});
    server.manners.offers = {"PIPELINING", "8BITMIME", "STARTTLS"};
    courier.rules().routes.clear();
    resolver.table[{"to.test", Type::mx}] = answer({Mx{10, kHost}}, Security::secure);
    resolver.table[{kHost, Type::a}] = answer({ip("127.0.0.1")}, Security::secure);
    store = std::make_unique<io::TrustStore>(*io::TrustStore::load(root->pem()));
    settings.authorities = store.get();
    courier.set_dnssec(DnssecTrust::on);
  }
  void publish(std::vector<mail::dns::Record> records) { resolver.table[{mail::dane::tlsa_name(kHost, server.at.port), Type::tlsa}] = answer(std::move(records), Security::secure); }
  Tlsa matching() const { return {3, 1, 1, *crypto::from_hex(io::Chain::parse(chain_pem)->describe(0).sha256_spki)}; }

  std::unique_ptr<io::test::Authority> root;
  std::unique_ptr<io::TrustStore> store;
  std::string chain_pem;
};

TEST_F(Tls, IsUsedWhereOffered) {
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr("TLSv1.3 "));
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr(" opportunistic"));
  EXPECT_EQ(server.count("EHLO"), 2U) << "what was said in clear is forgotten";
  deliver();
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(Tls, BytesBehindTheStarttlsReplyAreAnAttack) {  // CVE-2021-38371
  for (const char* reply : {"220 go\r\n250 injected\r\n", "220 go\r\n250", "220 go\r\n\r\n"}) {
    TestServer evil(loop, "127.0.0.7", server.at.port);
    evil.manners.offers = {"STARTTLS"};
    evil.manners.answers["STARTTLS"] = reply;
    resolver.table[{kHost, Type::a}] = answer({ip("127.0.0.7"), ip("127.0.0.1")}, Security::secure);
    const auto result = deliver();
    EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.0") << reply;
    EXPECT_THAT(result.tls_observations, ElementsAre("to.test no-policy-found validation-failure mx.to.test 127.0.0.7 127.0.0.1"));
    EXPECT_FALSE(result.host_dead);
    EXPECT_EQ(evil.count("MAIL"), 0U);
  }
  EXPECT_EQ(server.commands.size(), 0U) << "the message waits; no other address is tried";
}

TEST_F(Tls, AFailedHandshakeMeansClearTextOnlyWhereThatMayBe) {
  server.manners.tls.reset();  // says 220, then speaks no TLS
  server.manners.answers["STARTTLS"] = "220 go\r\n";
  hurry();
  auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_EQ(result.outcomes[0].tls, "");
  pool.close_idle();
  courier.rules().tls.fallback = TlsRule::required;
  result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]).substr(0, 3), "451");
  EXPECT_EQ(server.messages.size(), 1U);
}

TEST_F(Tls, ARefusedStarttlsLikewise) {
  server.manners.tls.reset();
  server.manners.answers["STARTTLS"] = "454 4.7.0 not now\r\n";
  EXPECT_EQ(shown(deliver().outcomes[0]), "250 2.0.0");
  pool.close_idle();
  courier.rules().tls.fallback = TlsRule::required;
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.4");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test no-policy-found starttls-not-supported mx.to.test 127.0.0.1 127.0.0.1"));
}

TEST_F(Tls, RequiredAndNotOfferedSendsNothing) {
  server.manners.offers = {"PIPELINING"};
  courier.rules().tls.fallback = TlsRule::required;
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.4");
  EXPECT_EQ(server.count("MAIL"), 0U);
}

TEST_F(Tls, AMatchingRecordIsDane) {
  publish({matching()});
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr(" dane"));
}

TEST_F(Tls, WhereDaneFailsNothingIsSentNotEvenInClear) {
  publish({Tlsa{3, 1, 1, Bytes(32, std::byte{9})}});
  const auto wrong = deliver();
  EXPECT_EQ(shown(wrong.outcomes[0]), "451 4.7.5");
  EXPECT_THAT(wrong.tls_observations, ElementsAre("to.test tlsa validation-failure mx.to.test 127.0.0.1 127.0.0.1"));
  resolver.table[{mail::dane::tlsa_name(kHost, server.at.port), Type::tlsa}] = failed_answer(Security::bogus);
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.5");
  publish({matching()});
  server.manners.offers = {"PIPELINING"};  // somebody strips STARTTLS
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.4");
  server.manners.offers = {"PIPELINING", "STARTTLS"};
  server.manners.answers["STARTTLS"] = "454 4.7.0 not now\r\n";
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.4");
  EXPECT_EQ(server.count("MAIL"), 0U);
}

TEST_F(Tls, AHostWhoseRecordsCannotBeLearntIsPassedOver) {
  resolver.table[{"to.test", Type::mx}] = answer({Mx{5, "lost.to.test"}, Mx{10, kHost}}, Security::secure);
  resolver.table[{"lost.to.test", Type::a}] = answer({ip("127.0.0.1")}, Security::secure);
  resolver.table[{mail::dane::tlsa_name("lost.to.test", server.at.port), Type::tlsa}] = failed_answer();
  publish({matching()});
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].server, HasSubstr(kHost));
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(Tls, UnusableRecordsAskForTlsAndNoName) {
  publish({unusable_record()});
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr(" required"));
  server.manners.offers = {};
  pool.close_idle();
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.4");
}

TEST_F(Tls, VerifiedNeedsAnAuthorityAndTheName) {
  courier.rules().tls.fallback = TlsRule::verified;
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr(" verified"));
  pool.close_idle();
  resolver.table[{"to.test", Type::mx}] = answer({Mx{10, "other.test"}});
  resolver.table[{"other.test", Type::a}] = answer({ip("127.0.0.1")});
  const auto named = deliver();
  EXPECT_EQ(shown(named.outcomes[0]), "451 4.7.5");
  EXPECT_THAT(named.tls_observations, ElementsAre("to.test no-policy-found certificate-host-mismatch other.test 127.0.0.1 127.0.0.1"));
  settings.authorities = nullptr;
  EXPECT_THAT(deliver().tls_observations, ElementsAre("to.test no-policy-found certificate-not-trusted other.test 127.0.0.1 127.0.0.1"));
}

TEST_F(Tls, WhatWasWantedAndHadIsTold) {
  publish({matching()});
  const auto had = deliver();
  ASSERT_EQ(had.uses.size(), 1U);
  const auto& use = had.uses[0];
  EXPECT_EQ(use.host, kHost);
  EXPECT_EQ(use.address, server.at.to_string());
  EXPECT_EQ(use.wanted, "dane");
  EXPECT_EQ(use.got, "dane");
  EXPECT_EQ(use.version, "TLSv1.3");
  EXPECT_THAT(use.cipher, HasSubstr("TLS_AES"));
  EXPECT_EQ(use.key_exchange, "ECDHE");
  EXPECT_TRUE(use.forward_secrecy);
  EXPECT_EQ(use.certificate_key, "ECDSA P-256");
  EXPECT_EQ(use.dane, "match 3 1 1");
  EXPECT_EQ(use.obstacle.code, 0);
  pool.close_idle();
  publish({Tlsa{3, 1, 1, Bytes(32, std::byte{9})}});
  const auto refused = deliver();
  ASSERT_EQ(refused.uses.size(), 1U);
  EXPECT_EQ(refused.uses[0].wanted, "dane");
  EXPECT_EQ(refused.uses[0].got, "");
  EXPECT_EQ(refused.uses[0].dane, "no match");
  EXPECT_EQ(refused.uses[0].obstacle.enhanced, "4.7.5");
  server.manners.offers = {};
  resolver.table[{"to.test", Type::mx}] = answer({Mx{10, kHost}});
  const auto clear = deliver();
  ASSERT_EQ(clear.uses.size(), 1U);
  EXPECT_EQ(clear.uses[0].wanted, "opportunistic");
  EXPECT_EQ(clear.uses[0].got, "clear");
  EXPECT_EQ(clear.uses[0].version, "");
  EXPECT_EQ(clear.uses[0].dane, "not asked: DNSSEC does not prove the MX");
}

TEST_F(Tls, EachServerThatWasPassedOverIsTold) {
  resolver.table[{"to.test", Type::mx}] = answer({Mx{5, "lost.to.test"}, Mx{10, kHost}}, Security::secure);
  resolver.table[{"lost.to.test", Type::a}] = answer({ip("127.0.0.1")}, Security::secure);
  resolver.table[{mail::dane::tlsa_name("lost.to.test", server.at.port), Type::tlsa}] = failed_answer();
  const auto result = deliver();
  ASSERT_EQ(result.uses.size(), 2U);
  EXPECT_EQ(result.uses[0].host, "lost.to.test");
  EXPECT_EQ(result.uses[0].address, "");
  EXPECT_EQ(result.uses[0].obstacle.enhanced, "4.7.5");
  EXPECT_EQ(result.uses[1].host, kHost);
  EXPECT_EQ(result.uses[1].got, "opportunistic");
}

TEST_F(Tls, RequireTlsThatCannotBeKeptComesBack) {  // RFC 8689 §4.2.1
  auto r = request();
  r.require_tls = true;
  server.manners.offers = {"PIPELINING"};
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "550 5.7.10") << "no STARTTLS";
  server.manners.offers = {"STARTTLS", "REQUIRETLS"};
  settings.authorities = nullptr;
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "550 5.7.10") << "nobody vouches for the certificate";
  publish({matching()});
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "250 2.0.0") << "a TLSA record does";
  publish({Tlsa{3, 1, 1, Bytes(32, std::byte{9})}});
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "550 5.7.10");
  resolver.table[{mail::dane::tlsa_name(kHost, server.at.port), Type::tlsa}] = failed_answer(Security::bogus);
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "451 4.7.5") << "what cannot be learnt now may be known later";
  EXPECT_EQ(server.count("MAIL"), 1U);
}

TEST_F(Tls, RequireTlsGoesOnlyWhereItIsPromisedOnwards) {  // RFC 8689 §4.2.1
  auto r = request();
  r.require_tls = true;
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "550 5.7.30");
  server.manners.offers.push_back("REQUIRETLS");
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "250 2.0.0");
  EXPECT_EQ(server.count("MAIL FROM:<s@from.test> REQUIRETLS"), 1U);
}

}  // namespace
}  // namespace postern::remote::test
