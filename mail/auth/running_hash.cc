#include "mail/auth/running_hash.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace postern::mail::dkim {

RunningSha256::RunningSha256() : context_(EVP_MD_CTX_new()) {
  POSTERN_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

RunningSha256::RunningSha256(const RunningSha256& other) : context_(EVP_MD_CTX_new()) {
  POSTERN_CHECK(context_ && EVP_MD_CTX_copy_ex(context_.get(), other.context_.get()) == 1);
}

void RunningSha256::update(std::string_view bytes) {
  POSTERN_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

crypto::Sha256 RunningSha256::so_far() const {
  const RunningSha256 copy(*this);
  crypto::Sha256 hash;
  POSTERN_CHECK(EVP_DigestFinal_ex(copy.context_.get(), reinterpret_cast<unsigned char*>(hash.data()), nullptr) == 1);
  return hash;
}

}  // namespace postern::mail::dkim
