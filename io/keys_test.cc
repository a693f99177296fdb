#include "io/keys.h"

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "io/openssl_util.h"

namespace postern::io {
namespace {

EVP_PKEY* native(const PrivateKey& key) { return static_cast<EVP_PKEY*>(key.native()); }

/// Verifies as any other party would: with the public half, by libcrypto's high-level interface.
bool verifies(const PrivateKey& key, const Bytes& signature, ByteView message) {
  const Bytes spki = key.public_spki();
  const unsigned char* at = octets(spki.data());
  const KeyPtr pub(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  const CPtr<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  const bool ed = key.type() == KeyType::ed25519;
  const bool ok = EVP_DigestVerifyInit(context.get(), nullptr, ed ? nullptr : EVP_sha256(), nullptr, pub.get()) == 1 &&
                  EVP_DigestVerify(context.get(), octets(signature.data()), signature.size(), octets(message.data()), message.size()) == 1;
  ERR_clear_error();
  return ok;
}

TEST(Keys, EveryKindSignsWhatOthersVerify) {
  const ByteView message = bytes_of("v=1; a=...");
  const auto digest = crypto::sha256(message);
  for (const KeyType type : {KeyType::rsa, KeyType::ec_p256, KeyType::ec_p384, KeyType::ed25519}) {
    SCOPED_TRACE(static_cast<int>(type));
    const auto key = PrivateKey::generate(type);
    ASSERT_TRUE(key);
    EXPECT_EQ(key->type(), type);
    const auto signature = key->sign_sha256(digest);
    ASSERT_TRUE(signature) << signature.error().message;
    EXPECT_TRUE(verifies(*key, *signature, type == KeyType::ed25519 ? ByteView(digest) : message));
    Bytes wrong = *signature;
    wrong.back() ^= std::byte{1};
    EXPECT_FALSE(verifies(*key, wrong, type == KeyType::ed25519 ? ByteView(digest) : message));
  }
}

TEST(Keys, PemRoundTripKeepsTheId) {
  for (const KeyType type : {KeyType::rsa, KeyType::ec_p256, KeyType::ed25519}) {
    const auto key = *PrivateKey::generate(type);
    const Secret pem = key.to_pem();
    const auto again = PrivateKey::parse(pem.view());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->id(), key.id());
    EXPECT_EQ(again->public_spki(), key.public_spki());
  }
  EXPECT_NE(PrivateKey::generate(KeyType::ec_p256)->id(), PrivateKey::generate(KeyType::ec_p256)->id());
}

TEST(Keys, ParseRefusesWhatWeDoNotUse) {
  EXPECT_EQ(PrivateKey::parse("").error().code, "key.parse");
  EXPECT_EQ(PrivateKey::parse("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").error().code, "key.parse");
  EXPECT_EQ(PrivateKey::parse(std::string(20'000, 'A')).error().code, "key.parse");
  const CPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, nullptr));
  EVP_PKEY* small = nullptr;
  ASSERT_EQ(EVP_PKEY_keygen_init(context.get()), 1);
  ASSERT_EQ(EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), 768), 1);
  ASSERT_EQ(EVP_PKEY_keygen(context.get(), &small), 1);
  const KeyPtr owned(small);
  const BioPtr out(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PrivateKey(out.get(), small, nullptr, nullptr, 0, nullptr, nullptr), 1);
  EXPECT_EQ(PrivateKey::parse(text_in(out.get())).error().code, "key.kind");
}

Bytes pss_block(std::size_t size) {
  Bytes block(size, std::byte{0x5a});
  block.front() = std::byte{0x12};
  block.back() = std::byte{0xbc};
  return block;
}
Bytes sha256_info(std::size_t digest_bytes) {
  const unsigned char prefix[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                  0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
  Bytes info = to_bytes({reinterpret_cast<const char*>(prefix), sizeof prefix});
  info.resize(info.size() + digest_bytes, std::byte{7});
  return info;
}

TEST(KeyShapes, OnlyWhatSignaturesAreMadeOf) {
  Bytes high_bit = pss_block(256), no_trailer = pss_block(256), padded = pss_block(256);
  high_bit.front() = std::byte{0x80};
  no_trailer.back() = std::byte{0xbd};
  Bytes other_prefix = sha256_info(32);
  other_prefix[10] = std::byte{0};
  const struct {
    KeyOperation operation;
    Bytes data;
    bool right;
  } table[] = {
      {KeyOperation::rsa_raw, pss_block(256), true},      {KeyOperation::rsa_raw, pss_block(255), false},
      {KeyOperation::rsa_raw, high_bit, false},           {KeyOperation::rsa_raw, no_trailer, false},
      {KeyOperation::rsa_raw, {}, false},                 {KeyOperation::rsa_pkcs1, sha256_info(32), true},
      {KeyOperation::rsa_pkcs1, sha256_info(31), false},  {KeyOperation::rsa_pkcs1, sha256_info(33), false},
      {KeyOperation::rsa_pkcs1, other_prefix, false},     {KeyOperation::rsa_pkcs1, Bytes(32), false},
      {KeyOperation::ecdsa, Bytes(20), true},             {KeyOperation::ecdsa, Bytes(64), true},
      {KeyOperation::ecdsa, Bytes(19), false},            {KeyOperation::ecdsa, Bytes(65), false},
      {KeyOperation::ed25519, Bytes(32), true},           {KeyOperation::ed25519, Bytes(33), false},
  };
  for (const auto& row : table)
    EXPECT_EQ(has_right_shape(row.operation, row.data, 256), row.right)
        << static_cast<int>(row.operation) << ' ' << crypto::hex(row.data).substr(0, 60) << ' ' << row.data.size();
}

TEST(KeyShapes, WrongShapeAndWrongKindAreRefused) {
  const auto rsa = *PrivateKey::generate(KeyType::rsa);
  const auto ec = *PrivateKey::generate(KeyType::ec_p256);
  EXPECT_EQ(rsa.operate(KeyOperation::rsa_raw, Bytes(256)).error().code, "key.shape");
  EXPECT_TRUE(rsa.operate(KeyOperation::rsa_raw, pss_block(256)));
  EXPECT_EQ(rsa.operate(KeyOperation::ecdsa, Bytes(32)).error().code, "key.kind");
  EXPECT_EQ(ec.operate(KeyOperation::rsa_pkcs1, sha256_info(32)).error().code, "key.kind");
  EXPECT_EQ(ec.operate(KeyOperation::ed25519, Bytes(32)).error().code, "key.kind");
}

TEST(Keys, JwsSignatureIsTheTwoHalves) {
  const auto key = *PrivateKey::generate(KeyType::ec_p256);
  const auto der = *key.sign_sha256(crypto::sha256(bytes_of("jws")));
  const auto raw = ecdsa_der_to_raw(der);
  ASSERT_TRUE(raw);
  ASSERT_EQ(raw->size(), 64U);
  const CPtr<ECDSA_SIG, ECDSA_SIG_free> built(ECDSA_SIG_new());
  ASSERT_EQ(ECDSA_SIG_set0(built.get(), BN_bin2bn(octets(raw->data()), 32, nullptr), BN_bin2bn(octets(raw->data() + 32), 32, nullptr)), 1);
  EXPECT_EQ(to_bytes(der_of<const ECDSA_SIG*>(i2d_ECDSA_SIG, built.get())), der);
  Bytes longer = der;
  longer.push_back(std::byte{0});
  EXPECT_EQ(ecdsa_der_to_raw(longer).error().code, "key.signature");
  EXPECT_EQ(ecdsa_der_to_raw({}).error().code, "key.signature");
}

TEST(Keys, CertificateRequestCarriesItsNames) {
  const auto key = *PrivateKey::generate(KeyType::ec_p256);
  const auto der = key.certificate_request({"mx.example", "mta-sts.example"});
  ASSERT_TRUE(der);
  const unsigned char* at = octets(der->data());
  const CPtr<X509_REQ, X509_REQ_free> request(d2i_X509_REQ(nullptr, &at, static_cast<long>(der->size())));
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(X509_REQ_verify(request.get(), native(key)), 1);
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request.get());
  const CPtr<GENERAL_NAMES, GENERAL_NAMES_free> names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  ASSERT_NE(names, nullptr);
  EXPECT_EQ(sk_GENERAL_NAME_num(names.get()), 2);
  EXPECT_FALSE(key.certificate_request({}));
}

TEST(Keys, SelfSignedCertificateVerifiesAndANameCannotAddFields) {
  const auto key = *PrivateKey::generate(KeyType::rsa);
  const std::string odd = "a.example,email:evil@example";
  const auto pem = key.self_signed(odd, WallTime{std::chrono::seconds{1'700'000'000}}, std::chrono::days{1});
  ASSERT_TRUE(pem);
  const BioPtr bio = memory_of(*pem);
  const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
  EXPECT_EQ(X509_verify(certificate.get(), native(key)), 1);
  EXPECT_NE(X509_check_email(certificate.get(), "evil@example", 0, 0), 1);
  EXPECT_NE(X509_check_host(certificate.get(), "a.example", 0, 0, nullptr), 1);
}

}  // namespace
}  // namespace postern::io
