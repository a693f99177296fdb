/// The public keys DKIM and ARC verify with, over libcrypto: RSA (PKCS#1 v1.5, SHA-256) and Ed25519.
///
/// Trust: key and signature are a stranger's. Cost: an RSA modulus or exponent past the limits is refused before any arithmetic.
/// Source: RFC 6376 §3.3, RFC 8301 §3, RFC 8463 §3.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/result.h"

namespace postern::mail::dkim {

enum class KeyType : std::uint8_t { rsa = 1, ed25519 = 2 };

std::string_view name_of(KeyType type);

class PublicKey {
 public:
  /// An RSA key in DER: a SubjectPublicKeyInfo, as is published, or a bare RSAPublicKey, as RFC 6376's text has it
  /// (erratum 3017). Nothing may follow it. Sizes of policy (RFC 8301) are not judged here: see bits().
  /// Errors: dkim_key.bad_data. Source: RFC 8017 §A.1, RFC 3279 §2.3.1.
  static Result<PublicKey> rsa(ByteView der);
  /// The 32 octets of an Ed25519 key. Errors: dkim_key.bad_data. Source: RFC 8463 §4.
  static Result<PublicKey> ed25519(ByteView octets);

  KeyType type() const { return type_; }
  unsigned bits() const { return bits_; }  ///< of the RSA modulus; 256 for Ed25519

  /// Whether `signature` is this key's over a message with that SHA-256. Ed25519 signs the digest itself (RFC 8463 §3).
  bool verify(const crypto::Sha256& digest, ByteView signature) const;

 private:
  PublicKey(KeyType type, unsigned bits, std::shared_ptr<void> key) : type_(type), bits_(bits), key_(std::move(key)) {}

  KeyType type_;
  unsigned bits_;
  std::shared_ptr<void> key_;  // an RSA or an EVP_PKEY of libcrypto, with its own deleter
};

}  // namespace postern::mail::dkim
