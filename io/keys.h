/// Private keys: making, loading and using them. Only the signer process (and tests and tools of the administrator) hold one.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"
#include "base/secret.h"

namespace postern::io {

/// A key is known by the SHA-256 of its public half: RSAPublicKey (RFC 8017 A.1.1) or the uncompressed EC point (SEC 1 §2.3.3).
using KeyId = crypto::Sha256;

/// What is asked of a private key. The values travel between processes.
enum class KeyOperation : std::uint8_t {
  rsa_raw = 1,    ///< the RSA primitive over an encoded PSS block (TLS 1.3 and PSS in 1.2): modulus length, last octet 0xbc
  rsa_pkcs1 = 2,  ///< EMSA-PKCS1-v1_5 over a DigestInfo of SHA-1 (TLS 1.2 of old peers) or SHA-2
  ecdsa = 3,      ///< ECDSA over a digest of 20–64 octets; the answer is DER
  ed25519 = 4,    ///< EdDSA over a SHA-256 digest taken as the message, as DKIM does (RFC 8463 §3): 32 octets
};
enum class KeyType : std::uint8_t { rsa = 1, ec_p256 = 2, ed25519 = 3, ec_p384 = 4 };

/// Whether `data` has the only shape that `operation` may be given (for a modulus of `modulus_bytes`). What has not is refused:
/// a key must not become an oracle for decryption or for other protocols. Source: RFC 8017 §9.1, §9.2.
bool has_right_shape(KeyOperation operation, ByteView data, std::size_t modulus_bytes);

class PrivateKey {
 public:
  static Result<PrivateKey> generate(KeyType type);          ///< RSA: 2048 bits. Errors: "key.generate"
  /// PEM, PKCS#8 or traditional, not encrypted. RSA of 1024–4096 bits, P-256, P-384, Ed25519. Errors: "key.parse", "key.kind".
  static Result<PrivateKey> parse(std::string_view pem);
  ~PrivateKey();
  PrivateKey(PrivateKey&& other) noexcept;
  PrivateKey& operator=(PrivateKey&& other) noexcept;

  KeyType type() const;
  KeyId id() const;
  std::size_t modulus_bytes() const;  ///< RSA; 0 otherwise
  std::size_t bits() const;
  Secret to_pem() const;                  ///< PKCS#8
  Bytes public_spki() const;              ///< DER of SubjectPublicKeyInfo (RFC 5280 §4.1)
  Bytes public_raw() const;               ///< as KeyId hashes it; for Ed25519 the 32 octets of RFC 8032

  /// The operation, after its shape was checked. Errors: "key.shape", "key.kind" (not for this key), "key.sign".
  Result<Bytes> operate(KeyOperation operation, ByteView data) const;
  /// Signs the SHA-256 digest `digest`: PKCS#1 v1.5 (RSA; RFC 6376 §3.3.1), DER ECDSA, or Ed25519 over the digest (RFC 8463 §3).
  Result<Bytes> sign_sha256(const crypto::Sha256& digest) const;

  /// A certificate for `hostname` signed by this key itself, PEM: for the first start, until there is a real one.
  Result<std::string> self_signed(std::string_view hostname, WallTime from, std::chrono::days valid) const;
  /// A certificate request (PKCS#10, DER) for `names`, the first also as subject: for ACME (RFC 8555 §7.4).
  Result<Bytes> certificate_request(const std::vector<std::string>& names) const;

  void* native() const { return key_.get(); }  ///< EVP_PKEY*, for io/ only

 private:
  explicit PrivateKey(void* key);
  struct Free {
    void operator()(void* key) const;
  };
  std::unique_ptr<void, Free> key_;
};

/// ECDSA P-256 DER signature as the 64 octets r‖s that JWS wants (RFC 7518 §3.4). Errors: "key.signature".
Result<Bytes> ecdsa_der_to_raw(ByteView der);

}  // namespace postern::io
