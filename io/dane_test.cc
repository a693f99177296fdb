#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/crypto.h"
#include "io/keys.h"
#include "io/test_authority.h"
#include "io/x509.h"
#include "io/x509_chain.h"

namespace postern::io::dane {
namespace {

using mail::dns::Tlsa;
using std::chrono::days;

const WallTime kNow = WallTime{std::chrono::seconds{1'700'000'000}};

std::string_view words(Verdict verdict) {
  switch (verdict) {
    case Verdict::match: return "match";
    case Verdict::mismatch: return "mismatch";
    case Verdict::unusable: return "unusable";
  }
  return "?";
}

std::string file(const std::string& name) {
  std::ifstream in(std::string(POSTERN_SOURCE_DIR) + "/tests/vectors/dane-openssl/" + name);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// What OpenSSL expects, as an SMTP client sees it.
std::string expected(const nlohmann::json& c) {
  bool usage_2 = false, usage_3 = false;
  for (const auto& t : c["tlsa"]) {
    usage_2 |= t["usage"] == 2;
    usage_3 |= t["usage"] == 3;
  }
  if (!usage_2 && !usage_3) return "unusable";              // RFC 7672 §3.1.3: PKIX usages
  constexpr int kHostnameMismatch = 62;
  if (usage_3 && c["expect_x509_verify_result"] == kHostnameMismatch) return "match";  // RFC 7672 §3.1.1: names are ignored
  return c["ok"].get<bool>() ? "match" : "mismatch";
}

TEST(Dane, AgreesWithOpenssl) {
  const auto suite = nlohmann::json::parse(file("cases.json"));
  std::size_t count = 0;
  for (const auto& c : suite["cases"]) {
    SCOPED_TRACE(c["name"].get<std::string>() + " " + c["comment"].get<std::string>());
    std::string pem;
    for (const auto& certificate : c["chain"]) pem += certificate.get<std::string>() + "\n";
    std::vector<Tlsa> records;
    for (const auto& t : c["tlsa"]) {
      const auto data = crypto::from_hex(t["data"].get<std::string>());
      ASSERT_TRUE(data);
      records.push_back({t["usage"].get<std::uint8_t>(), t["selector"].get<std::uint8_t>(), t["mtype"].get<std::uint8_t>(), *data});
    }
    const auto chain = Chain::parse(pem);
    ASSERT_TRUE(chain);
    const auto judgement = judge(*chain, records, c["reference_names"].get<std::vector<std::string>>(), kNow);
    EXPECT_EQ(words(judgement.verdict), expected(c)) << judgement.reason;
    if (judgement.verdict == Verdict::match) {
      EXPECT_EQ(judgement.depth, c["expect_match_depth"].get<std::size_t>());
    }
    ++count;
  }
  EXPECT_EQ(count, 21U);
}

class DaneChain : public ::testing::Test {
 protected:
  enum class Of { leaf, issuing, root };
  X509Ptr x509(Of which) const {
    const std::string& pem = which == Of::leaf ? leaf.pem : which == Of::issuing ? issuing.pem() : root.pem();
    const BioPtr bio = memory_of(pem);
    return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
  }
  Tlsa tlsa(unsigned usage, unsigned selector, unsigned matching, Of which) const {
    const X509Ptr x = x509(which);
    const std::string der = selector == 0 ? der_of_certificate(x.get()) : der_of_spki(x.get());
    Tlsa record{static_cast<std::uint8_t>(usage), static_cast<std::uint8_t>(selector), static_cast<std::uint8_t>(matching), to_bytes(der)};
    if (matching == 1) {
      const auto digest = crypto::sha256(bytes_of(der));
      record.data.assign(digest.begin(), digest.end());
    } else if (matching == 2) {
      std::array<unsigned char, 64> digest;
      unsigned size = 0;
      EXPECT_EQ(EVP_Digest(der.data(), der.size(), digest.data(), &size, EVP_sha512(), nullptr), 1);
      record.data = to_bytes({reinterpret_cast<const char*>(digest.data()), size});
    }
    return record;
  }
  std::string verdict(const std::vector<Tlsa>& records, const std::string& pem, std::vector<std::string> names = {"mx.example"},
                      WallTime at = kNow) const {
    return std::string(words(judge(*Chain::parse(pem), records, names, at).verdict));
  }
  test::Authority root = test::Authority::root("Root", kNow - days{10}, days{1000});
  test::Authority issuing = root.issue_authority("Issuing", kNow - days{10}, days{500});
  test::Issued leaf = issuing.issue_with_key("mx.example", kNow - days{1}, days{90});
  std::string whole = leaf.pem + issuing.pem() + root.pem();
};

TEST_F(DaneChain, EverySelectorAndMatchingOfBothUsagesMatches) {
  for (unsigned selector = 0; selector <= 1; ++selector)
    for (unsigned matching = 0; matching <= 2; ++matching) {
      SCOPED_TRACE(std::to_string(selector) + std::to_string(matching));
      EXPECT_EQ(verdict({tlsa(3, selector, matching, Of::leaf)}, leaf.pem), "match");
      EXPECT_EQ(verdict({tlsa(2, selector, matching, Of::issuing)}, whole), "match");
      EXPECT_EQ(verdict({tlsa(2, selector, matching, Of::root)}, whole), "match");
      EXPECT_EQ(verdict({tlsa(3, selector, matching, Of::issuing)}, whole), "mismatch");
      EXPECT_EQ(verdict({tlsa(2, selector, matching, Of::leaf)}, leaf.pem), "mismatch");
    }
}

TEST_F(DaneChain, EndEntityIgnoresNamesAndDates) {  // RFC 7672 §3.1.1
  const auto record = tlsa(3, 1, 1, Of::leaf);
  EXPECT_EQ(verdict({record}, leaf.pem, {"other.example"}), "match");
  EXPECT_EQ(verdict({record}, leaf.pem, {"mx.example"}, kNow + days{3650}), "match");
  EXPECT_EQ(verdict({record}, leaf.pem, {}), "match");
}

TEST_F(DaneChain, TrustAnchorNeedsAReferenceName) {  // RFC 7672 §3.2.2
  const auto record = tlsa(2, 1, 1, Of::issuing);
  EXPECT_EQ(verdict({record}, whole, {"other.example"}), "mismatch");
  EXPECT_EQ(verdict({record}, whole, {"other.example", "mx.example"}), "match");
  EXPECT_EQ(verdict({record}, whole, {}), "mismatch");
  EXPECT_EQ(verdict({record}, whole, {""}), "mismatch");
}

TEST_F(DaneChain, TrustAnchorNeedsValidDates) {
  EXPECT_EQ(verdict({tlsa(2, 0, 1, Of::issuing)}, whole, {"mx.example"}, kNow + days{91}), "mismatch");
}

TEST_F(DaneChain, DigestOfAnAnchorNotInTheChainDoesNotMatch) {  // RFC 7672 §3.1.2: the server must send it
  EXPECT_EQ(verdict({tlsa(2, 0, 1, Of::root)}, leaf.pem + issuing.pem()), "mismatch");
}

TEST_F(DaneChain, WholeAnchorInTheRecordNeedNotBeInTheChain) {
  EXPECT_EQ(verdict({tlsa(2, 0, 0, Of::root)}, leaf.pem + issuing.pem()), "match");
  EXPECT_EQ(verdict({tlsa(2, 1, 0, Of::root)}, leaf.pem + issuing.pem()), "match");
  EXPECT_EQ(verdict({tlsa(2, 0, 0, Of::root)}, leaf.pem), "mismatch");  // a link is missing
}

TEST_F(DaneChain, ChainMustBeSignedByTheAnchorNotMerelyShowIt) {
  const auto other = test::Authority::root("Issuing", kNow - days{10}, days{500});
  EXPECT_EQ(verdict({tlsa(2, 0, 1, Of::issuing)}, other.issue("mx.example", kNow - days{1}, days{9}) + issuing.pem()), "mismatch");
}

TEST_F(DaneChain, StrongestDigestDecides) {  // RFC 7671 §9
  Tlsa wrong_512 = tlsa(3, 1, 2, Of::leaf);
  wrong_512.data[0] ^= std::byte{1};
  EXPECT_EQ(verdict({tlsa(3, 1, 1, Of::leaf), wrong_512}, leaf.pem), "mismatch");
  EXPECT_EQ(verdict({tlsa(3, 1, 0, Of::leaf), wrong_512}, leaf.pem), "match");
  EXPECT_EQ(verdict({tlsa(3, 0, 1, Of::leaf), wrong_512}, leaf.pem), "match");  // another selector
}

TEST_F(DaneChain, WholeDataThatDoesNotParseIsUnusable) {
  Tlsa cut = tlsa(3, 0, 0, Of::leaf);
  cut.data.pop_back();
  EXPECT_EQ(verdict({cut}, leaf.pem), "unusable");
  Tlsa longer = tlsa(3, 1, 0, Of::leaf);
  longer.data.push_back(std::byte{0});
  EXPECT_EQ(verdict({longer}, leaf.pem), "unusable");
  EXPECT_EQ(verdict({}, leaf.pem), "unusable");
  EXPECT_EQ(verdict({tlsa(1, 1, 1, Of::leaf), tlsa(0, 1, 1, Of::root)}, whole), "unusable");
  EXPECT_EQ(verdict({cut, tlsa(3, 1, 1, Of::leaf)}, leaf.pem), "match");
}

}  // namespace
}  // namespace postern::io::dane
