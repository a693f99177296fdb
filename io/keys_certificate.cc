// Certificates and certificate requests made from a private key.
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "io/keys.h"
#include "io/openssl_util.h"

namespace postern::io {

namespace {

constexpr std::size_t kMaxCommonName = 64;  // RFC 5280 Appendix A.1: ub-common-name

using NamesPtr = CPtr<GENERAL_NAMES, GENERAL_NAMES_free>;
using ExtensionPtr = CPtr<X509_EXTENSION, X509_EXTENSION_free>;

void free_extensions(STACK_OF(X509_EXTENSION) * list) { sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free); }
using ExtensionsPtr = CPtr<STACK_OF(X509_EXTENSION), free_extensions>;

const EVP_MD* digest_for(KeyType type) { return type == KeyType::ed25519 ? nullptr : EVP_sha256(); }

/// dNSName entries, built field by field: a name never passes through libcrypto's configuration syntax.
NamesPtr alternative_names(const std::vector<std::string>& names) {
  NamesPtr list(GENERAL_NAMES_new());
  for (const std::string& name : names) {
    CPtr<GENERAL_NAME, GENERAL_NAME_free> entry(GENERAL_NAME_new());
    CPtr<ASN1_IA5STRING, ASN1_IA5STRING_free> text(ASN1_IA5STRING_new());
    if (list == nullptr || entry == nullptr || text == nullptr ||
        ASN1_STRING_set(text.get(), name.data(), static_cast<int>(name.size())) != 1)
      return nullptr;
    GENERAL_NAME_set0_value(entry.get(), GEN_DNS, text.release());
    if (sk_GENERAL_NAME_push(list.get(), entry.get()) == 0) return nullptr;
    static_cast<void>(entry.release());
  }
  return list;
}

bool set_subject(X509_NAME* subject, std::string_view name) {
  if (name.size() > kMaxCommonName) return true;  // the alternative names say it all
  return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.data()),
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

bool set_serial(X509* certificate) {
  std::array<unsigned char, 16> serial;
  if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return false;
  serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);  // positive, of a fixed length (RFC 5280 §4.1.2.2)
  const CPtr<BIGNUM, BN_free> number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  return number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_extension(X509* certificate, int nid, const char* fixed_value) {
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, fixed_value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_time(ASN1_TIME* out, WallTime at) {
  return ASN1_TIME_set(out, std::chrono::system_clock::to_time_t(at)) != nullptr;
}

}  // namespace

Result<std::string> PrivateKey::self_signed(std::string_view hostname, WallTime from, std::chrono::days valid) const {
  auto* key = static_cast<EVP_PKEY*>(native());
  const X509Ptr certificate(X509_new());
  const NamesPtr names = alternative_names({std::string(hostname)});
  X509* x = certificate.get();
  const bool made = x != nullptr && names != nullptr && X509_set_version(x, 2) == 1 && set_serial(x) &&
                    set_subject(X509_get_subject_name(x), hostname) && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
                    set_time(X509_getm_notBefore(x), from) && set_time(X509_getm_notAfter(x), from + valid) &&
                    X509_set_pubkey(x, key) == 1 && X509_add1_ext_i2d(x, NID_subject_alt_name, names.get(), 0, 0) == 1 &&
                    add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
                    add_extension(x, NID_key_usage, "critical,digitalSignature") &&
                    add_extension(x, NID_ext_key_usage, "serverAuth") && X509_sign(x, key, digest_for(type())) > 0;
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (!made || out == nullptr || PEM_write_bio_X509(out.get(), x) != 1) return failure("key.sign", take_openssl_error());
  return text_in(out.get());
}

Result<Bytes> PrivateKey::certificate_request(const std::vector<std::string>& names) const {
  if (names.empty()) return failure("key.sign", "a request without names");
  auto* key = static_cast<EVP_PKEY*>(native());
  const CPtr<X509_REQ, X509_REQ_free> request(X509_REQ_new());
  const NamesPtr alternatives = alternative_names(names);
  X509_REQ* r = request.get();
  STACK_OF(X509_EXTENSION)* list = nullptr;
  bool made = r != nullptr && alternatives != nullptr && X509_REQ_set_version(r, 0) == 1 &&
              set_subject(X509_REQ_get_subject_name(r), names.front()) && X509_REQ_set_pubkey(r, key) == 1 &&
              X509V3_add1_i2d(&list, NID_subject_alt_name, alternatives.get(), 0, 0) == 1;
  const ExtensionsPtr extensions(list);
  made = made && X509_REQ_add_extensions(r, list) == 1 && X509_REQ_sign(r, key, digest_for(type())) > 0;
  if (!made) return failure("key.sign", take_openssl_error());
  return to_bytes(der_of<const X509_REQ*>(i2d_X509_REQ, r));
}

}  // namespace postern::io
