#include "deliver/mailbox/content.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

std::size_t PieceReader::read(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size() && piece_ < pieces_.size()) {
    const auto rest = pieces_[piece_].substr(at_);
    const std::size_t count = std::min(rest.size(), out.size() - done);
    std::memcpy(out.data() + done, rest.data(), count);
    done += count;
    at_ += count;
    if (at_ == pieces_[piece_].size()) {
      ++piece_;
      at_ = 0;
    }
  }
  return done;
}

Result<std::string> trace_fields(std::string_view reverse_path, std::string_view target) {
  constexpr std::string_view kControls("\0\r\n", 3);
  if (reverse_path.find_first_of(kControls) != std::string_view::npos || target.find_first_of(kControls) != std::string_view::npos)
    return failure("content.address", "a line end in " + text::printable(target));
  std::string fields = "Return-Path: <";
  fields.append(reverse_path).append(">\r\nDelivered-To: ").append(target).append("\r\n");
  if (fields.size() > limits::kTraceBytes) return failure("content.address", "an address too long for a field");
  return fields;
}

}  // namespace postern::mailbox
