/// Inside io/ only: small things around libcrypto.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>
#include <string_view>

#include "base/unique.h"

namespace postern::io {

using BioPtr = CPtr<BIO, BIO_free>;
using KeyPtr = CPtr<EVP_PKEY, EVP_PKEY_free>;
using X509Ptr = CPtr<X509, X509_free>;

/// libcrypto's words for its last error, whose queue is empty afterwards: a stale one would confuse the next TLS call.
inline std::string take_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason != nullptr ? reason : "libcrypto gives no reason";
}

/// `text` must outlive the result and be shorter than 2 GiB.
inline BioPtr memory_of(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

/// What was written to a memory BIO.
inline std::string text_in(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

/// A password prompt that never prompts.
inline int no_password(char*, int, int, void*) { return -1; }

inline const unsigned char* octets(const std::byte* data) { return reinterpret_cast<const unsigned char*>(data); }
inline unsigned char* octets(std::byte* data) { return reinterpret_cast<unsigned char*>(data); }

/// The DER that `encode(object, &out)` writes.
template <class T>
std::string der_of(int (*encode)(T, unsigned char**), T object) {
  unsigned char* out = nullptr;
  const int size = encode(object, &out);
  if (size <= 0) return {};
  std::string der(reinterpret_cast<char*>(out), static_cast<std::size_t>(size));
  OPENSSL_free(out);
  return der;
}

}  // namespace postern::io
