#include "io/http_response.h"

#include <algorithm>
#include <utility>

#include "base/text.h"

namespace postern::io {
namespace {

constexpr std::size_t kLineBytes = 1024;  // of a chunk's size with extensions, or of a trailer field; ours

tl::unexpected<Error> wrong(std::string_view what) { return failure("http.syntax", "not HTTP: " + std::string(what)); }

// chunk-size = 1*HEXDIG (RFC 9112 §7.1); eight digits are more than any body we take.
Result<std::uint64_t> chunk_size(std::string_view line) {
  const std::string_view digits = text::trim(line.substr(0, line.find(';')));
  if (digits.empty() || digits.size() > 8) return wrong("a chunk's size");
  std::uint64_t size = 0;
  for (const char c : digits) {
    const char d = text::lower(c);
    if (!text::is_digit(d) && !(d >= 'a' && d <= 'f')) return wrong("a chunk's size");
    size = size * 16 + static_cast<unsigned>(text::is_digit(d) ? d - '0' : d - 'a' + 10);
  }
  return size;
}

}  // namespace

Result<bool> HttpResponseReader::feed(std::string_view bytes) {
  while (!bytes.empty() && at_ != At::done) {
    if (at_ == At::counted || at_ == At::chunk_data || at_ == At::open_end) {
      const std::size_t take = at_ == At::open_end ? bytes.size() : static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      TRY(keep(bytes.substr(0, take)));
      bytes.remove_prefix(take);
      left_ -= at_ == At::open_end ? 0 : take;
      if (left_ == 0 && at_ == At::counted) at_ = At::done;
      if (left_ == 0 && at_ == At::chunk_data) at_ = At::chunk_end;
      continue;
    }
    // Lines: one byte after the other, since a head may be cut anywhere.
    const auto end = bytes.find('\n');
    const std::size_t take = end == std::string_view::npos ? bytes.size() : end + 1;
    if (pending_.size() + take > (at_ == At::head ? kHeadBytes : kLineBytes)) return failure("http.large", "a head or line without an end");
    pending_.append(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (end == std::string_view::npos) break;
    if (at_ == At::head && !pending_.ends_with("\r\n\r\n")) continue;
    const std::string line = std::exchange(pending_, {});
    if (!line.ends_with("\r\n")) return wrong("a line that ends in LF alone");
    TRY(read_line(std::string_view(line).substr(0, line.size() - 2)));
  }
  return at_ == At::done;
}

Result<void> HttpResponseReader::ended() {
  if (at_ == At::open_end) at_ = At::done;
  if (at_ != At::done) return wrong("the response was cut");
  return {};
}

Result<bool> HttpResponseReader::read_line(std::string_view line) {
  switch (at_) {
    case At::head: TRY(read_head(line)); return true;
    case At::chunk_size: {
      TRY_ASSIGN(left_, chunk_size(line));
      at_ = left_ == 0 ? At::trailer : At::chunk_data;
      return true;
    }
    case At::chunk_end:
      if (!line.empty()) return wrong("a chunk longer than it says");
      at_ = At::chunk_size;
      return true;
    case At::trailer:
      if (line.empty()) at_ = At::done;
      else if (++trailers_ > kFields) return failure("http.large", "too many trailer fields");
      return true;
    case At::counted:
    case At::chunk_data:
    case At::open_end:
    case At::done: break;
  }
  return true;
}

Result<void> HttpResponseReader::read_head(std::string_view head) {
  // status-line = HTTP-version SP status-code SP [reason-phrase] (RFC 9112 §4)
  const auto first = head.find("\r\n");
  const std::string_view line = head.substr(0, first);
  if (!line.starts_with("HTTP/1.") || line.size() < 12 || !text::is_digit(line[7]) || line[8] != ' ') return wrong("the status line");
  const auto status = text::parse_uint(line.substr(9, 3), 599);
  if (!status || *status < 200 || (line.size() > 12 && line[12] != ' ')) return wrong("the status line");
  response_.status = static_cast<unsigned>(*status);
  std::string_view fields = first == std::string_view::npos ? "" : head.substr(first + 2);
  for (std::size_t count = 0; !fields.empty(); ++count) {
    if (count == kFields) return failure("http.large", "too many fields");
    const auto end = fields.find("\r\n");
    TRY(read_field(fields.substr(0, end)));
    fields = end == std::string_view::npos ? "" : fields.substr(end + 2);
  }
  return choose_framing();
}

Result<void> HttpResponseReader::read_field(std::string_view line) {
  if (line.empty()) return {};
  const auto colon = line.find(':');
  // RFC 9112 §5.1, §5.2: no blank before the colon, no folding.
  if (colon == std::string_view::npos || colon == 0 || line.substr(0, colon).find_first_of(" \t\r\n") != std::string_view::npos)
    return wrong("a field");
  const std::string_view name = line.substr(0, colon), value = text::trim(line.substr(colon + 1));
  if (text::iequals(name, "content-type")) response_.content_type = text::to_lower(text::trim(value.substr(0, value.find(';'))));
  if (text::iequals(name, "content-length")) {
    const auto length = text::parse_uint(value, UINT64_MAX / 2);
    if (!length || (has_length_ && *length != left_)) return wrong("Content-Length");
    has_length_ = true;
    left_ = *length;
  }
  if (text::iequals(name, "transfer-encoding")) {
    if (has_coding_ || !text::iequals(value, "chunked")) return wrong("a transfer coding other than chunked");
    has_coding_ = true;
  }
  return {};
}

// RFC 9112 §6.3
Result<void> HttpResponseReader::choose_framing() {
  if (has_coding_ && has_length_) return wrong("two framings");
  if (response_.status == 204 || response_.status == 304) {
    at_ = At::done;
    return {};
  }
  if (has_length_ && left_ > most_body_) return failure("http.large", "the body is larger than " + std::to_string(most_body_) + " bytes");
  at_ = has_coding_ ? At::chunk_size : !has_length_ ? At::open_end : left_ == 0 ? At::done : At::counted;
  return {};
}

Result<void> HttpResponseReader::keep(std::string_view bytes) {
  if (bytes.size() > most_body_ - response_.body.size())
    return failure("http.large", "the body is larger than " + std::to_string(most_body_) + " bytes");
  response_.body.append(bytes);
  return {};
}

}  // namespace postern::io
