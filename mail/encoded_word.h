/// Encoded words: text beyond ASCII in header fields (RFC 2047).
///
/// Trust: what is decoded is a stranger's. The result is UTF-8 without a control character, so it is one line; it is for
/// showing, never for parsing: an address is parsed first and its display name decoded after.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "mail/charset.h"

namespace postern::mail {

inline constexpr std::size_t kEncodedWordCharacters = 75;  ///< RFC 2047 §2

/// A field's value (folded or not) for people: unfolded, encoded words decoded, blanks between two of them dropped, the bytes
/// of neighbours in one charset joined before conversion. What is not well-formed stays as it is. Total.
/// Source: RFC 2047 §5 and §6.2, RFC 2231 §5 (a language after the charset is dropped).
std::string decode_words(std::string_view value, Charsets& charsets);

/// Whether `text` must be encoded to stand in a header: anything but printable ASCII and blanks, or what looks like "=?".
bool needs_encoding(std::string_view text);

/// `utf8` as encoded words of UTF-8, each at most kEncodedWordCharacters long and whole characters; bytes that are not UTF-8
/// become U+FFFD. "B" or "Q", whichever is shorter; the "Q" letters are those a phrase may have (RFC 2047 §5 (3)).
std::vector<std::string> encode_words(std::string_view utf8);

}  // namespace postern::mail
