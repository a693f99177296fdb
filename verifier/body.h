/// The bytes of a body while it is judged: a small one copied into a buffer that is used again, a large one mapped.
///
/// Making and undoing a mapping costs more than copying some pages; and it costs all cores, for each must forget it.
#pragma once

#include <memory>
#include <vector>

#include "io/memfd.h"

namespace postern::verifier {

/// Larger bodies are mapped. Bytes.
inline constexpr std::size_t kCopiedBytes = 256UL * 1024;
/// Buffers kept for the next bodies; more than that many small messages at once are rare.
inline constexpr std::size_t kSpareBuffers = 64;

class BodyPool;

class Body {
 public:
  Body() = default;  ///< no bytes
  ~Body();
  Body(Body&&) noexcept = default;
  Body& operator=(Body&& other) noexcept;
  ByteView bytes() const { return view_; }  ///< valid while this body lives, wherever it is moved to

 private:
  friend class BodyPool;
  void give_back();

  BodyPool* pool_ = nullptr;
  std::unique_ptr<Bytes> buffer_;
  io::MappedBody mapped_;
  ByteView view_;
};

/// Must outlive its bodies.
class BodyPool {
 public:
  /// Errors: those of io::check_sealed(), "memfd.io", "memfd.map".
  Result<Body> read(const Fd& fd, std::uint64_t announced, std::uint64_t limit);
  std::size_t spare() const { return spare_.size(); }

 private:
  friend class Body;
  std::vector<std::unique_ptr<Bytes>> spare_;
};

}  // namespace postern::verifier
