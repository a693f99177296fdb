#include "io/x509.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "base/check.h"
#include "base/crypto.h"
#include "io/x509_chain.h"

namespace postern::io {

namespace {

std::string name_text(const X509_NAME* name) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  if (out == nullptr || X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  return text_in(out.get());
}

WallTime time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return WallTime{};
  return WallTime{std::chrono::seconds{::timegm(&parts)}};
}

std::string common_name(X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  const CPtr<GENERAL_NAMES, GENERAL_NAMES_free> list(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; list != nullptr && i < sk_GENERAL_NAME_num(list.get()); ++i) {
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(list.get(), i), &type);
    if (type != GEN_DNS) continue;
    const auto* text = static_cast<const ASN1_STRING*>(value);
    names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<std::size_t>(ASN1_STRING_length(text)));
  }
  if (names.empty()) {
    if (std::string name = common_name(X509_get_subject_name(certificate)); !name.empty()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

std::string der_of_certificate(X509* certificate) { return der_of<const X509*>(i2d_X509, certificate); }
std::string der_of_spki(X509* certificate) { return der_of<const X509_PUBKEY*>(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(certificate)); }

StackPtr rest_of(const Chain::Impl& chain) {
  StackPtr rest(sk_X509_new_null());
  for (std::size_t i = 1; rest != nullptr && i < chain.certificates.size(); ++i)
    POSTERN_CHECK(sk_X509_push(rest.get(), chain.certificates[i].get()) > 0);
  return rest;
}

Chain::Chain(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Chain::~Chain() = default;
Chain::Chain(Chain&&) noexcept = default;
Chain& Chain::operator=(Chain&&) noexcept = default;

Result<Chain> Chain::parse(std::string_view pem) {
  constexpr std::size_t kMaxBytes = kMaxCertificates * 64 * 1024;
  if (pem.size() > kMaxBytes) return failure("x509.parse", "longer than any chain");
  const BioPtr bio = memory_of(pem);
  auto impl = std::make_unique<Impl>();
  for (;;) {
    X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (certificate == nullptr) break;
    if (impl->certificates.size() == kMaxCertificates) return failure("x509.parse", "more certificates than a chain may have");
    impl->certificates.push_back(std::move(certificate));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = take_openssl_error();
  if (!at_end) return failure("x509.parse", reason);
  if (impl->certificates.empty()) return failure("x509.parse", "no certificate");
  return Chain(std::move(impl));
}

std::size_t Chain::size() const { return impl_->certificates.size(); }

std::string Chain::key_kind(std::size_t index) const {
  POSTERN_CHECK(index < size());
  const EVP_PKEY* key = X509_get0_pubkey(impl_->certificates[index].get());
  const std::string bits = key == nullptr ? "" : std::to_string(EVP_PKEY_get_bits(key));
  ERR_clear_error();
  switch (key == nullptr ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS: return "RSA " + bits;
    case EVP_PKEY_EC: return "ECDSA P-" + bits;  // the curves TLS knows are named by their size (RFC 8422 §5.1.1)
    case EVP_PKEY_ED25519: return "Ed25519";
    case EVP_PKEY_ED448: return "Ed448";
    default: return "unknown";
  }
}

Chain::Summary Chain::describe(std::size_t index) const {
  POSTERN_CHECK(index < size());
  X509* certificate = impl_->certificates[index].get();
  Summary summary;
  summary.subject = name_text(X509_get_subject_name(certificate));
  summary.issuer = name_text(X509_get_issuer_name(certificate));
  summary.not_before = time_of(X509_get0_notBefore(certificate));
  summary.not_after = time_of(X509_get0_notAfter(certificate));
  summary.names = names_of(certificate);
  summary.sha256_certificate = crypto::hex(crypto::sha256(bytes_of(der_of_certificate(certificate))));
  summary.sha256_spki = crypto::hex(crypto::sha256(bytes_of(der_of_spki(certificate))));
  ERR_clear_error();
  return summary;
}

struct TrustStore::Impl {
  StorePtr store;
};

TrustStore::TrustStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TrustStore::~TrustStore() = default;
TrustStore::TrustStore(TrustStore&&) noexcept = default;

Result<TrustStore> TrustStore::load(std::string_view bundle_pem) {
  auto impl = std::make_unique<Impl>();
  impl->store.reset(X509_STORE_new());
  const BioPtr bio = memory_of(bundle_pem);
  if (impl->store == nullptr || bio == nullptr) return failure("x509.store", "no memory");
  std::size_t count = 0;
  for (;;) {
    const X509Ptr authority(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
    if (authority == nullptr) break;
    if (X509_STORE_add_cert(impl->store.get(), authority.get()) == 1) ++count;
  }
  ERR_clear_error();
  if (count == 0) return failure("x509.store", "no authority in the bundle");
  return TrustStore(std::move(impl));
}

Result<void> TrustStore::verify(const Chain& chain, std::string_view host, WallTime at) const {
  const CPtr<X509_STORE_CTX, X509_STORE_CTX_free> context(X509_STORE_CTX_new());
  const StackPtr rest = rest_of(chain.impl());
  if (context == nullptr || rest == nullptr ||
      X509_STORE_CTX_init(context.get(), impl_->store.get(), chain.impl().certificates[0].get(), rest.get()) != 1)
    return failure("x509.untrusted", take_openssl_error());
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  set_rules(rules, at, 0);
  // RFC 8461 §4.1: the name must be a dNSName; a common name does not count.
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  if (host.empty() || X509_VERIFY_PARAM_set1_host(rules, host.data(), host.size()) != 1)
    return failure("x509.name", "not a host name");
  const int verified = X509_verify_cert(context.get());
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (verified == 1) return {};
  const char* words = X509_verify_cert_error_string(error);
  switch (error) {
    case X509_V_ERR_HOSTNAME_MISMATCH: return failure("x509.name", words);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return failure("x509.expired", words);
    default: return failure("x509.untrusted", words);
  }
}

}  // namespace postern::io
