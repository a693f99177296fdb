/// A SHA-256 that can be read while it goes on: one run over common bytes serves every digest that begins with them.
#pragma once

#include <string_view>

#include "base/crypto.h"
#include "base/unique.h"

struct evp_md_ctx_st;
extern "C" void EVP_MD_CTX_free(evp_md_ctx_st*);

namespace postern::mail::dkim {

class RunningSha256 {
 public:
  RunningSha256();
  RunningSha256(const RunningSha256& other);
  RunningSha256& operator=(const RunningSha256&) = delete;

  void update(std::string_view bytes);
  crypto::Sha256 so_far() const;  ///< the digest of what came so far; more may follow

 private:
  CPtr<evp_md_ctx_st, EVP_MD_CTX_free> context_;
};

}  // namespace postern::mail::dkim
