#include "io/remote_keys.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "io/openssl_util.h"
#include "io/tls.h"

namespace postern::io {

namespace {

/// libcrypto knows only process-wide methods: its providers make their own copies of key objects, so that nothing can be attached to
/// a key. The key is recognised by its public half. One for the process, made once by install_remote_keys().
struct Remote {
  RemoteSign sign;
  std::mutex mutex;  // the web process shakes hands on several threads while certificates are reloaded
  std::vector<KeyId> ids;
  const RSA_METHOD* rsa_default = nullptr;
  int (*ec_sign)(int, const unsigned char*, int, unsigned char*, unsigned*, const BIGNUM*, const BIGNUM*, EC_KEY*) = nullptr;
  ECDSA_SIG* (*ec_sign_sig)(const unsigned char*, int, const BIGNUM*, const BIGNUM*, EC_KEY*) = nullptr;
};
Remote* remote = nullptr;  // never freed: libcrypto keeps using it until the process ends

// While the owner is asked, this thread uses keys that are here: an owner in this very process would otherwise ask itself for ever.
thread_local bool asking = false;

Result<Bytes> ask(const KeyId& id, KeyOperation operation, ByteView data) {
  asking = true;
  auto answer = remote->sign(id, operation, data);
  asking = false;
  return answer;
}

bool is_remote(const KeyId& id) {
  if (asking) return false;
  const std::lock_guard lock(remote->mutex);
  return std::find(remote->ids.begin(), remote->ids.end(), id) != remote->ids.end();
}

KeyId id_of(const std::string& public_key) { return crypto::sha256(bytes_of(public_key)); }

int rsa_private_encrypt(int size, const unsigned char* data, unsigned char* out, RSA* rsa, int padding) noexcept {
  const KeyId id = id_of(der_of<const RSA*>(i2d_RSAPublicKey, rsa));
  if (!is_remote(id)) return RSA_meth_get_priv_enc(remote->rsa_default)(size, data, out, rsa, padding);
  if (size <= 0 || (padding != RSA_NO_PADDING && padding != RSA_PKCS1_PADDING)) return -1;
  const auto operation = padding == RSA_NO_PADDING ? KeyOperation::rsa_raw : KeyOperation::rsa_pkcs1;
  const auto answer = ask(id, operation, {reinterpret_cast<const std::byte*>(data), static_cast<std::size_t>(size)});
  if (!answer || answer->size() != static_cast<std::size_t>(RSA_size(rsa))) return -1;
  std::memcpy(out, answer->data(), answer->size());
  return static_cast<int>(answer->size());
}

bool ask_ecdsa(const unsigned char* digest, int size, const KeyId& id, Bytes& signature) {
  if (size <= 0) return false;
  auto answer = ask(id, KeyOperation::ecdsa, {reinterpret_cast<const std::byte*>(digest), static_cast<std::size_t>(size)});
  if (!answer || answer->empty()) return false;
  signature = *std::move(answer);
  return true;
}

int ec_sign(int type, const unsigned char* digest, int digest_size, unsigned char* out, unsigned* out_size, const BIGNUM* kinv,
            const BIGNUM* r, EC_KEY* key) noexcept {
  const KeyId id = id_of(der_of<const EC_KEY*>(i2o_ECPublicKey, key));
  if (!is_remote(id)) return remote->ec_sign(type, digest, digest_size, out, out_size, kinv, r, key);
  Bytes signature;
  if (!ask_ecdsa(digest, digest_size, id, signature)) return 0;
  const int room = ECDSA_size(key);
  if (room <= 0 || signature.size() > static_cast<std::size_t>(room)) return 0;
  std::memcpy(out, signature.data(), signature.size());
  *out_size = static_cast<unsigned>(signature.size());
  return 1;
}

ECDSA_SIG* ec_sign_sig(const unsigned char* digest, int digest_size, const BIGNUM* kinv, const BIGNUM* r, EC_KEY* key) noexcept {
  const KeyId id = id_of(der_of<const EC_KEY*>(i2o_ECPublicKey, key));
  if (!is_remote(id)) return remote->ec_sign_sig(digest, digest_size, kinv, r, key);
  Bytes signature;
  if (!ask_ecdsa(digest, digest_size, id, signature)) return nullptr;
  const unsigned char* at = octets(signature.data());
  return d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(signature.size()));
}

}  // namespace

Result<void> install_remote_keys(RemoteSign sign) {
  if (remote != nullptr) return failure("tls.keys", "installed already");
  auto made = std::make_unique<Remote>();
  made->sign = std::move(sign);
  made->rsa_default = RSA_get_default_method();
  RSA_METHOD* rsa = RSA_meth_dup(made->rsa_default);
  EC_KEY_METHOD* ec = EC_KEY_METHOD_new(EC_KEY_get_default_method());
  if (rsa == nullptr || ec == nullptr) return failure("tls.keys", take_openssl_error());
  int (*setup)(EC_KEY*, BN_CTX*, BIGNUM**, BIGNUM**) = nullptr;
  EC_KEY_METHOD_get_sign(EC_KEY_get_default_method(), &made->ec_sign, &setup, &made->ec_sign_sig);
  RSA_meth_set_priv_enc(rsa, rsa_private_encrypt);
  // Without this libcrypto compares the private half, which is not here.
  RSA_meth_set_flags(rsa, RSA_meth_get_flags(made->rsa_default) | RSA_METHOD_FLAG_NO_CHECK);
  EC_KEY_METHOD_set_sign(ec, ec_sign, setup, ec_sign_sig);
  remote = made.release();
  RSA_set_default_method(rsa);
  EC_KEY_set_default_method(ec);
  return {};
}

bool remote_keys_installed() { return remote != nullptr; }

Result<void> watch_certificate_key(std::string_view chain_pem) {
  const BioPtr bio = memory_of(chain_pem);
  const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
  const KeyPtr key(certificate != nullptr ? X509_get_pubkey(certificate.get()) : nullptr);
  if (key == nullptr) return failure("tls.certificate", take_openssl_error());
  std::string public_key;
  if (EVP_PKEY_base_id(key.get()) == EVP_PKEY_RSA) {
    const CPtr<RSA, RSA_free> rsa(EVP_PKEY_get1_RSA(key.get()));
    public_key = der_of<const RSA*>(i2d_RSAPublicKey, rsa.get());
  } else if (EVP_PKEY_base_id(key.get()) == EVP_PKEY_EC) {
    const CPtr<EC_KEY, EC_KEY_free> ec(EVP_PKEY_get1_EC_KEY(key.get()));
    public_key = der_of<const EC_KEY*>(i2o_ECPublicKey, ec.get());
  }
  if (public_key.empty()) return failure("tls.certificate", "a remote key must be RSA or EC");
  const KeyId id = id_of(public_key);
  const std::lock_guard lock(remote->mutex);
  if (std::find(remote->ids.begin(), remote->ids.end(), id) == remote->ids.end()) remote->ids.push_back(id);
  return {};
}

}  // namespace postern::io
