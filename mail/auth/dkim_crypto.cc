#include "mail/auth/dkim_crypto.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/unique.h"
#include "mail/limits.h"

namespace postern::mail::dkim {
namespace {

using Bignum = CPtr<BIGNUM, BN_free>;

const unsigned char* raw(ByteView data) { return reinterpret_cast<const unsigned char*>(data.data()); }

enum class Tag : std::uint8_t { integer = 0x02, bit_string = 0x03, sequence = 0x30 };

/// Reads DER (X.690 §8, §10.1) front to back. Lengths: short form, or one or two octets, minimal.
class DerReader {
 public:
  explicit DerReader(ByteView data) : data_(data) {}

  bool done() const { return data_.empty(); }
  bool next_is(Tag tag) const { return !data_.empty() && data_[0] == static_cast<std::byte>(tag); }

  /// The content of the next element, which must have that tag.
  std::optional<ByteView> read(Tag tag) {
    if (!next_is(tag) || data_.size() < 2) return std::nullopt;
    auto length = static_cast<std::size_t>(data_[1]);
    std::size_t head = 2;
    if (length == 0x81 && data_.size() >= 3) {
      length = static_cast<std::size_t>(data_[2]);
      head = 3;
      if (length < 0x80) return std::nullopt;
    } else if (length == 0x82 && data_.size() >= 4) {
      length = static_cast<std::size_t>(data_[2]) << 8 | static_cast<std::size_t>(data_[3]);
      head = 4;
      if (length < 0x100) return std::nullopt;
    } else if (length >= 0x80) {
      return std::nullopt;
    }
    if (length > data_.size() - head) return std::nullopt;
    const ByteView content = data_.subspan(head, length);
    data_ = data_.subspan(head + length);
    return content;
  }

 private:
  ByteView data_;
};

/// The content of an INTEGER that must be positive.
std::optional<ByteView> positive(std::optional<ByteView> integer) {
  if (!integer || integer->empty() || (static_cast<unsigned>((*integer)[0]) & 0x80) != 0) return std::nullopt;
  while (!integer->empty() && (*integer)[0] == std::byte{0}) integer = integer->subspan(1);
  if (integer->empty()) return std::nullopt;
  return integer;
}

/// The RSAPublicKey inside a SubjectPublicKeyInfo for rsaEncryption, or `der` itself when it is one.
std::optional<ByteView> rsa_public_key(ByteView der) {
  // AlgorithmIdentifier: rsaEncryption 1.2.840.113549.1.1.1, parameters NULL (RFC 3279 §2.3.1).
  static constexpr auto kRsaEncryption =
      std::to_array<unsigned char>({0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00});
  DerReader outer(der);
  const auto body = outer.read(Tag::sequence);
  if (!body || !outer.done()) return std::nullopt;
  DerReader inner(*body);
  if (inner.next_is(Tag::integer)) return *body;
  const auto algorithm = inner.read(Tag::sequence);
  const auto bits = inner.read(Tag::bit_string);
  if (!algorithm || !bits || !inner.done()) return std::nullopt;
  const auto name = std::as_bytes(std::span(kRsaEncryption));
  const bool is_rsa = std::ranges::equal(*algorithm, name) || std::ranges::equal(*algorithm, name.first(name.size() - 2));
  if (!is_rsa || bits->empty() || (*bits)[0] != std::byte{0}) return std::nullopt;
  DerReader key(bits->subspan(1));
  const auto content = key.read(Tag::sequence);
  return key.done() ? content : std::nullopt;
}

bool verify_rsa(RSA* key, const crypto::Sha256& digest, ByteView signature) {
  return RSA_verify(NID_sha256, raw(digest), static_cast<unsigned>(digest.size()), raw(signature),
                    static_cast<unsigned>(signature.size()), key) == 1;
}

bool verify_ed25519(EVP_PKEY* key, const crypto::Sha256& digest, ByteView signature) {
  const CPtr<EVP_MD_CTX, EVP_MD_CTX_free> context(EVP_MD_CTX_new());
  return context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key) == 1 &&
         EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(digest), digest.size()) == 1;
}

}  // namespace

std::string_view name_of(KeyType type) {
  switch (type) {
    case KeyType::rsa: return "rsa";
    case KeyType::ed25519: return "ed25519";
  }
  return "?";
}

// By the RSA_* calls rather than a decoder of EVP keys: those of OpenSSL 3 cost several times what a verification does.
Result<PublicKey> PublicKey::rsa(ByteView der) {
  const auto content = rsa_public_key(der);
  if (!content) return failure("dkim_key.bad_data", "the key is no RSA public key");
  DerReader reader(*content);
  const auto modulus = positive(reader.read(Tag::integer));
  const auto exponent = positive(reader.read(Tag::integer));
  if (!modulus || !exponent || !reader.done()) return failure("dkim_key.bad_data", "the RSA key is malformed");
  if (modulus->size() * 8 > limits::kDkimRsaParsedBits || exponent->size() * 8 > limits::kDkimRsaExponentBits)
    return failure("dkim_key.bad_data", "the RSA key is too large");
  Bignum n(BN_bin2bn(raw(*modulus), static_cast<int>(modulus->size()), nullptr));
  Bignum e(BN_bin2bn(raw(*exponent), static_cast<int>(exponent->size()), nullptr));
  std::shared_ptr<RSA> key(RSA_new(), RSA_free);
  if (!n || !e || !key) return failure("dkim_key.bad_data", "no memory for the key");
  // An even modulus or exponent is never a key, and Montgomery's arithmetic wants an odd one.
  if (BN_is_odd(n.get()) == 0 || BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1)
    return failure("dkim_key.bad_data", "the RSA key is malformed");
  const auto bits = static_cast<unsigned>(BN_num_bits(n.get()));
  if (RSA_set0_key(key.get(), n.get(), e.get(), nullptr) != 1) return failure("dkim_key.bad_data", "the key is refused");
  static_cast<void>(n.release());
  static_cast<void>(e.release());
  return PublicKey(KeyType::rsa, bits, std::move(key));
}

Result<PublicKey> PublicKey::ed25519(ByteView octets) {
  if (octets.size() != 32) return failure("dkim_key.bad_data", "an Ed25519 key has 32 octets");
  std::shared_ptr<EVP_PKEY> key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(octets), octets.size()),
                                EVP_PKEY_free);
  if (!key) {
    ERR_clear_error();
    return failure("dkim_key.bad_data", "the Ed25519 key is refused");
  }
  return PublicKey(KeyType::ed25519, 256, std::move(key));
}

bool PublicKey::verify(const crypto::Sha256& digest, ByteView signature) const {
  if (signature.size() > limits::kDkimRsaParsedBits / 8) return false;
  const bool good = type_ == KeyType::rsa ? verify_rsa(static_cast<RSA*>(key_.get()), digest, signature)
                                          : verify_ed25519(static_cast<EVP_PKEY*>(key_.get()), digest, signature);
  ERR_clear_error();
  return good;
}

}  // namespace postern::mail::dkim
