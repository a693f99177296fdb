#include "deliver/remote/reply.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "deliver/remote/limits.h"

namespace postern::remote {

namespace {

/// "5.1.1" at the front of `line`, or "". RFC 3463 §2: a class digit, then numbers of one to three digits.
std::string_view enhanced_code(std::string_view line) {
  std::size_t at = 0;
  const auto digits = [&](std::size_t most) {
    const std::size_t begin = at;
    while (at < line.size() && at - begin < most && text::is_digit(line[at])) ++at;
    return at > begin;
  };
  const auto dot = [&] { return at < line.size() && line[at++] == '.'; };
  if (!digits(1) || !dot() || !digits(3) || !dot() || !digits(3)) return {};
  if (at < line.size() && line[at] != ' ') return {};
  return line.substr(0, at);
}

}  // namespace

privsep::SmtpReply ServerReply::told(std::size_t most) const {
  if (!is(2) && !is(4) && !is(5))
    return {451, "4.5.0", text::printable("unexpected reply " + std::to_string(code) + " " + lines.front(), most)};
  privsep::SmtpReply out{code, std::string(1, static_cast<char>('0' + code / 100)) + ".0.0", {}};
  const std::string_view enhanced = enhanced_code(lines.front());
  if (!enhanced.empty() && enhanced.front() == out.enhanced.front()) out.enhanced = enhanced;
  std::string words;
  for (std::string_view line : lines) {
    // RFC 2034 §4: every line repeats the code.
    if (!enhanced.empty() && line.starts_with(enhanced)) line.remove_prefix(enhanced.size());
    line = text::trim(line);
    if (line.empty()) continue;
    if (!words.empty()) words += ' ';
    words += line;
    if (words.size() > most) break;
  }
  out.text = text::printable(words, most);
  return out;
}

void shorten(privsep::SmtpReply& reply, std::size_t most) {
  if (reply.text.size() <= most) return;
  while (most > 0 && (static_cast<unsigned char>(reply.text[most]) & 0xC0U) == 0x80) --most;  // not inside a character
  reply.text.resize(most);
}

/// True: the reply is complete.
Result<bool> ReplyReader::take_line(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  // RFC 5321 §4.2: Reply-code = 2-5 0-5 0-9. The middle digit is not held against a server.
  const bool has_code = line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && text::is_digit(line[1]) && text::is_digit(line[2]);
  if (!has_code || (line.size() > 3 && line[3] != ' ' && line[3] != '-')) return failure("reply.syntax", "not an SMTP reply: " + text::printable(line, 80));
  const auto code = static_cast<std::uint16_t>((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
  if (!reply_.lines.empty() && code != reply_.code) return failure("reply.syntax", "the code changes within a reply");
  if (reply_.lines.size() == limits::kReplyLines) return failure("reply.long", "a reply of too many lines");
  reply_.code = code;
  reply_.lines.emplace_back(line.substr(std::min<std::size_t>(4, line.size())));
  return line.size() == 3 || line[3] == ' ';
}

Result<std::optional<ServerReply>> ReplyReader::read(std::string_view& input) {
  while (!input.empty()) {
    const std::size_t end = input.find('\n');
    const std::string_view part = input.substr(0, end == std::string_view::npos ? input.size() : end + 1);
    if (part.size() > limits::kReplyLineBytes - line_.size()) return failure("reply.long", "a line of a reply is too long");
    if (part.size() > limits::kReplyBytes - bytes_) return failure("reply.long", "a reply is too long");
    bytes_ += part.size();
    input.remove_prefix(part.size());
    if (end == std::string_view::npos) {
      line_ += part;
      break;
    }
    std::string_view line = part.substr(0, part.size() - 1);
    if (!line_.empty()) line = line_ += line;
    TRY_ASSIGN(const bool complete, take_line(line));
    line_.clear();
    if (!complete) continue;
    bytes_ = 0;
    return std::optional(std::exchange(reply_, {}));
  }
  return std::optional<ServerReply>();
}

Extensions parse_extensions(const ServerReply& reply) {
  Extensions out;
  struct Keyword {
    std::string_view name;
    bool Extensions::* flag;
  };
  static constexpr Keyword kKeywords[] = {
      {"STARTTLS", &Extensions::starttls}, {"PIPELINING", &Extensions::pipelining}, {"CHUNKING", &Extensions::chunking},
      {"BINARYMIME", &Extensions::binary_mime}, {"8BITMIME", &Extensions::eight_bit_mime}, {"SMTPUTF8", &Extensions::smtputf8},
      {"DSN", &Extensions::dsn}, {"SIZE", &Extensions::size}, {"REQUIRETLS", &Extensions::require_tls}};
  for (std::size_t i = 1; i < reply.lines.size(); ++i) {  // the first line is the server's name
    const auto words = text::split(text::trim(reply.lines[i]), ' ');
    for (const Keyword& keyword : kKeywords)
      if (text::iequals(words[0], keyword.name)) out.*keyword.flag = true;
    if (text::iequals(words[0], "SIZE") && words.size() > 1)
      out.most_bytes = text::parse_uint(words[1], std::numeric_limits<std::int64_t>::max()).value_or(0);
    if (text::iequals(words[0], "AUTH"))
      out.auth_plain = std::any_of(words.begin() + 1, words.end(), [](auto word) { return text::iequals(word, "PLAIN"); });
  }
  return out;
}

}  // namespace postern::remote
