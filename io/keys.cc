#include "io/keys.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "io/openssl_util.h"

namespace postern::io {

namespace {

constexpr int kMinRsaBits = 1024;  // DKIM keys of this size are still in use (RFC 8301 §3.2)
constexpr int kMaxRsaBits = 4096;
constexpr std::size_t kMaxPemBytes = 16 * 1024;
constexpr std::size_t kPkcs1Overhead = 11;  // RFC 8017 §9.2: 0x00 0x01, eight of 0xff, 0x00

/// A DigestInfo is one of these prefixes and the digest. Source: RFC 8017 §9.2 note 1.
struct DigestInfo {
  std::string_view prefix;
  std::size_t digest_bytes;
};
using namespace std::string_view_literals;
constexpr DigestInfo kDigestInfos[] = {
    {"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"sv, 20},                          // SHA-1
    {"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"sv, 32},          // SHA-256
    {"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"sv, 48},          // SHA-384
    {"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"sv, 64},          // SHA-512
};
constexpr std::size_t kSha256Info = 1;

bool is_digest_info(ByteView data) {
  const std::string_view text = text_of(data);
  return std::any_of(std::begin(kDigestInfos), std::end(kDigestInfos), [&](const DigestInfo& info) {
    return text.size() == info.prefix.size() + info.digest_bytes && text.starts_with(info.prefix);
  });
}

EVP_PKEY* native_of(const PrivateKey& key) { return static_cast<EVP_PKEY*>(key.native()); }

using RsaPtr = CPtr<RSA, RSA_free>;
using EcPtr = CPtr<EC_KEY, EC_KEY_free>;

int nid_of(const EC_KEY* ec) { return EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)); }

std::optional<KeyType> type_of(EVP_PKEY* key) {
  switch (EVP_PKEY_base_id(key)) {
    case EVP_PKEY_RSA: {
      const int bits = EVP_PKEY_bits(key);
      if (bits < kMinRsaBits || bits > kMaxRsaBits) return std::nullopt;
      return KeyType::rsa;
    }
    case EVP_PKEY_ED25519: return KeyType::ed25519;
    case EVP_PKEY_EC: {
      const EcPtr ec(EVP_PKEY_get1_EC_KEY(key));
      if (ec == nullptr) return std::nullopt;
      if (nid_of(ec.get()) == NID_X9_62_prime256v1) return KeyType::ec_p256;
      if (nid_of(ec.get()) == NID_secp384r1) return KeyType::ec_p384;
      return std::nullopt;
    }
    default: return std::nullopt;
  }
}

int evp_id(KeyType type) {
  switch (type) {
    case KeyType::rsa: return EVP_PKEY_RSA;
    case KeyType::ed25519: return EVP_PKEY_ED25519;
    case KeyType::ec_p256:
    case KeyType::ec_p384: return EVP_PKEY_EC;
  }
  return 0;
}

bool set_parameters(EVP_PKEY_CTX* context, KeyType type) {
  constexpr int kRsaBits = 2048;
  switch (type) {
    case KeyType::rsa: return EVP_PKEY_CTX_set_rsa_keygen_bits(context, kRsaBits) > 0;
    case KeyType::ed25519: return true;
    case KeyType::ec_p256: return EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) > 0;
    case KeyType::ec_p384: return EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_secp384r1) > 0;
  }
  return false;
}

Result<Bytes> rsa_operate(EVP_PKEY* key, ByteView data, int padding) {
  const RsaPtr rsa(EVP_PKEY_get1_RSA(key));
  if (rsa == nullptr) return failure("key.sign", take_openssl_error());
  Bytes out(static_cast<std::size_t>(RSA_size(rsa.get())));
  const int size = RSA_private_encrypt(static_cast<int>(data.size()), octets(data.data()), octets(out.data()), rsa.get(), padding);
  if (size < 0) return failure("key.sign", take_openssl_error());
  out.resize(static_cast<std::size_t>(size));
  return out;
}

Result<Bytes> ecdsa_operate(EVP_PKEY* key, ByteView digest) {
  const EcPtr ec(EVP_PKEY_get1_EC_KEY(key));
  if (ec == nullptr) return failure("key.sign", take_openssl_error());
  Bytes out(static_cast<std::size_t>(ECDSA_size(ec.get())));
  unsigned size = 0;
  if (ECDSA_sign(0, octets(digest.data()), static_cast<int>(digest.size()), octets(out.data()), &size, ec.get()) != 1)
    return failure("key.sign", take_openssl_error());
  out.resize(size);
  return out;
}

Result<Bytes> ed25519_operate(EVP_PKEY* key, ByteView message) {
  const CPtr<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  Bytes out(64);  // RFC 8032 §5.1.6
  std::size_t size = out.size();
  if (context == nullptr || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), octets(out.data()), &size, octets(message.data()), message.size()) != 1)
    return failure("key.sign", take_openssl_error());
  out.resize(size);
  return out;
}

}  // namespace

bool has_right_shape(KeyOperation operation, ByteView data, std::size_t modulus_bytes) {
  switch (operation) {
    case KeyOperation::rsa_raw:  // EMSA-PSS: the top bit is clear, the last octet is 0xbc (RFC 8017 §9.1.1)
      return modulus_bytes > 0 && data.size() == modulus_bytes && (data.front() & std::byte{0x80}) == std::byte{0} &&
             data.back() == std::byte{0xbc};
    case KeyOperation::rsa_pkcs1: return data.size() + kPkcs1Overhead <= modulus_bytes && is_digest_info(data);
    case KeyOperation::ecdsa: return data.size() >= 20 && data.size() <= 64;  // SHA-1 to SHA-512
    case KeyOperation::ed25519: return data.size() == 32;
  }
  return false;
}

PrivateKey::PrivateKey(void* key) : key_(key) {}
PrivateKey::~PrivateKey() = default;
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
void PrivateKey::Free::operator()(void* key) const { EVP_PKEY_free(static_cast<EVP_PKEY*>(key)); }

Result<PrivateKey> PrivateKey::generate(KeyType type) {
  const CPtr<EVP_PKEY_CTX, EVP_PKEY_CTX_free> context(EVP_PKEY_CTX_new_id(evp_id(type), nullptr));
  EVP_PKEY* key = nullptr;
  if (context == nullptr || EVP_PKEY_keygen_init(context.get()) != 1 || !set_parameters(context.get(), type) ||
      EVP_PKEY_keygen(context.get(), &key) != 1)
    return failure("key.generate", take_openssl_error());
  return PrivateKey(key);
}

Result<PrivateKey> PrivateKey::parse(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return failure("key.parse", "longer than any key");
  const BioPtr bio = memory_of(pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
  if (key == nullptr) return failure("key.parse", take_openssl_error());
  PrivateKey parsed(key);
  if (!type_of(key)) return failure("key.kind", "neither RSA of 1024 to 4096 bits nor P-256, P-384 or Ed25519");
  return parsed;
}

KeyType PrivateKey::type() const {
  const auto type = type_of(native_of(*this));
  POSTERN_CHECK(type.has_value());
  return *type;
}

std::size_t PrivateKey::modulus_bytes() const {
  return type() == KeyType::rsa ? static_cast<std::size_t>(EVP_PKEY_size(native_of(*this))) : 0;
}
std::size_t PrivateKey::bits() const { return static_cast<std::size_t>(EVP_PKEY_bits(native_of(*this))); }

Bytes PrivateKey::public_raw() const {
  EVP_PKEY* key = native_of(*this);
  switch (type()) {
    case KeyType::rsa: {
      const RsaPtr rsa(EVP_PKEY_get1_RSA(key));
      return to_bytes(der_of<const RSA*>(i2d_RSAPublicKey, rsa.get()));
    }
    case KeyType::ec_p256:
    case KeyType::ec_p384: {
      const EcPtr ec(EVP_PKEY_get1_EC_KEY(key));
      return to_bytes(der_of<const EC_KEY*>(i2o_ECPublicKey, ec.get()));
    }
    case KeyType::ed25519: {
      Bytes out(32);
      std::size_t size = out.size();
      POSTERN_CHECK(EVP_PKEY_get_raw_public_key(key, octets(out.data()), &size) == 1);
      return out;
    }
  }
  return {};
}

KeyId PrivateKey::id() const { return crypto::sha256(public_raw()); }

Bytes PrivateKey::public_spki() const { return to_bytes(der_of<const EVP_PKEY*>(i2d_PUBKEY, native_of(*this))); }

Secret PrivateKey::to_pem() const {
  const BioPtr bio(BIO_new(BIO_s_secmem()));
  POSTERN_CHECK(bio != nullptr &&
                PEM_write_bio_PKCS8PrivateKey(bio.get(), native_of(*this), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Secret(text_in(bio.get()));
}

Result<Bytes> PrivateKey::operate(KeyOperation operation, ByteView data) const {
  const KeyType kind = type();
  const bool fits = [&] {
    switch (operation) {
      case KeyOperation::rsa_raw:
      case KeyOperation::rsa_pkcs1: return kind == KeyType::rsa;
      case KeyOperation::ecdsa: return kind == KeyType::ec_p256 || kind == KeyType::ec_p384;
      case KeyOperation::ed25519: return kind == KeyType::ed25519;
    }
    return false;
  }();
  if (!fits) return failure("key.kind", "the key cannot do this operation");
  if (!has_right_shape(operation, data, modulus_bytes())) return failure("key.shape", "not what a signature is made of");
  switch (operation) {
    case KeyOperation::rsa_raw: return rsa_operate(native_of(*this), data, RSA_NO_PADDING);
    case KeyOperation::rsa_pkcs1: return rsa_operate(native_of(*this), data, RSA_PKCS1_PADDING);
    case KeyOperation::ecdsa: return ecdsa_operate(native_of(*this), data);
    case KeyOperation::ed25519: return ed25519_operate(native_of(*this), data);
  }
  return failure("key.kind", "unknown operation");
}

Result<Bytes> PrivateKey::sign_sha256(const crypto::Sha256& digest) const {
  switch (type()) {
    case KeyType::rsa: {
      Bytes info = to_bytes(kDigestInfos[kSha256Info].prefix);
      info.insert(info.end(), digest.begin(), digest.end());
      return operate(KeyOperation::rsa_pkcs1, info);
    }
    case KeyType::ec_p256:
    case KeyType::ec_p384: return operate(KeyOperation::ecdsa, digest);
    case KeyType::ed25519: return operate(KeyOperation::ed25519, digest);
  }
  return failure("key.kind", "unknown type");
}

Result<Bytes> ecdsa_der_to_raw(ByteView der) {
  constexpr int kHalf = 32;
  const unsigned char* at = octets(der.data());
  const CPtr<ECDSA_SIG, ECDSA_SIG_free> signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  Bytes raw(2 * kHalf);
  if (signature == nullptr || at != octets(der.data() + der.size()) ||
      BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), octets(raw.data()), kHalf) != kHalf ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), octets(raw.data() + kHalf), kHalf) != kHalf) {
    ERR_clear_error();
    return failure("key.signature", "not a P-256 signature in DER");
  }
  return raw;
}

}  // namespace postern::io
