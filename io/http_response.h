/// Reads one HTTP/1.1 response, as far as a bounded GET of a small file needs it (RFC 9110, RFC 9112).
///
/// Trust: every byte is a stranger's. Head and body are bounded; a response framed in two ways is refused (RFC 9112 §6.3), so are
/// folded fields. Pure: bytes in, values out. Content codings are not undone; ask without Accept-Encoding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postern::io {

struct HttpResponse {
  unsigned status = 0;       ///< 200–599
  std::string content_type;  ///< the media type in lower case, without parameters; empty where none is named
  std::string body;
};

class HttpResponseReader {
 public:
  static constexpr std::size_t kHeadBytes = 16 * 1024;  ///< of status line and fields; ours
  static constexpr std::size_t kFields = 200;           ///< of a head; ours

  explicit HttpResponseReader(std::size_t most_body) : most_body_(most_body) {}

  /// Takes bytes as they come. True: the response is complete, what follows is not looked at.
  /// Errors, after which the connection is of no use: "http.syntax", "http.large".
  Result<bool> feed(std::string_view bytes);
  /// The server ended the connection in order. Errors: "http.syntax" (in the middle of something).
  Result<void> ended();
  /// The response; complete after feed() said true or ended() did not fail.
  const HttpResponse& response() const { return response_; }

 private:
  enum class At : std::uint8_t { head, counted, chunk_size, chunk_data, chunk_end, trailer, open_end, done };

  Result<void> read_head(std::string_view head);
  Result<void> read_field(std::string_view line);
  Result<void> choose_framing();
  Result<bool> read_line(std::string_view line);
  Result<void> keep(std::string_view bytes);

  std::size_t most_body_;
  At at_ = At::head;
  std::string pending_;  // the begun head or line
  std::uint64_t left_ = 0;
  bool has_length_ = false, has_coding_ = false;
  std::size_t trailers_ = 0;
  HttpResponse response_;
};

}  // namespace postern::io
