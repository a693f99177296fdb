/// A message's bytes, put together from what travels between processes: a prefix of our own fields, and a sealed body of which some
/// stretches are left out. Nothing is joined: who sends or stores it goes through the pieces.
///
/// Trust: the Content and the descriptor come from another process. Seals, size and cuts are checked before a byte is used.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique.h"
#include "io/memfd.h"
#include "privsep/envelope.h"

namespace postern::privsep {

namespace limits {
inline constexpr std::size_t kContentPrefixBytes = 512 * 1024;  ///< of our own fields; ours
inline constexpr std::size_t kContentCuts = 1000;               ///< stretches left out; ours
}  // namespace limits

class AssembledContent {
 public:
  /// `limit`: the largest body, in bytes. `body` stays the caller's and is not needed afterwards.
  /// Errors: "content.prefix", "content.cuts", those of io::check_sealed().
  static Result<std::shared_ptr<const AssembledContent>> open(const Content& content, const Fd& body, std::uint64_t limit);
  /// The same over bytes in memory. For tests and for what was never in a descriptor.
  static Result<std::shared_ptr<const AssembledContent>> of(const Content& content, Bytes body);

  AssembledContent(const AssembledContent&) = delete;  // pieces() points into it
  AssembledContent& operator=(const AssembledContent&) = delete;

  std::uint64_t size() const { return size_; }  ///< bytes of all pieces
  /// In order, none empty; valid while this lives.
  const std::vector<std::string_view>& pieces() const { return pieces_; }
  std::string head(std::size_t most) const;     ///< the first `most` bytes, joined

 private:
  AssembledContent() = default;
  Result<void> arrange(const Content& content, std::string_view body);

  std::string prefix_;
  Bytes copy_;            // of(): what was in memory
  io::SealedBody sealed_;  // open()
  std::vector<std::string_view> pieces_;
  std::uint64_t size_ = 0;
};

}  // namespace postern::privsep
