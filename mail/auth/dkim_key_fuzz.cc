// Fuzzes DKIM key records, and RSA keys in DER on their own.
#include "base/check.h"
#include "mail/auth/dkim_key.h"
#include "mail/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  const ByteView bytes = std::as_bytes(std::span(data, size));
  const Bytes signature(128);
  if (const auto record = mail::dkim::parse_key_record(text_of(bytes)); record && record->key)
    record->key->verify(crypto::Sha256{}, signature);
  if (const auto key = mail::dkim::PublicKey::rsa(bytes)) {
    POSTERN_CHECK(key->bits() <= mail::limits::kDkimRsaParsedBits);
    if (key->bits() <= mail::limits::kDkimRsaMostBits) key->verify(crypto::Sha256{}, signature);
  }
  return 0;
}
