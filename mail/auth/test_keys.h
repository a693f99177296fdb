/// Private keys for tests and benchmarks, made on the spot: they sign digests and say what their DNS record would be.
#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crypto.h"
#include "base/unique.h"

namespace postern::mail::dkim {

class TestKey {
 public:
  static TestKey rsa(unsigned bits) { return TestKey(EVP_RSA_gen(bits)); }
  static TestKey ed25519() { return TestKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")); }

  bool is_rsa() const { return EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_RSA; }

  /// The signature DKIM puts into b= (RFC 6376 §3.3, RFC 8463 §3).
  Bytes sign(const crypto::Sha256& digest) const {
    Bytes out(2048);
    std::size_t size = out.size();
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    const auto* from = reinterpret_cast<const unsigned char*>(digest.data());
    if (is_rsa()) {
      const CPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new(key_.get(), nullptr));
      POSTERN_CHECK(EVP_PKEY_sign_init(context.get()) == 1);
      POSTERN_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1);
      POSTERN_CHECK(EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1);
      POSTERN_CHECK(EVP_PKEY_sign(context.get(), to, &size, from, digest.size()) == 1);
    } else {
      const CPtr<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
      POSTERN_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
      POSTERN_CHECK(EVP_DigestSign(context.get(), to, &size, from, digest.size()) == 1);
    }
    out.resize(size);
    return out;
  }

  /// p= of its record.
  std::string p() const {
    if (!is_rsa()) {
      Bytes raw(32);
      std::size_t size = raw.size();
      POSTERN_CHECK(EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()), &size) == 1);
      return crypto::base64(raw);
    }
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    POSTERN_CHECK(size > 0);
    std::string out = crypto::base64({reinterpret_cast<std::byte*>(der), static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    return out;
  }
  /// The same for RSA as the bare RSAPublicKey that the words of RFC 6376 ask for.
  std::string bare_p() const {
    unsigned char* der = nullptr;
    const int size = i2d_PublicKey(key_.get(), &der);
    POSTERN_CHECK(size > 0);
    std::string out = crypto::base64({reinterpret_cast<std::byte*>(der), static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    return out;
  }
  std::string record() const { return std::string("v=DKIM1; k=") + (is_rsa() ? "rsa" : "ed25519") + "; p=" + p(); }

 private:
  explicit TestKey(EVP_PKEY* key) : key_(key) { POSTERN_CHECK(key_ != nullptr); }
  CPtr<EVP_PKEY, EVP_PKEY_free> key_;
};

}  // namespace postern::mail::dkim
