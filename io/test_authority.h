/// For tests: certificate authorities made on the spot.
#pragma once

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "io/keys.h"
#include "io/openssl_util.h"

namespace postern::io::test {

struct Issued {
  std::shared_ptr<PrivateKey> key;
  std::string pem;
};

class Authority {
 public:
  Authority(std::shared_ptr<PrivateKey> key, std::string pem) : key_(std::move(key)), pem_(std::move(pem)) {}

  static Authority root(const std::string& name, WallTime from, std::chrono::days valid) {
    Authority made(std::make_shared<PrivateKey>(*PrivateKey::generate(KeyType::ec_p256)), "");
    made.pem_ = made.make(*made.key_, name, from, valid, true);
    return made;
  }
  Authority issue_authority(const std::string& name, WallTime from, std::chrono::days valid) const {
    auto key = std::make_shared<PrivateKey>(*PrivateKey::generate(KeyType::ec_p256));
    std::string pem = make(*key, name, from, valid, true);
    return {std::move(key), std::move(pem)};
  }
  Issued issue_with_key(const std::string& host, WallTime from, std::chrono::days valid) const {
    auto key = std::make_shared<PrivateKey>(*PrivateKey::generate(KeyType::ec_p256));
    std::string pem = make(*key, host, from, valid, false);
    return {std::move(key), std::move(pem)};
  }
  std::string issue(const std::string& host, WallTime from, std::chrono::days valid) const {
    return issue_with_key(host, from, valid).pem;
  }
  const std::string& pem() const { return pem_; }
  const PrivateKey& key() const { return *key_; }

 private:
  static void extend(X509* x, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, nullptr, nullptr, 0);
    const CPtr<X509_EXTENSION, X509_EXTENSION_free> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    ASSERT_NE(extension, nullptr) << value;
    ASSERT_EQ(X509_add_ext(x, extension.get(), -1), 1);
  }

  std::string make(const PrivateKey& subject, const std::string& name, WallTime from, std::chrono::days valid, bool authority) const {
    const X509Ptr made(X509_new());
    X509* x = made.get();
    const X509Ptr parent = parse();
    X509* issuer = parent != nullptr ? parent.get() : x;
    X509_set_version(x, 2);
    static long serial = 1000;
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()), -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    ASN1_TIME_set(X509_getm_notBefore(x), std::chrono::system_clock::to_time_t(from));
    ASN1_TIME_set(X509_getm_notAfter(x), std::chrono::system_clock::to_time_t(from + valid));
    X509_set_pubkey(x, static_cast<EVP_PKEY*>(subject.native()));
    extend(x, issuer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (authority) extend(x, issuer, NID_key_usage, "critical,keyCertSign");
    else extend(x, issuer, NID_subject_alt_name, "DNS:" + name);
    EXPECT_GT(X509_sign(x, static_cast<EVP_PKEY*>(key_->native()), EVP_sha256()), 0);
    const BioPtr out(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(out.get(), x);
    return text_in(out.get());
  }
  X509Ptr parse() const {
    if (pem_.empty()) return nullptr;
    const BioPtr bio = memory_of(pem_);
    return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
  }

  std::shared_ptr<PrivateKey> key_;
  std::string pem_;
};

}  // namespace postern::io::test
