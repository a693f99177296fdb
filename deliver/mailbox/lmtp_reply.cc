#include "deliver/mailbox/lmtp_reply.h"

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

namespace {

constexpr std::size_t kRepliesAhead = 4 * limits::kLmtpRecipients;  // more than a transaction can ask for

tl::unexpected<Error> bad(std::string why) { return failure("lmtp.reply", std::move(why)); }

/// Takes an enhanced status code (RFC 2034 §4) of class `hundreds` off the front of `text`.
std::string take_enhanced(std::string_view& text, int hundreds) {
  const auto end = std::min(text.find(' '), text.size());
  const auto parts = text::split(text.substr(0, end), '.');
  if (parts.size() != 3 || parts[0] != std::to_string(hundreds) || !text::parse_uint(parts[1], 999) || !text::parse_uint(parts[2], 999))
    return {};
  std::string code(text.substr(0, end));
  text.remove_prefix(end == text.size() ? end : end + 1);
  return code;
}

}  // namespace

privsep::SmtpReply LmtpReply::to_smtp() const {
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : " ") + line;
  const auto made_up = is(2) ? "2.0.0" : is(5) ? "5.0.0" : "4.0.0";
  return {code, enhanced.empty() ? made_up : enhanced, text::printable(text, limits::kReplyTextBytes)};
}

Result<void> LmtpReplyReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto part = bytes.substr(0, end);
    if (line_.size() + part.size() > limits::kReplyLineBytes) return bad("a line that is too long");
    line_.append(part);
    if (end == std::string_view::npos) return {};
    bytes.remove_prefix(end + 1);
    std::string_view line(line_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    TRY(take_line(line));
    line_.clear();
  }
  return {};
}

Result<void> LmtpReplyReader::take_line(std::string_view line) {
  if (line.size() < 3) return bad("a line without a code");
  const auto code = text::parse_uint(line.substr(0, 3), 599);
  if (!code || *code < 200) return bad("a line without a code");
  const bool last = line.size() == 3 || line[3] == ' ';
  if (!last && line[3] != '-') return bad("a code followed by neither blank nor hyphen");
  if (!open_.lines.empty() && open_.code != *code) return bad("one reply with two codes");
  if (open_.lines.size() >= limits::kReplyLines) return bad("a reply of too many lines");
  open_.code = static_cast<std::uint16_t>(*code);
  auto text = line.size() > 4 ? line.substr(4) : std::string_view{};
  const auto enhanced = take_enhanced(text, open_.code / 100);
  if (open_.enhanced.empty()) open_.enhanced = enhanced;
  const auto kept = text.substr(0, limits::kReplyTextBytes - std::min(open_bytes_, limits::kReplyTextBytes));
  open_bytes_ += kept.size();
  open_.lines.emplace_back(kept);
  if (!last) return {};
  if (ready_.size() >= kRepliesAhead) return bad("more replies than questions");
  ready_.push_back(std::move(open_));
  open_ = {};
  open_bytes_ = 0;
  return {};
}

std::optional<LmtpReply> LmtpReplyReader::next() {
  if (ready_.empty()) return std::nullopt;
  LmtpReply reply = std::move(ready_.front());
  ready_.pop_front();
  return reply;
}

}  // namespace postern::mailbox
