/// Secret: keys, passwords and tokens. Not copyable, not printable, wiped when it ends.
#pragma once

#include <openssl/crypto.h>

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace postern {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      value_ = std::move(other.value_);
      other.wipe();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { wipe(); }

  std::string_view view() const { return value_; }  ///< valid while this Secret lives; do not log, do not keep
  bool empty() const { return value_.empty(); }

  /// Constant time in the content; the length is not hidden.
  bool equals(std::string_view other) const {
    return value_.size() == other.size() && CRYPTO_memcmp(value_.data(), other.data(), other.size()) == 0;
  }

 private:
  void wipe() {
    if (!value_.empty()) OPENSSL_cleanse(value_.data(), value_.size());
    value_.clear();
  }
  std::string value_;
};

}  // namespace postern
