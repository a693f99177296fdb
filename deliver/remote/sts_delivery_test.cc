// MTA-STS and what is observed for reports, over real handshakes with a server on loopback.
#include <gmock/gmock.h>

#include "deliver/remote/courier_test.h"
#include "io/test_authority.h"
#include "mail/policy/dane.h"

namespace postern::remote::test {
namespace {

using mail::dns::Mx;
using mail::dns::Security;
using mail::dns::Text;
using mail::dns::Tlsa;
using mail::dns::Type;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kHost = "mx.to.test";

class StsDelivery : public Deliveries {
 protected:
  StsDelivery() {
    serve_certificate_for(kHost);
    courier.rules().routes.clear();
    resolver.table[{"to.test", Type::mx}] = answer({Mx{10, kHost}});
    resolver.table[{kHost, Type::a}] = answer({ip("127.0.0.1")});
    store = std::make_unique<io::TrustStore>(*io::TrustStore::load(root.pem()));
    settings.authorities = store.get();
  }
  void serve_certificate_for(const std::string& name, const io::test::Authority* by = nullptr) {
    const auto issued = (by == nullptr ? root : *by).issue_with_key(name, loop.now() - std::chrono::days{1}, std::chrono::days{20});
    chain_pem = issued.pem;
    server.manners.tls = *io::TlsServerContext::create({{issued.pem, std::string(issued.key->to_pem().view()), ""}});
    server.manners.offers = {"PIPELINING", "STARTTLS"};
  }
  void policy(const std::string& mode, const std::string& mx, const std::string& id = "a1") {
    resolver.table[{"_mta-sts.to.test", Type::txt}] = answer({Text{"v=STSv1; id=" + id + ";"}});
    policies.served["to.test"] = FakePolicies::text(mode, mx);
  }
  void protect_by_dane(const Tlsa& record) {
    courier.set_dnssec(DnssecTrust::on);
    resolver.table[{"to.test", Type::mx}] = answer({Mx{10, kHost}}, Security::secure);
    resolver.table[{kHost, Type::a}] = answer({ip("127.0.0.1")}, Security::secure);
    resolver.table[{mail::dane::tlsa_name(kHost, server.at.port), Type::tlsa}] = answer({record}, Security::secure);
  }

  io::test::Authority root = io::test::Authority::root("Root", loop.now() - std::chrono::days{2}, std::chrono::days{30});
  std::unique_ptr<io::TrustStore> store;
  std::string chain_pem;
};

TEST_F(StsDelivery, EnforceIsMetByAListedHostThatProvesItsName) {
  policy("enforce", "*.to.test");
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr(" verified sts=enforce/a1"));
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts success"));
  EXPECT_THAT(deliver().tls_observations, IsEmpty()) << "the same session";
}

TEST_F(StsDelivery, EnforceDoesNotSendToAHostThatIsNotListed) {
  policy("enforce", "other.to.test");
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.5");
  EXPECT_THAT(result.outcomes[0].reply.text, HasSubstr("does not name mx.to.test"));
  EXPECT_EQ(result.outcomes[0].tls, "none sts=enforce/a1");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts validation-failure mx.to.test"));
  EXPECT_FALSE(result.host_dead);
  EXPECT_EQ(server.connections(), 0U);
}

TEST_F(StsDelivery, EnforcePassesOverAHostAndTakesTheNext) {
  policy("enforce", kHost);
  resolver.table[{"to.test", Type::mx}] = answer({Mx{5, "evil.test"}, Mx{10, kHost}});
  resolver.table[{"evil.test", Type::a}] = answer({ip("127.0.0.1")});
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].server, HasSubstr(kHost));
  EXPECT_EQ(server.connections(), 1U);
}

TEST_F(StsDelivery, EnforceAndNoTlsOrAWrongCertificateMeansNotNow) {
  policy("enforce", kHost);
  server.manners.offers = {"PIPELINING"};
  auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.4");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts starttls-not-supported mx.to.test 127.0.0.1 127.0.0.1"));
  serve_certificate_for("other.test");
  result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.5");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts certificate-host-mismatch mx.to.test 127.0.0.1 127.0.0.1"));
  const auto stranger = io::test::Authority::root("Stranger", loop.now() - std::chrono::days{2}, std::chrono::days{30});
  serve_certificate_for(kHost, &stranger);
  result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.5");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts certificate-not-trusted mx.to.test 127.0.0.1 127.0.0.1"));
  EXPECT_EQ(server.messages.size(), 0U);
}

TEST_F(StsDelivery, TestingDeliversAndSaysWhatWouldHaveFailed) {
  policy("testing", kHost);
  auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, HasSubstr(" opportunistic sts=testing/a1"));
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts success"));
  pool.close_idle();
  serve_certificate_for("other.test");
  result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts certificate-host-mismatch mx.to.test 127.0.0.1 127.0.0.1"));
  pool.close_idle();
  server.manners.offers = {"PIPELINING"};
  result = deliver();
  EXPECT_EQ(result.outcomes[0].tls, "clear sts=testing/a1");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts starttls-not-supported mx.to.test 127.0.0.1 127.0.0.1"));
  pool.close_idle();
  serve_certificate_for(kHost);
  policy("testing", "other.test", "a2");
  result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts validation-failure mx.to.test 127.0.0.1 127.0.0.1"));
}

TEST_F(StsDelivery, NoneIsAsIfThereWereNoPolicy) {
  policy("none", "other.test");
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.outcomes[0].tls, ::testing::EndsWith(" opportunistic"));
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test no-policy-found success"));
}

TEST_F(StsDelivery, APolicyThatCannotBeHadIsReportedAndStopsNothing) {
  policy("enforce", "other.test");
  policies.served.clear();
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test sts sts-policy-fetch-error", "to.test no-policy-found success"));
}

TEST_F(StsDelivery, WhatWasKeptBlocksThoughRecordAndServerAreGone) {
  const WallTime now = loop.now();
  policies.disk["to.test"] = {"to.test", "a1", FakePolicies::text("enforce", "other.test"), now, now + std::chrono::hours{1}};
  EXPECT_EQ(shown(deliver().outcomes[0]), "451 4.7.5");
  policies.disk_fails = true;
  auto r = request();
  r.destination = "next.test";
  resolver.table[{"next.test", Type::mx}] = answer({Mx{10, kHost}});
  EXPECT_EQ(shown(deliver(r).outcomes[0]), "451 4.3.0") << "not known whether there is one";
  EXPECT_EQ(server.count("MAIL"), 0U);
}

TEST_F(StsDelivery, DaneDecidesWhereThereIsBoth) {  // RFC 8461 §2
  const Tlsa matching{3, 1, 1, *crypto::from_hex(io::Chain::parse(chain_pem)->describe(0).sha256_spki)};
  policy("enforce", "other.test");
  protect_by_dane(matching);
  auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0") << "the policy does not name the host, and is not asked";
  EXPECT_THAT(result.outcomes[0].tls, ::testing::EndsWith(" dane"));
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test tlsa success"));
  EXPECT_EQ(policies.fetches, 0U);
  pool.close_idle();
  policy("enforce", kHost);
  protect_by_dane({3, 1, 1, Bytes(32, std::byte{9})});
  result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "451 4.7.5") << "a policy that is met does not mend records that do not match";
  EXPECT_THAT(result.tls_observations, ElementsAre("to.test tlsa validation-failure mx.to.test 127.0.0.1 127.0.0.1"));
}

TEST_F(StsDelivery, TlsRequiredNoLooksAtNoPolicy) {  // RFC 8689 §5
  policy("enforce", "other.test");
  auto r = request();
  r.tls_optional = true;
  const auto result = deliver(r);
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.tls_observations, IsEmpty());
  EXPECT_EQ(policies.fetches, 0U);
}

TEST_F(StsDelivery, AStaticRouteIsNotTheDomainsOwnServer) {
  policy("enforce", "other.test");
  courier.rules().routes.push_back(*parse_route("to.test=127.0.0.1:" + std::to_string(server.at.port), 25));
  const auto result = deliver();
  EXPECT_EQ(shown(result.outcomes[0]), "250 2.0.0");
  EXPECT_THAT(result.tls_observations, IsEmpty());
  EXPECT_EQ(policies.fetches, 0U);
}

TEST_F(StsDelivery, ClearTextIsObservedWhereNothingIsPromised) {
  server.manners.offers = {"PIPELINING"};
  EXPECT_THAT(deliver().tls_observations, ElementsAre("to.test no-policy-found starttls-not-supported mx.to.test 127.0.0.1 127.0.0.1"));
}

}  // namespace
}  // namespace postern::remote::test
