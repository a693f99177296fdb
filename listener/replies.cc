#include "listener/replies.h"

#include <algorithm>

#include "base/text.h"

namespace postern::listener {

namespace {

std::string line(std::uint16_t code, std::string_view enhanced, std::string_view words) {
  std::string out = std::to_string(code);
  for (const auto part : {enhanced, words}) {
    if (part.empty()) continue;
    out += ' ';
    out += part;
  }
  out += "\r\n";
  return out;
}

// class "." subject "." detail (RFC 3463 §2), of the class of the code.
bool fits(std::string_view enhanced, std::uint16_t code) {
  const auto parts = text::split(enhanced, '.');
  return parts.size() == 3 && text::parse_uint(parts[0], 9) == code / 100U && text::parse_uint(parts[1], 999) && text::parse_uint(parts[2], 999);
}

}  // namespace

std::string to_line(const Reply& reply) { return line(reply.code, reply.enhanced, reply.text); }

std::string to_line(const privsep::SmtpReply& reply) {
  constexpr std::size_t kWords = 400;  // a reply line has 512 octets (RFC 5321 §4.5.3.1.5)
  const bool possible = (reply.code >= 200 && reply.code < 300) || (reply.code >= 400 && reply.code < 600);
  if (!possible || !fits(reply.enhanced, reply.code)) return to_line(replies::kInternal);
  std::string words = text::printable(reply.text, kWords);
  // Without SMTPUTF8 a reply is ASCII; RFC 6531 §3.7.4.2 lets servers keep to ASCII always.
  std::replace_if(words.begin(), words.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  return line(reply.code, reply.enhanced, words);
}

}  // namespace postern::listener
