/// The bounds of the mail layer's parsers and judges. Each names its unit and where it comes from; a test stands at the
/// limit and one past it.
#pragma once

#include <cstddef>

namespace postern::mail::limits {

// -- Header block (header.h) --
inline constexpr std::size_t kHeaderBytes = 1024 * 1024;       ///< bytes of a whole header block; our choice
inline constexpr std::size_t kHeaderFieldBytes = 256 * 1024;   ///< bytes of one field with its folding; our choice
inline constexpr std::size_t kHeaderFields = 10'000;           ///< fields of a message; our choice

// -- Tokens of structured fields (lex.h) --
inline constexpr std::size_t kCommentDepth = 64;               ///< nested comments (RFC 5322 §3.2.2 sets no bound)

// -- Tag=value lists (auth/tag_list.h) --
inline constexpr std::size_t kTagListTags = 100;               ///< tags of a list; RFC 6376 defines 16, our choice

}  // namespace postern::mail::limits
