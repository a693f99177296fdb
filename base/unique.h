/// One RAII owner for every C handle.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <utility>

namespace postern {

/// Owns a file descriptor; -1 is none. Closing errors are not reported: who must know calls fsync first.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  /// A second descriptor of the same open file (close-on-exec), or an empty Fd where the process has none left.
  Fd duplicate() const { return Fd(::fcntl(fd_, F_DUPFD_CLOEXEC, 3)); }

 private:
  int fd_ = -1;
};

template <auto free_fn>
struct CFree {
  template <class T>
  void operator()(T* object) const { free_fn(object); }
};

/// Owns a C object and frees it with `free_fn`.
template <class T, auto free_fn>
using CPtr = std::unique_ptr<T, CFree<free_fn>>;

}  // namespace postern
