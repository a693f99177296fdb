/// A message body on its way: an anonymous file that is sealed, so that every process sees the same bytes and none can change them.
///
/// Trust: a descriptor that arrives from another process may be anything. accept_sealed() proves that it is an immutable file of
/// the announced size before a byte of it is read; without the seals a sender could shrink it under our feet (SIGBUS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique.h"

namespace postern::io {

/// A body being written. Errors of all calls: "memfd.io".
class MemfdWriter {
 public:
  static Result<MemfdWriter> create(const char* name);  ///< `name` shows in /proc only
  Result<void> append(ByteView data);
  std::size_t size() const { return size_; }
  /// Seals the file (no write, no shrink, no growth, no further seals) and hands it over.
  Result<Fd> seal() &&;
  /// Hands it over as it is: its holders can still change it.
  Fd unsealed() && { return std::move(fd_); }

 private:
  explicit MemfdWriter(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::size_t size_ = 0;
};

/// A sealed memfd of `data`, in one call.
Result<Fd> sealed_memfd(const char* name, ByteView data);

/// Checks a received descriptor: all four seals set, a size of exactly `announced`, at most `limit`.
/// Errors: "memfd.unsealed", "memfd.size".
Result<void> check_sealed(const Fd& fd, std::uint64_t announced, std::uint64_t limit);

/// Below this a copy is cheaper than a mapping, whose end costs every processor a flush of its page table cache (measured).
inline constexpr std::size_t kCopiedBodyBytes = 256UL * 1024;

/// A sealed body's bytes: copied when it is small, else mapped read-only. They live as long as this, whatever becomes of the descriptor.
class SealedBody {
 public:
  SealedBody() = default;  ///< no bytes
  /// check_sealed() first. Errors: its own, "memfd.map", "memfd.io".
  static Result<SealedBody> open(const Fd& fd, std::uint64_t announced, std::uint64_t limit);
  ~SealedBody() { drop(); }
  SealedBody(SealedBody&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), copy_(std::move(other.copy_)) {}
  SealedBody& operator=(SealedBody&& other) noexcept;

  ByteView bytes() const { return {data_, size_}; }  ///< valid while this body lives
  std::size_t size() const { return size_; }

 private:
  void drop() noexcept;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::unique_ptr<std::byte[]> copy_;  // of a small one
};

/// A page of memory that this process writes and others read by the descriptor, also after this process has died.
/// Readers use pread() and believe nothing of it; they never map it.
class SharedPage {
 public:
  static constexpr std::size_t kBytes = 4096;
  SharedPage() = default;  ///< no page
  /// `name` shows in /proc only. Errors: "memfd.io", "memfd.map".
  static Result<SharedPage> create(const char* name);
  ~SharedPage();
  SharedPage(SharedPage&& other) noexcept : fd_(std::move(other.fd_)), data_(std::exchange(other.data_, nullptr)) {}
  SharedPage& operator=(SharedPage&& other) noexcept;

  int fd() const { return fd_.get(); }
  char* data() { return data_; }  ///< kBytes of them; nullptr: no page

 private:
  Fd fd_;
  char* data_ = nullptr;
};

/// The whole of a checked body, copied. Errors: those of check_sealed(), "memfd.io".
Result<Bytes> read_sealed(const Fd& fd, std::uint64_t announced, std::uint64_t limit);

}  // namespace postern::io
