#include "io/x509.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/test_authority.h"

namespace postern::io {
namespace {

using std::chrono::days;

const WallTime kNow = WallTime{std::chrono::seconds{1'700'000'000}};

Chain chain_of(const std::string& pem) {
  auto chain = Chain::parse(pem);
  EXPECT_TRUE(chain) << (chain ? "" : chain.error().message);
  return *std::move(chain);
}

TEST(Chain, ParsesAndDescribes) {
  const auto key = *PrivateKey::generate(KeyType::ec_p256);
  const Chain chain = chain_of(*key.self_signed("mx.example", kNow, days{90}));
  ASSERT_EQ(chain.size(), 1U);
  const auto summary = chain.describe(0);
  EXPECT_EQ(summary.subject, "CN=mx.example");
  EXPECT_EQ(summary.issuer, "CN=mx.example");
  EXPECT_THAT(summary.names, ::testing::ElementsAre("mx.example"));
  EXPECT_EQ(summary.not_before, kNow);
  EXPECT_EQ(summary.not_after, kNow + days{90});
  EXPECT_EQ(summary.sha256_spki, crypto::hex(crypto::sha256(key.public_spki())));
}

TEST(Chain, RefusesWhatIsNotAChain) {
  const std::string one = *PrivateKey::generate(KeyType::ec_p256)->self_signed("mx.example", kNow, days{1});
  EXPECT_EQ(Chain::parse("").error().code, "x509.parse");
  EXPECT_EQ(Chain::parse("no certificate here").error().code, "x509.parse");
  EXPECT_EQ(Chain::parse("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").error().code, "x509.parse");
  EXPECT_EQ(Chain::parse(one.substr(0, one.size() / 2)).error().code, "x509.parse");
  std::string many;
  for (std::size_t i = 0; i < Chain::kMaxCertificates; ++i) many += one;
  EXPECT_EQ(chain_of(many).size(), Chain::kMaxCertificates);
  EXPECT_EQ(Chain::parse(many + one).error().code, "x509.parse");
}

class WebPki : public ::testing::Test {
 protected:
  std::string verdict(const std::string& pem, std::string_view host, WallTime at = kNow) {
    const auto result = store.verify(chain_of(pem), host, at);
    return result ? "ok" : std::string(result.error().code);
  }
  test::Authority root = test::Authority::root("Root", kNow - days{10}, days{1000});
  test::Authority issuing = root.issue_authority("Issuing", kNow - days{10}, days{500});
  TrustStore store = *TrustStore::load(root.pem());
  std::string leaf(std::string name, days valid = days{90}) { return issuing.issue(name, kNow - days{1}, valid) + issuing.pem(); }
};

TEST_F(WebPki, ChainToAnAuthorityWithTheRightNameIsTrusted) {
  EXPECT_EQ(verdict(leaf("mx.example"), "mx.example"), "ok");
  EXPECT_EQ(verdict(leaf("mx.example"), "MX.EXAMPLE"), "ok");
  EXPECT_EQ(verdict(leaf("*.example.org"), "mx.example.org"), "ok");
}

TEST_F(WebPki, NamesMustMatchWhole) {
  EXPECT_EQ(verdict(leaf("mx.example"), "mx2.example"), "x509.name");
  EXPECT_EQ(verdict(leaf("*.example.org"), "a.b.example.org"), "x509.name");
  EXPECT_EQ(verdict(leaf("*.example.org"), "example.org"), "x509.name");
  EXPECT_EQ(verdict(leaf("m*.example.org"), "mx.example.org"), "x509.name");
  EXPECT_EQ(verdict(leaf("*.example"), "mx.example"), "x509.name");  // a wildcard over a whole top-level domain
  EXPECT_EQ(verdict(leaf("mx.example"), ""), "x509.name");
  EXPECT_EQ(verdict(leaf("mx.example"), std::string_view("mx.example\0.evil", 15)), "x509.name");
}

TEST_F(WebPki, DatesCount) {
  EXPECT_EQ(verdict(leaf("mx.example", days{90}), "mx.example", kNow + days{88}), "ok");
  EXPECT_EQ(verdict(leaf("mx.example", days{90}), "mx.example", kNow + days{90}), "x509.expired");
  EXPECT_EQ(verdict(leaf("mx.example"), "mx.example", kNow - days{2}), "x509.expired");
}

TEST_F(WebPki, UnknownAuthoritiesAndMissingLinksAreUntrusted) {
  const auto other = test::Authority::root("Root", kNow - days{1}, days{9});
  EXPECT_EQ(verdict(other.issue("mx.example", kNow, days{9}) + other.pem(), "mx.example", kNow + days{1}), "x509.untrusted");
  EXPECT_EQ(verdict(issuing.issue("mx.example", kNow, days{9}), "mx.example", kNow + days{1}), "x509.untrusted");
  const auto self = *PrivateKey::generate(KeyType::ec_p256);
  EXPECT_EQ(verdict(*self.self_signed("mx.example", kNow, days{9}), "mx.example", kNow + days{1}), "x509.untrusted");
}

TEST_F(WebPki, LeafCannotIssue) {
  const auto evil = issuing.issue_with_key("evil.example", kNow - days{1}, days{9});
  const test::Authority fake(evil.key, evil.pem);
  EXPECT_EQ(verdict(fake.issue("mx.example", kNow - days{1}, days{9}) + evil.pem + issuing.pem(), "mx.example"), "x509.untrusted");
}

TEST(TrustStore, NeedsAnAuthority) {
  EXPECT_EQ(TrustStore::load("").error().code, "x509.store");
}

}  // namespace
}  // namespace postern::io
