#include "mail/encoded_word.h"

#include <optional>

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/text.h"
#include "mail/header.h"
#include "mail/limits.h"
#include "mail/transfer.h"

namespace postern::mail {
namespace {

// One encoded word found in a text.
struct Word {
  std::string charset;
  std::string bytes;
  std::size_t length = 0;  // characters it took
};

std::string decode_q(std::string_view text) {
  std::string spaced(text);
  for (char& c : spaced)
    if (c == '_') c = ' ';
  // A blank at the end is meant here, unlike in a body: guard it.
  std::string out = decode_quoted_printable(spaced + "=00");
  if (!out.empty()) out.pop_back();
  return out;
}

// "=?" charset ["*" language] "?" encoding "?" encoded-text "?=" at the start of `text`.
std::optional<Word> word_at(std::string_view text) {
  if (!text.starts_with("=?")) return std::nullopt;
  text = text.substr(0, limits::kEncodedWordBytes);
  const auto charset_end = text.find('?', 2);
  if (charset_end == std::string_view::npos || charset_end == 2 || charset_end + 2 >= text.size() || text[charset_end + 2] != '?')
    return std::nullopt;
  const auto charset = text.substr(2, charset_end - 2);
  if (charset.find_first_of(" \t\r\n\"(),;<>@[]\\") != std::string_view::npos) return std::nullopt;
  const char encoding = text::lower(text[charset_end + 1]);
  const auto body = charset_end + 3;
  const auto end = text.find("?=", body);
  if (end == std::string_view::npos || (encoding != 'q' && encoding != 'b')) return std::nullopt;
  const auto encoded = text.substr(body, end - body);
  Word word;
  word.charset = text::to_lower(charset.substr(0, charset.find('*')));
  word.bytes = encoding == 'q' ? decode_q(encoded) : decode_base64(encoded);
  word.length = end + 2;
  return word;
}

// UTF-8 sequence length from its first byte; the text is well-formed.
std::size_t character_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

bool is_phrase_letter(char c) {
  return text::is_alpha(c) || text::is_digit(c) || std::string_view("!*+-/").find(c) != std::string_view::npos;
}

std::string encode_q(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ' ') out += '_';
    else if (is_phrase_letter(c)) out += c;
    else (out += '=', out += kDigits[byte >> 4], out += kDigits[byte & 15]);
  }
  return out;
}

}  // namespace

std::string decode_words(std::string_view value, Charsets& charsets) {
  const std::string line = unfold(value);
  std::string_view text = line;
  std::string out;
  std::string charset, pending;  // bytes of neighbours not yet converted
  const auto flush = [&] {
    out += charsets.to_utf8(pending, charset);
    pending.clear();
  };
  bool after_word = false;
  while (!text.empty()) {
    std::size_t blanks = 0;
    while (blanks < text.size() && text::is_space(text[blanks])) ++blanks;
    if (auto word = word_at(text.substr(blanks))) {
      const bool joins = after_word && word->charset == charset;
      if (!joins) flush();
      if (!after_word) out += text.substr(0, blanks);
      charset = std::move(word->charset);
      pending += word->bytes;
      text.remove_prefix(blanks + word->length);
      after_word = true;
      continue;
    }
    flush();
    after_word = false;
    std::size_t end = text.find("=?", blanks);  // up to where a word may begin, its blanks left for the next round
    if (end == blanks) end = text.find("=?", blanks + 2);
    if (end == std::string_view::npos) end = text.size();
    while (end > blanks + 1 && text::is_space(text[end - 1])) --end;
    out += charsets.to_utf8(text.substr(0, end), "us-ascii");  // raw bytes: the charset is for them to tell
    text.remove_prefix(end);
  }
  flush();
  return without_controls(out);
}

bool needs_encoding(std::string_view text) {
  if (text.find("=?") != std::string_view::npos) return true;
  for (char c : text)
    if (!text::is_space(c) && (c < '!' || c > '~')) return true;
  return false;
}

std::vector<std::string> encode_words(std::string_view utf8) {
  const std::string clean = repair_utf8(utf8);
  constexpr std::string_view kQ = "=?utf-8?q?", kB = "=?utf-8?b?";
  constexpr std::size_t kRoom = kEncodedWordCharacters - kQ.size() - 2;
  const bool use_q = encode_q(clean).size() <= (clean.size() + 2) / 3 * 4;
  const auto encode = [&](std::string_view piece) { return use_q ? encode_q(piece) : crypto::base64(bytes_of(piece)); };
  const auto cost = [&](std::string_view piece) { return use_q ? encode_q(piece).size() : (piece.size() + 2) / 3 * 4; };
  std::vector<std::string> words;
  std::string_view rest = clean;
  while (!rest.empty()) {
    std::size_t take = 0, used = 0;  // RFC 2047 §5: a word holds whole characters
    while (take < rest.size()) {
      const std::size_t next = character_length(rest[take]);
      const std::size_t grown = use_q ? used + cost(rest.substr(take, next)) : cost(rest.substr(0, take + next));
      if (grown > kRoom) break;
      used = grown;
      take += next;
    }
    words.push_back(std::string(use_q ? kQ : kB) + encode(rest.substr(0, take)) + "?=");
    rest.remove_prefix(take);
  }
  return words;
}

}  // namespace postern::mail
