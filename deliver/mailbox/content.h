/// The bytes of a message as it is delivered: the fields put in front, then the body without what was cut out.
///
/// Trust: the queue's frame and the sealed body are checked here once more; cuts that do not ascend or leave the body are refused.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique.h"
#include "io/memfd.h"
#include "privsep/envelope.h"

namespace postern::mailbox {

class MessageBytes;
using MessageBytesPtr = std::shared_ptr<const MessageBytes>;  ///< a pool thread may hold it while the loop goes on

class MessageBytes {
 public:
  /// Maps or copies the sealed body in `fd`. Errors: "content.prefix", "content.cuts", those of io::check_sealed().
  static Result<MessageBytesPtr> open(const privsep::Content& content, const Fd& fd, std::uint64_t limit);
  /// Of a body in memory.
  static Result<MessageBytesPtr> of(const privsep::Content& content, Bytes body);

  std::uint64_t size() const { return size_; }
  /// The pieces in their order, views into this object: the prefix, then the stretches of the body.
  const std::vector<std::string_view>& pieces() const { return pieces_; }
  /// The first `most` bytes, joined.
  std::string head(std::size_t most) const;

  MessageBytes(const MessageBytes&) = delete;  // the pieces point into the object
  MessageBytes& operator=(const MessageBytes&) = delete;

 private:
  MessageBytes() = default;
  Result<void> set_pieces(std::string_view body, const std::vector<privsep::Cut>& cuts);

  std::string prefix_;
  Bytes copy_;
  io::SealedBody sealed_;
  std::vector<std::string_view> pieces_;
  std::uint64_t size_ = 0;
};

/// Reads a message's pieces one after the other, into buffers of any size.
class PieceReader {
 public:
  /// `bytes` must outlive it.
  explicit PieceReader(const MessageBytes& bytes) : pieces_(bytes.pieces()) {}
  /// Fills `out` as far as there are bytes; returns how many.
  std::size_t read(std::span<std::byte> out);

 private:
  const std::vector<std::string_view>& pieces_;
  std::size_t piece_ = 0;
  std::size_t at_ = 0;
};

/// The fields of final delivery: Return-Path (RFC 5321 §4.4) and Delivered-To (RFC 9228). Addresses are written by our own grammar,
/// so no line end can stand in them. Errors: "content.address".
Result<std::string> trace_fields(std::string_view reverse_path, std::string_view target);

}  // namespace postern::mailbox
