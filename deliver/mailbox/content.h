/// The bytes of a message as it is delivered (privsep/content.h), how they are read, and the fields of final delivery.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "privsep/content.h"

namespace postern::mailbox {

using MessageBytes = privsep::AssembledContent;
using MessageBytesPtr = std::shared_ptr<const MessageBytes>;  ///< a pool thread may hold it while the loop goes on

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
