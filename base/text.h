/// ASCII text as the mail RFCs use it: case folding, splitting, numbers, and making foreign bytes safe to show.
/// Nothing here knows a locale.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::text {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_space(char c) { return c == ' ' || c == '\t'; }  ///< WSP of RFC 5234

std::string to_lower(std::string_view text);  ///< ASCII only; other bytes stay
bool iequals(std::string_view a, std::string_view b);
bool istarts_with(std::string_view text, std::string_view prefix);
bool iends_with(std::string_view text, std::string_view suffix);

/// Without blanks, tabs, CR and LF at both ends.
std::string_view trim(std::string_view text);

/// The pieces between `separator`s; always at least one, views into `text`.
std::vector<std::string_view> split(std::string_view text, char separator);

/// A decimal number of at most `max`; nothing else may stand in `text`, not even a sign. Empty, overlong: nullopt.
std::optional<std::uint64_t> parse_uint(std::string_view text, std::uint64_t max);

/// `text` with every control character, backslash and byte that is not part of well-formed UTF-8 written as \xNN. At most `most`
/// bytes so written, cut between characters, then "...". What comes from outside is passed through here before a log or a terminal sees it.
std::string printable(std::string_view text, std::size_t most = 256);

/// Whether `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);
bool is_ascii(std::string_view text);

}  // namespace postern::text
