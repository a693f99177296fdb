/// Content transfer encodings: base64 and quoted-printable, read tolerantly and written strictly.
///
/// Trust: what is decoded is a stranger's. Decoding is total and never grows its input.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::mail {

/// Source: RFC 2045 §6.
enum class TransferEncoding : std::uint8_t { identity = 1, base64 = 2, quoted_printable = 3, unknown = 4 };

/// The encoding a Content-Transfer-Encoding value names: 7bit, 8bit and binary are identity; empty is identity.
TransferEncoding transfer_encoding_of(std::string_view value);

/// Skips what is not of the alphabet and stops at padding that ends a quantum (RFC 2045 §6.8 says to ignore the rest);
/// a missing padding is forgiven.
std::string decode_base64(std::string_view text);

/// "=XX" in either case, soft line breaks, blanks before a line end dropped; a "=" that is neither stays (RFC 2045 §6.7).
std::string decode_quoted_printable(std::string_view text);

/// Lines of 76 characters that end in CRLF. Source: RFC 2045 §6.8.
std::string encode_base64_lines(std::string_view bytes);

/// Lines of at most 76 characters; CRLF and bare LF in `text` become line ends, everything else that must be is encoded,
/// "From " and a lone dot at a line's start too. Source: RFC 2045 §6.7.
std::string encode_quoted_printable(std::string_view text);

}  // namespace postern::mail
