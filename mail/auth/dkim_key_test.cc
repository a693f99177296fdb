#include "mail/auth/dkim_key.h"

#include <gtest/gtest.h>

#include "mail/auth/dkim_base64.h"
#include "mail/auth/test_keys.h"

namespace postern::mail::dkim {
namespace {

std::string_view code_of(std::string_view record) {
  const auto key = parse_key_record(record);
  return key ? (key->key ? "ok" : "revoked") : key.error().code;
}

TEST(DkimKey, RecordIsJudgedAsRfc6376Section361Says) {
  static const std::string p = TestKey::rsa(1024).p();
  const struct {
    std::string record;
    std::string_view code;
  } cases[] = {
      {"p=" + p, "ok"},
      {"v=DKIM1; k=rsa; p=" + p + ";", "ok"},
      {"v=DKIM1; n=note=20here; g=*; unknown=x; p=" + p, "ok"},
      {"v=DKIM1; h=sha1:sha256; s=email; t=y; p=" + p, "ok"},
      {"v=DKIM1; s=*; p= " + p.substr(0, 40) + " \t" + p.substr(40), "ok"},
      {"v=DKIM1; s=tlsrpt : email; p=" + p, "ok"},
      {"v=DKIM1; p=", "revoked"},
      {"p= ;", "revoked"},
      {"v=DKIM1; h=sha1; p=" + p, "dkim_key.hash"},
      {"v=DKIM1; h=; p=" + p, "dkim_key.hash"},
      {"v=DKIM1; s=tlsrpt; p=" + p, "dkim_key.service"},  // RFC 8460 §3: a key for reports only
      {"v=DKIM1; k=dsa; p=" + p, "dkim_key.type"},
      {"v=DKIM1; k=ed25519; p=" + p, "dkim_key.bad_data"},
      {"v=DKIM1; k=rsa", "dkim_key.syntax"},
      {"v=DKIM1; k=rsa; omgwhatsgoingon", "dkim_key.syntax"},
      {"v=DKIM1; p=" + p + "; p=" + p, "dkim_key.syntax"},
      {"", "dkim_key.syntax"},
      {"v=spf1 -all", "dkim_key.not_dkim"},
      {"v=DKIM2; p=" + p, "dkim_key.not_dkim"},
      {"p=" + p + "; v=DKIM1", "dkim_key.not_dkim"},  // §3.6.1: v= comes first
      {"v=dkim1; p=" + p, "dkim_key.not_dkim"},
      {"v=DKIM1; p=!!!", "dkim_key.bad_data"},
      {"v=DKIM1; p=" + p.substr(0, p.size() - 8), "dkim_key.bad_data"},
      {"v=DKIM1; p=AAAA", "dkim_key.bad_data"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.record);
    EXPECT_EQ(code_of(c.record), c.code);
  }
}

TEST(DkimKey, FlagsAreRead) {
  const std::string p = TestKey::ed25519().p();
  const auto both = parse_key_record("v=DKIM1; k=ed25519; t=y:s; p=" + p);
  ASSERT_TRUE(both.has_value());
  EXPECT_TRUE(both->testing && both->strict_identity);
  EXPECT_EQ(both->key->type(), KeyType::ed25519);
  const auto none = parse_key_record("v=DKIM1; k=ed25519; t=x; p=" + p);
  ASSERT_TRUE(none.has_value());
  EXPECT_FALSE(none->testing || none->strict_identity);
}

TEST(DkimKey, RsaKeyMayBeBareOrWrapped) {  // RFC 6376 erratum 3017
  const TestKey key = TestKey::rsa(2048);
  const auto digest = crypto::sha256(bytes_of("text"));
  Bytes signature = key.sign(digest);
  for (const std::string& p : {key.p(), key.bare_p()}) {
    const auto record = parse_key_record("p=" + p);
    ASSERT_TRUE(record.has_value() && record->key.has_value());
    EXPECT_EQ(record->key->bits(), 2048U);
    EXPECT_TRUE(record->key->verify(digest, signature));
    EXPECT_FALSE(record->key->verify(crypto::sha256(bytes_of("tent")), signature));
  }
  signature.back() ^= std::byte{1};
  EXPECT_FALSE(parse_key_record("p=" + key.p())->key->verify(digest, signature));
  EXPECT_FALSE(parse_key_record("p=" + key.p())->key->verify(digest, {}));
}

TEST(DkimKey, Ed25519SignsTheDigest) {  // RFC 8463 §3
  const TestKey key = TestKey::ed25519();
  const auto digest = crypto::sha256(bytes_of("text"));
  const auto record = parse_key_record(key.record());
  ASSERT_TRUE(record.has_value());
  EXPECT_TRUE(record->key->verify(digest, key.sign(digest)));
  EXPECT_FALSE(record->key->verify(digest, key.sign(crypto::sha256(bytes_of("tent")))));
  EXPECT_FALSE(record->key->verify(digest, Bytes(63)));
}

TEST(DkimKey, MalformedDerIsRefused) {
  const Bytes good = *crypto::from_base64(TestKey::rsa(1024).p());
  ASSERT_TRUE(PublicKey::rsa(good).has_value());
  for (std::size_t cut = 0; cut < good.size(); ++cut)
    EXPECT_FALSE(PublicKey::rsa(ByteView(good).first(cut)).has_value()) << cut;
  Bytes longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(PublicKey::rsa(longer).has_value());
  const struct {
    const char* what;
    const char* hex;
  } cases[] = {{"empty sequence", "3000"},
               {"modulus only", "3003020103"},
               {"even modulus", "300602010402010 3"},
               {"exponent one", "3006020105020101"},
               {"even exponent", "3006020105020102"},
               {"negative modulus", "30060201ff020103"},
               {"zero modulus", "3006020100020103"},
               {"length of three octets", "3083000006020105020103"},
               {"length not minimal", "308106020105020103"},
               {"third number", "3009020105020103020101"},
               {"exponent of nine octets", "300e0201050209010000000000000001"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    std::string hex;
    for (const char* p = c.hex; *p != '\0'; ++p)
      if (*p != ' ') hex += *p;
    EXPECT_FALSE(PublicKey::rsa(*crypto::from_hex(hex)).has_value());
  }
  EXPECT_TRUE(PublicKey::rsa(*crypto::from_hex("3006020105020103")).has_value());  // tiny, but a key
}

TEST(DkimKey, Base64MayFoldAndLackPadding) {
  EXPECT_EQ(decode_base64("YW Jj\r\n\tZA"), to_bytes("abcd"));
  EXPECT_EQ(decode_base64("YWJjZA=="), to_bytes("abcd"));
  EXPECT_EQ(decode_base64(" "), std::nullopt);
  EXPECT_EQ(decode_base64("Y"), std::nullopt);
  EXPECT_EQ(decode_base64("YWJj-_=="), std::nullopt);
}

}  // namespace
}  // namespace postern::mail::dkim
