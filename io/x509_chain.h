/// Inside io/ only: certificates as libcrypto has them.
#pragma once

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <vector>

#include "io/openssl_util.h"
#include "io/x509.h"

namespace postern::io {

struct Chain::Impl {
  std::vector<X509Ptr> certificates;  ///< leaf first, at least one
};

inline void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }
using StackPtr = CPtr<STACK_OF(X509), free_stack>;  ///< borrows its certificates
using StorePtr = CPtr<X509_STORE, X509_STORE_free>;

std::string der_of_certificate(X509* certificate);
std::string der_of_spki(X509* certificate);  ///< DER of SubjectPublicKeyInfo

/// All but the leaf; valid while `chain` lives.
StackPtr rest_of(const Chain::Impl& chain);

/// What both judgements ask of a chain: made for a TLS server, not deep, at this time. Certificate dates are seconds.
inline void set_rules(X509_VERIFY_PARAM* rules, WallTime at, unsigned long more_flags) {
  constexpr int kDepth = 10;
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_TRUSTED_FIRST | more_flags);
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_depth(rules, kDepth);
  X509_VERIFY_PARAM_set_time(rules, std::chrono::system_clock::to_time_t(at));
}

}  // namespace postern::io
