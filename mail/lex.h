/// Tokens of structured header fields (RFC 5322 §3.2, RFC 2045 §5.1): folding white space, comments, atoms, quoted strings.
///
/// Trust: the text is a stranger's. Every call is total, moves forward only and never recurses; comments nest at most
/// limits::kCommentDepth deep. Line ends inside the text count as white space, since the text is one field's value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::mail::lex {

/// atext of RFC 5322 §3.2.3, with the non-ASCII bytes RFC 6532 §3.2 adds.
bool is_atext(char c);
/// A character of a MIME token (RFC 2045 §5.1): printable ASCII without tspecials.
bool is_token_char(char c);
/// Space, tab, CR or LF.
bool is_fws(char c);

/// A place in a text. Views it returns point into that text, which must outlive them.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool done() const { return at_ >= text_.size(); }
  /// The next character; NUL at the end (a NUL in the text is told apart by done()).
  char peek() const { return done() ? '\0' : text_[at_]; }
  std::size_t at() const { return at_; }
  std::string_view rest() const { return text_.substr(at_); }

  /// Passes `c` and returns true when it stands here.
  bool take(char c);
  /// Passes folding white space.
  void skip_fws();
  /// Passes folding white space and comments. False, and the cursor at the fault, when a comment does not end or nests
  /// deeper than limits::kCommentDepth. Source: RFC 5322 §3.2.2.
  bool skip_cfws();

  /// One or more atext; empty when none stands here. No CFWS is passed.
  std::string_view atom();
  /// atom *("." atom); empty when none stands here or a dot leads or trails (then the cursor stays).
  std::string_view dot_atom();
  /// One or more token characters; empty when none stands here.
  std::string_view token();
  /// The content of a quoted string, unquoted, its line ends dropped; nullopt (the cursor stays) when none stands here or
  /// it does not end. Source: RFC 5322 §3.2.4.
  std::optional<std::string> quoted_string();
  /// Everything up to one of `stops` or the end.
  std::string_view until(std::string_view stops);

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace postern::mail::lex
