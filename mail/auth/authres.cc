#include "mail/auth/authres.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "mail/charset.h"
#include "mail/dns.h"
#include "mail/idn.h"
#include "mail/lex.h"
#include "mail/limits.h"

namespace postern::mail::authres {
namespace {

constexpr std::size_t kLineWish = 78;  // RFC 5322 §2.1.1

// At most so many bytes, whole characters, without controls.
std::string clean(std::string_view text) {
  std::string out = without_controls(repair_utf8(text.substr(0, limits::kAuthresValueBytes)));
  return out;
}

bool is_keyword(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '_'; });
}

// value = token / [[local-part] "@"] domain-name, bare; everything else is quoted.
bool is_bare(std::string_view value) {
  if (value.empty()) return false;
  const auto at = value.find('@');
  const auto local = at == std::string_view::npos ? std::string_view{} : value.substr(0, at);
  const auto rest = at == std::string_view::npos ? value : value.substr(at + 1);
  const auto is_local = [](char c) { return (lex::is_atext(c) || c == '.') && static_cast<unsigned char>(c) < 0x80; };
  return !rest.empty() && std::all_of(local.begin(), local.end(), is_local) && std::all_of(rest.begin(), rest.end(), lex::is_token_char);
}

std::string quote(std::string_view value) {
  std::string out = "\"";
  for (char c : value) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string as_value(std::string_view value) {
  const std::string safe = clean(value);
  return is_bare(safe) ? safe : quote(safe);
}

// The words of a comment; a fold may stand between any two.
std::vector<std::string> comment_words(std::string_view comment) {
  std::string out = "(";
  for (char c : clean(comment)) {
    if (c == '(' || c == ')' || c == '\\') out += '\\';
    out += c;
  }
  out += ')';
  std::vector<std::string> words;
  for (auto word : text::split(out, ' '))
    if (!word.empty()) words.emplace_back(word);
  return words;
}

std::vector<std::string> words_of(const MethodResult& result) {
  std::vector<std::string> words{result.method + "=" + result.result};
  if (!result.comment.empty())
    for (auto& word : comment_words(result.comment)) words.push_back(std::move(word));
  if (!result.reason.empty()) words.push_back("reason=" + quote(clean(result.reason)));
  for (const Property& property : result.properties)
    if (is_keyword(property.type) && is_keyword(property.name)) words.push_back(property.type + "." + property.name + "=" + as_value(property.value));
  return words;
}

}  // namespace

std::string_view MethodResult::find(std::string_view type, std::string_view name) const {
  for (const Property& property : properties)
    if (text::iequals(property.type, type) && text::iequals(property.name, name)) return property.value;
  return {};
}

std::string write(std::string_view authserv_id, std::span<const MethodResult> results) {
  std::string out = as_value(authserv_id);
  bool any = false;
  for (const MethodResult& result : results) {
    if (!is_keyword(result.method) || !is_keyword(result.result)) continue;
    any = true;
    out += ";";
    std::size_t column = kLineWish;  // the first word begins a line
    for (const std::string& word : words_of(result)) {
      const bool fold = column + 1 + word.size() > kLineWish;
      out += fold ? "\r\n\t" : " ";
      column = (fold ? 8 : column + 1) + word.size();
      out += word;
    }
  }
  return any ? out : out + "; none";
}

namespace {

// token or quoted-string or what stands up to a blank, ";" or comment.
std::string take_value(lex::Cursor& cursor) {
  if (auto quoted = cursor.quoted_string()) {
    // "local part"@domain
    const auto rest = cursor.until(" \t\r\n;(");
    return rest.empty() ? *std::move(quoted) : quote(*quoted) + std::string(rest);
  }
  return std::string(cursor.until(" \t\r\n;("));
}

Result<Property> take_property(lex::Cursor& cursor) {
  const auto syntax = [] { return failure("authres.syntax", "a property that is none"); };
  Property property;
  property.type = cursor.until(" \t\r\n;(=.");
  if (!cursor.skip_cfws()) return syntax();
  if (cursor.take('.')) {
    if (!cursor.skip_cfws()) return syntax();
    property.name = cursor.until(" \t\r\n;(=");
    if (!cursor.skip_cfws()) return syntax();
  }
  if (!cursor.take('=') || !cursor.skip_cfws() || !is_keyword(property.type)) return syntax();
  property.value = take_value(cursor);
  return property;
}

// One resinfo, up to the ";" after it.
Result<MethodResult> take_result(lex::Cursor& cursor) {
  const auto syntax = [](const char* why) { return failure("authres.syntax", why); };
  MethodResult result;
  result.method = text::to_lower(cursor.until(" \t\r\n;(=/"));
  if (!cursor.skip_cfws()) return syntax("a comment that does not end");
  if (result.method == "none" && (cursor.done() || cursor.peek() == ';')) return result;
  if (cursor.take('/')) {
    (void)cursor.until("=;");  // the method's version
  }
  if (!is_keyword(result.method) || !cursor.take('=') || !cursor.skip_cfws()) return syntax("a method without a result");
  result.result = text::to_lower(cursor.until(" \t\r\n;("));
  if (!is_keyword(result.result)) return syntax("a result that is no word");
  for (;;) {
    if (!cursor.skip_cfws()) return syntax("a comment that does not end");
    if (cursor.done() || cursor.peek() == ';') return result;
    TRY_ASSIGN(auto property, take_property(cursor));
    if (property.name.empty() && text::iequals(property.type, "reason")) result.reason = std::move(property.value);
    else if (result.properties.size() == limits::kAuthresProperties) return failure("authres.too-many", "too many properties");
    else result.properties.push_back(std::move(property));
  }
}

std::optional<std::string> take_id(lex::Cursor& cursor) {
  if (!cursor.skip_cfws()) return std::nullopt;
  auto quoted = cursor.quoted_string();
  std::string id = quoted ? *std::move(quoted) : std::string(cursor.until(" \t\r\n;(/"));
  if (id.empty() || id.front() == '"' || !text::is_utf8(id) || without_controls(id) != id) return std::nullopt;
  return id;
}

std::string comparable(std::string_view id) {
  auto ascii = idn::to_a_label(text::trim(id));
  return ascii ? *std::move(ascii) : dns::canonical(text::trim(id));
}

}  // namespace

Result<Parsed> parse(std::string_view value) {
  lex::Cursor cursor(value);
  auto id = take_id(cursor);
  if (!id) return failure("authres.syntax", "no authserv-id");
  Parsed parsed{*std::move(id), {}};
  if (!cursor.skip_cfws()) return failure("authres.syntax", "a comment that does not end");
  (void)cursor.until(";");  // the version
  while (cursor.take(';')) {
    if (!cursor.skip_cfws()) return failure("authres.syntax", "a comment that does not end");
    if (cursor.done() || cursor.peek() == ';') continue;
    TRY_ASSIGN(auto result, take_result(cursor));
    if (result.method == "none" && result.result.empty()) continue;
    if (parsed.results.size() == limits::kAuthresResults) return failure("authres.too-many", "too many results");
    parsed.results.push_back(std::move(result));
  }
  if (!cursor.done()) return failure("authres.syntax", "something stands after a result");
  return parsed;
}

std::vector<std::size_t> to_strip(const HeaderBlockView& header, std::string_view authserv_id) {
  const std::string ours = comparable(authserv_id);
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < header.fields.size(); ++i) {
    if (!header.fields[i].is("Authentication-Results")) continue;
    lex::Cursor cursor(header.fields[i].value);
    const auto id = take_id(cursor);
    if (!id || comparable(*id) == ours) found.push_back(i);
  }
  return found;
}

std::vector<std::size_t> forged_fields(const HeaderBlockView& header, std::string_view authserv_id) {
  auto found = to_strip(header, authserv_id);
  for (std::size_t i = 0; i < header.fields.size(); ++i) {
    const auto& field = header.fields[i];
    if (field.is("Return-Path") || text::istarts_with(field.name, "X-Spam-") || field.is("BIMI-Location") || field.is("BIMI-Indicator"))
      found.push_back(i);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace postern::mail::authres
