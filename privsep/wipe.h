/// Overwrites what a message of a secret row held (Row::secret), and the frames it travelled in, as soon as nobody needs them: a later
/// reader of this process's memory finds no password in it. What a vector or a string left behind while it grew is not found.
#pragma once

#include <openssl/crypto.h>

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/bytes.h"

namespace postern::privsep {

inline void wipe_bytes(char* data, std::size_t size) {
  if (size > 0) OPENSSL_cleanse(data, size);
}

/// A codec of wire.h: texts and byte strings are overwritten and emptied, all else is left.
class Wiper {
 public:
  template <class... T>
  void operator()(T&... values) {
    (wipe(values), ...);
  }

 private:
  template <class T>
  void wipe(T& value) {
    if constexpr (requires { value.fields(*this); }) value.fields(*this);
  }
  void wipe(std::string& text) {
    wipe_bytes(text.data(), text.size());
    text.clear();
  }
  void wipe(Bytes& bytes) {
    if (!bytes.empty()) OPENSSL_cleanse(bytes.data(), bytes.size());
    bytes.clear();
  }
  template <class T>
  void wipe(std::vector<T>& values) {
    for (T& value : values) wipe(value);
  }
  template <class T>
  void wipe(std::optional<T>& value) {
    if (value) wipe(*value);
  }
};

template <class M>
void wipe(M& message) {
  Wiper wiper;
  wiper(message);
}

}  // namespace postern::privsep
