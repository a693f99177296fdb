// The address lists of header fields: a tokenizer that takes comments away, and a reader of members over its tokens.
#include <optional>
#include <span>

#include "base/ip.h"
#include "base/text.h"
#include "mail/address.h"
#include "mail/idn.h"
#include "mail/lex.h"
#include "mail/limits.h"

namespace postern::mail {
namespace {

enum class Kind : std::uint8_t { word = 1, quoted, literal, special, bad };

struct Token {
  Kind kind = Kind::bad;
  bool spaced = false;   // white space or a comment stands before it
  std::string text;
  bool is(char c) const { return kind == Kind::special && text.front() == c; }
};
using Tokens = std::span<const Token>;

// RFC 5322 §4.1: obs-NO-WS-CTL may stand in quotes and comments; NUL, CR and LF never can, not even behind a backslash.
bool breaks_line(char c) { return c == '\0' || c == '\r' || c == '\n'; }

class Tokenizer {
 public:
  explicit Tokenizer(std::string_view text) : text_(text) {}

  std::vector<Token> run() {
    std::vector<Token> tokens;
    for (;;) {
      bool broken = false;
      const bool spaced = skip_cfws(broken);
      if (broken) {
        tokens.push_back({Kind::bad, spaced, {}});
        return tokens;
      }
      if (at_ >= text_.size()) return tokens;
      Token token = next();
      token.spaced = spaced;
      tokens.push_back(std::move(token));
    }
  }

 private:
  // Whether anything was passed. A comment that does not end, nests too deep or holds a NUL or a bare line end is broken.
  bool skip_cfws(bool& broken) {
    const std::size_t start = at_;
    std::size_t depth = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (depth == 0 && c != '(' && !lex::is_fws(c)) break;
      if (depth != 0 && c == '\0') broken = true;
      if (c == '(' && ++depth > limits::kCommentDepth) broken = true;
      if (c == ')') --depth;
      if (c == '\\' && (++at_ >= text_.size() || breaks_line(text_[at_]))) broken = true;
      if (broken) return true;
    }
    broken = depth != 0;
    return at_ > start;
  }

  Token next() {
    const char c = text_[at_];
    if (lex::is_atext(c)) {
      const std::size_t start = at_;
      while (at_ < text_.size() && lex::is_atext(text_[at_])) ++at_;
      return {Kind::word, false, std::string(text_.substr(start, at_ - start))};
    }
    if (c == '"') return quoted();
    if (c == '[') return literal();
    ++at_;
    constexpr std::string_view kSpecials = "<>@,;:.";
    if (kSpecials.find(c) != std::string_view::npos) return {Kind::special, false, std::string(1, c)};
    return {};
  }

  Token quoted() {
    Token token{Kind::quoted, false, {}};
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '"') {
        ++at_;
        return token;
      }
      if (c == '\r' || c == '\n') continue;  // folding; its blank stays
      if (c == '\\') {
        if (++at_ >= text_.size()) break;
        c = text_[at_];
        if (breaks_line(c)) break;
      }
      if (c == '\0') break;
      token.text += c;
    }
    at_ = text_.size();
    return {};
  }

  // dtext without controls and backslashes: what a judge or a queue could use as a name anyway.
  Token literal() {
    const std::size_t start = at_++;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == ']') return {Kind::literal, false, text::to_lower(text_.substr(start, ++at_ - start))};
      if (c == '[' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F) break;
    }
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// RFC 5322 §2.2.3: a line may end inside a value only before a blank. A file with bare LF line ends is read all the same.
bool has_stray_line_end(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '\r' && (i + 1 == value.size() || value[i + 1] != '\n')) return true;
    if (value[i] == '\n' && (i + 1 == value.size() || !text::is_space(value[i + 1]))) return true;
  }
  return false;
}

std::string canonical_literal(const std::string& text) {
  constexpr std::string_view kTag = "ipv6:";
  std::string_view inside = std::string_view(text).substr(1, text.size() - 2);
  const bool v6 = text::istarts_with(inside, kTag);
  if (v6) inside.remove_prefix(kTag.size());
  const auto address = IpAddress::parse(inside);
  if (!address || address->is_v6() != v6) return text;
  return std::string(v6 ? "[IPv6:" : "[") + address->to_string() + "]";
}

// atom *("." atom), with the blanks between that obs-domain allows.
std::optional<std::string> read_domain(Tokens tokens) {
  if (tokens.size() == 1 && tokens[0].kind == Kind::literal) return canonical_literal(tokens[0].text);
  if (tokens.size() % 2 == 0) return std::nullopt;
  std::string name;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i % 2 == 0 ? tokens[i].kind != Kind::word : !tokens[i].is('.')) return std::nullopt;
    name += tokens[i].text;
  }
  if (text::is_ascii(name)) return text::to_lower(name);
  auto ascii = idn::to_a_label(name);
  if (!ascii) return std::nullopt;
  return *std::move(ascii);
}

// word *("." word) "@" domain; words beyond a dot-atom are obs-local-part (RFC 5322 §4.4).
std::optional<Mailbox> read_addr_spec(Tokens tokens) {
  Mailbox mailbox;
  std::size_t i = 0;
  for (;; ++i) {
    if (i >= tokens.size() || (tokens[i].kind != Kind::word && tokens[i].kind != Kind::quoted)) return std::nullopt;
    mailbox.local_part += tokens[i].text;
    if (++i >= tokens.size() || !tokens[i].is('.')) break;
    mailbox.local_part += '.';
  }
  if (i >= tokens.size() || !tokens[i].is('@') || !text::is_utf8(mailbox.local_part)) return std::nullopt;
  auto domain = read_domain(tokens.subspan(i + 1));
  if (!domain) return std::nullopt;
  mailbox.domain = *std::move(domain);
  return mailbox;
}

std::string join(Tokens tokens) {
  std::string out;
  for (const Token& token : tokens) {
    if (token.spaced && !out.empty()) out += ' ';
    out += token.text;
  }
  return out;
}

bool has_bad(Tokens tokens) {
  for (const Token& token : tokens)
    if (token.kind == Kind::bad) return true;
  return false;
}

// [display-name] "<" [obs-route] addr-spec ">" or addr-spec. Anything readable before the bracket is taken for a display name,
// also the unquoted address that many write there: what stands in the brackets is what replies and judges go by.
std::optional<NamedMailbox> read_mailbox(Tokens tokens) {
  if (has_bad(tokens)) return std::nullopt;
  std::size_t open = 0;
  while (open < tokens.size() && !tokens[open].is('<')) ++open;
  NamedMailbox named;
  Tokens spec = tokens;
  if (open < tokens.size()) {
    if (!tokens.back().is('>')) return std::nullopt;
    named.display_name = join(tokens.first(open));
    spec = tokens.subspan(open + 1, tokens.size() - open - 2);
    if (!spec.empty() && spec.front().is('@')) {
      std::size_t colon = 0;
      while (colon < spec.size() && !spec[colon].is(':')) ++colon;
      if (colon == spec.size()) return std::nullopt;
      spec = spec.subspan(colon + 1);
    }
  }
  auto mailbox = read_addr_spec(spec);
  if (!mailbox) return std::nullopt;
  named.mailbox = *std::move(mailbox);
  return named;
}

class ListReader {
 public:
  AddressList run(Tokens tokens) {
    std::size_t start = 0;
    bool in_angle = false;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Token& token = tokens[i];
      if (token.is('<')) in_angle = true;
      if (token.is('>')) in_angle = false;
      if (in_angle) continue;
      if (token.is(':')) open_group(tokens.subspan(start, i - start));
      else if (token.is(';')) close_group(tokens.subspan(start, i - start));
      else if (token.is(',')) member(tokens.subspan(start, i - start));
      else continue;
      start = i + 1;
    }
    member(tokens.subspan(start));
    if (in_group_) ++list_.malformed;  // a group without its ";"
    return std::move(list_);
  }

 private:
  void member(Tokens tokens) {
    if (tokens.empty()) return;  // obs-mbox-list: empty members
    auto named = read_mailbox(tokens);
    if (!named || list_.mailboxes.size() == limits::kHeaderMailboxes) {
      ++list_.malformed;
      return;
    }
    named->group = group_;
    list_.mailboxes.push_back(*std::move(named));
  }

  void open_group(Tokens name) {
    if (in_group_ || name.empty() || has_bad(name)) ++list_.malformed;
    in_group_ = true;
    group_ = join(name);
    ++list_.groups;
  }

  void close_group(Tokens last) {
    member(last);
    if (!in_group_) ++list_.malformed;
    in_group_ = false;
    group_.clear();
  }

  AddressList list_;
  std::string group_;
  bool in_group_ = false;
};

}  // namespace

AddressList parse_address_list(std::string_view value) {
  if (has_stray_line_end(value)) {
    AddressList broken;
    broken.malformed = 1;
    return broken;
  }
  const auto tokens = Tokenizer(value).run();
  return ListReader{}.run(tokens);
}

}  // namespace postern::mail
