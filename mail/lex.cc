#include "mail/lex.h"

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::lex {

bool is_atext(char c) {
  if (text::is_alpha(c) || text::is_digit(c) || static_cast<unsigned char>(c) >= 0x80) return true;
  return c != '\0' && std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

bool is_token_char(char c) {
  return c > ' ' && c < '\x7f' && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

bool is_fws(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

bool Cursor::take(char c) {
  if (done() || text_[at_] != c) return false;
  ++at_;
  return true;
}

void Cursor::skip_fws() {
  while (!done() && is_fws(text_[at_])) ++at_;
}

bool Cursor::skip_cfws() {
  std::size_t depth = 0;
  for (; !done(); ++at_) {
    const char c = text_[at_];
    if (c == '(') {
      if (depth == limits::kCommentDepth) return false;
      ++depth;
    } else if (depth == 0) {
      if (!is_fws(c)) return true;
    } else if (c == ')') {
      --depth;
    } else if (c == '\\' && at_ + 1 < text_.size()) {
      ++at_;  // RFC 5322 §3.2.1: a quoted pair
    }
  }
  return depth == 0;
}

std::string_view Cursor::atom() {
  const std::size_t start = at_;
  while (!done() && is_atext(text_[at_])) ++at_;
  return text_.substr(start, at_ - start);
}

std::string_view Cursor::dot_atom() {
  const std::size_t start = at_;
  do {
    if (atom().empty()) {
      at_ = start;
      return {};
    }
  } while (take('.'));
  return text_.substr(start, at_ - start);
}

std::string_view Cursor::token() {
  const std::size_t start = at_;
  while (!done() && is_token_char(text_[at_])) ++at_;
  return text_.substr(start, at_ - start);
}

std::optional<std::string> Cursor::quoted_string() {
  if (peek() != '"') return std::nullopt;
  std::string out;
  for (std::size_t i = at_ + 1; i < text_.size(); ++i) {
    char c = text_[i];
    if (c == '"') {
      at_ = i + 1;
      return out;
    }
    if (c == '\\' && i + 1 < text_.size()) c = text_[++i];
    if (c != '\r' && c != '\n') out.push_back(c);
  }
  return std::nullopt;
}

std::string_view Cursor::until(std::string_view stops) {
  const std::size_t start = at_;
  while (!done() && stops.find(text_[at_]) == std::string_view::npos) ++at_;
  return text_.substr(start, at_ - start);
}

}  // namespace postern::mail::lex
