#include "deliver/mailbox/content.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

Result<MessageBytesPtr> MessageBytes::open(const privsep::Content& content, const Fd& fd, std::uint64_t limit) {
  std::shared_ptr<MessageBytes> message(new MessageBytes());  // the constructor is private
  if (content.prefix.size() > limits::kPrefixBytes) return failure("content.prefix", "the fields in front are too long");
  message->prefix_ = content.prefix;
  TRY_ASSIGN(message->sealed_, io::SealedBody::open(fd, content.size, limit));
  TRY(message->set_pieces(text_of(message->sealed_.bytes()), content.cuts));
  return MessageBytesPtr(std::move(message));
}

Result<MessageBytesPtr> MessageBytes::of(const privsep::Content& content, Bytes body) {
  std::shared_ptr<MessageBytes> message(new MessageBytes());
  if (content.prefix.size() > limits::kPrefixBytes) return failure("content.prefix", "the fields in front are too long");
  message->prefix_ = content.prefix;
  message->copy_ = std::move(body);
  TRY(message->set_pieces(text_of(message->copy_), content.cuts));
  return MessageBytesPtr(std::move(message));
}

Result<void> MessageBytes::set_pieces(std::string_view body, const std::vector<privsep::Cut>& cuts) {
  if (cuts.size() > limits::kCuts) return failure("content.cuts", "too many stretches are left out");
  if (!prefix_.empty()) pieces_.push_back(prefix_);
  std::uint64_t at = 0;
  for (const auto& cut : cuts) {
    if (cut.offset < at || cut.offset > body.size() || cut.length > body.size() - cut.offset)
      return failure("content.cuts", "a stretch to leave out is not where it can be");
    if (cut.offset > at) pieces_.push_back(body.substr(at, cut.offset - at));
    at = cut.offset + cut.length;
  }
  if (at < body.size()) pieces_.push_back(body.substr(at));
  for (const auto piece : pieces_) size_ += piece.size();
  return {};
}

std::string MessageBytes::head(std::size_t most) const {
  std::string head;
  for (const auto piece : pieces_) {
    head += piece.substr(0, most - head.size());
    if (head.size() == most) break;
  }
  return head;
}

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
