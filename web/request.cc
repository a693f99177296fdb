#include "web/request.h"

#include <algorithm>

#include "base/ip.h"
#include "base/text.h"
#include "web/limits.h"

namespace postern::web {

namespace {

constexpr std::string_view kLineEnd = "\r\n";

// RFC 9110 §5.6.2: tchar.
bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return text::is_alpha(c) || text::is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}
// RFC 9110 §5.5: field-vchar and blanks. A control character in a field is the start of a trick.
bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7F); });
}
bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}
bool has_option(std::string_view list, std::string_view option) {
  for (const std::string_view element : text::split(list, ','))
    if (text::iequals(text::trim(element), option)) return true;
  return false;
}

/// host, without port and brackets, in lower case; nothing for what is neither name nor address. RFC 9110 §7.2.
std::optional<std::string> host_of(std::string_view authority) {
  std::string_view host = authority;
  std::string_view port;
  const bool literal = host.starts_with('[');
  const auto colon = literal ? host.find("]:") : host.find(':');
  if (literal && colon == std::string_view::npos && !host.ends_with(']')) return std::nullopt;
  if (colon != std::string_view::npos) {
    port = host.substr(colon + (literal ? 2 : 1));
    host = host.substr(0, colon + (literal ? 1 : 0));
    if (!text::parse_uint(port, 65535)) return std::nullopt;
  }
  if (literal) {
    host = host.substr(1, host.size() - 2);
    const auto address = IpAddress::parse(host);
    if (!address || !address->is_v6()) return std::nullopt;
    return address->to_string();
  }
  const auto is_name_char = [](char c) { return text::is_alpha(c) || text::is_digit(c) || c == '-' || c == '.' || c == '_'; };
  if (host.empty() || host.size() > 253 || !std::all_of(host.begin(), host.end(), is_name_char)) return std::nullopt;
  if (host.ends_with('.')) host.remove_suffix(1);
  return text::to_lower(host);
}

/// What the fields of a head say, as far as it matters here.
struct Fields {
  std::size_t hosts = 0;
  std::string_view host;
  std::size_t lengths = 0;
  std::string_view length;
  bool transfer_encoding = false;
  bool expect = false;
  bool close = false;
  bool keep_alive = false;
};

std::optional<Refusal> read_field(std::string_view line, Fields& fields) {
  const auto colon = line.find(':');
  // RFC 9112 §5.1, §5.2: no blank before the colon, no line that continues another.
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return Refusal{400, "a field line is malformed"};
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = text::trim(line.substr(colon + 1));
  if (!is_field_value(value)) return Refusal{400, "a field holds a control character"};
  if (text::iequals(name, "Host")) {
    ++fields.hosts;
    fields.host = value;
  } else if (text::iequals(name, "Content-Length")) {
    ++fields.lengths;
    fields.length = value;
  } else if (text::iequals(name, "Transfer-Encoding")) {
    fields.transfer_encoding = true;
  } else if (text::iequals(name, "Expect")) {
    fields.expect = true;
  } else if (text::iequals(name, "Connection")) {
    fields.close = fields.close || has_option(value, "close");
    fields.keep_alive = fields.keep_alive || has_option(value, "keep-alive");
  }
  return std::nullopt;
}

/// RFC 9112 §6.3: where two readers may disagree on the length of a body, a request can be smuggled. No page takes a body at all.
std::optional<Refusal> judge_body(const Fields& fields) {
  if (fields.transfer_encoding && fields.lengths > 0) return Refusal{400, "both Transfer-Encoding and Content-Length"};
  if (fields.transfer_encoding) return Refusal{501, "no transfer coding is taken"};
  if (fields.lengths > 1) return Refusal{400, "more than one Content-Length"};
  if (fields.lengths == 1) {
    const auto length = text::parse_uint(fields.length, UINT64_MAX);
    if (!length) return Refusal{400, "Content-Length is not a number"};
    if (*length > 0) return Refusal{413, "no page takes a body"};
  }
  if (fields.expect) return Refusal{417, "nothing can be expected"};  // RFC 9110 §10.1.1
  return std::nullopt;
}

struct RequestLine {
  std::string_view method, target, authority;
  bool is_1_0 = false;
};

/// RFC 9112 §3: method SP request-target SP HTTP-version.
std::variant<RequestLine, Refusal> read_request_line(std::string_view line) {
  const auto parts = text::split(line, ' ');
  if (parts.size() != 3 || !is_token(parts[0])) return Refusal{400, "the request line is malformed"};
  RequestLine out{.method = parts[0], .target = parts[1], .authority = {}, .is_1_0 = parts[2] == "HTTP/1.0"};
  if (!out.is_1_0 && parts[2] != "HTTP/1.1") return Refusal{505, "only HTTP/1.0 and HTTP/1.1 are spoken"};
  if (out.method != "GET" && out.method != "HEAD") return Refusal{405, "only GET and HEAD are taken"};
  if (out.target.size() > limits::kTargetBytes) return Refusal{414, "the request target is too long"};
  if (!is_visible(out.target)) return Refusal{400, "the request target is malformed"};
  // RFC 9112 §3.2.2: the absolute form, for proxies, must be understood too.
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text::istarts_with(out.target, scheme)) continue;
    const std::string_view rest = out.target.substr(scheme.size());
    const auto slash = rest.find('/');
    out.authority = rest.substr(0, slash);
    out.target = slash == std::string_view::npos ? std::string_view("/") : rest.substr(slash);
    if (out.authority.empty()) return Refusal{400, "the request target is malformed"};
  }
  out.target = out.target.substr(0, out.target.find('?'));
  if (!out.target.starts_with('/') || out.target.find('#') != std::string_view::npos) return Refusal{400, "the request target is malformed"};
  return out;
}

}  // namespace

Hosts::Hosts(const std::vector<std::string>& names, std::vector<std::string> also) : also_(std::move(also)) {
  for (const std::string& name : names) {
    const auto address = IpAddress::parse(name);
    names_.push_back(address ? address->to_string() : text::to_lower(name));
  }
}

bool Hosts::allows(std::string_view host) const {
  if (std::find(also_.begin(), also_.end(), host) != also_.end()) return true;
  if (!names_.empty()) return std::find(names_.begin(), names_.end(), host) != names_.end();
  if (host == "localhost") return true;
  const auto address = IpAddress::parse(host);
  return address && address->is_loopback();
}

std::variant<std::monostate, std::size_t, Refusal> HeadCollector::look(std::string_view input) {
  const std::size_t end = std::min(input.size(), limits::kHeadBytes);
  for (; scanned_ < end; ++scanned_) {
    const std::size_t length = scanned_ - line_;
    if (lines_ == 0 && length > limits::kRequestLineBytes) return Refusal{414, "the request line is too long"};
    if (length > limits::kFieldBytes) return Refusal{431, "a field is too long"};
    if (input[scanned_] != '\n') continue;
    // RFC 9112 §2.2 lets us take a bare LF for the end of a line; who does and who does not can be played against each other.
    if (length == 0 || input[scanned_ - 1] != '\r') return Refusal{400, "a line does not end in CR LF"};
    // RFC 9112 §2.2: an empty line before the request line would be let pass; no client of today sends one.
    if (length == 1) {
      if (lines_ == 0) return Refusal{400, "the request line is missing"};
      return scanned_ + 1;
    }
    line_ = scanned_ + 1;
    if (++lines_ > limits::kFields + 1) return Refusal{431, "too many fields"};
  }
  if (end == limits::kHeadBytes) return Refusal{431, "the head is too large"};
  return std::monostate{};
}

std::variant<Request, Refusal> parse_head(std::string_view head, const Hosts& hosts) {
  const auto next_line = [&head]() -> std::string_view {
    const auto end = head.find(kLineEnd);
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + kLineEnd.size());
    return line;
  };
  const auto first = read_request_line(next_line());
  if (const auto* refusal = std::get_if<Refusal>(&first)) return *refusal;
  const auto& line = std::get<RequestLine>(first);

  Fields fields;
  std::size_t count = 0;
  for (std::string_view field = next_line(); !field.empty(); field = next_line()) {
    if (++count > limits::kFields) return Refusal{431, "too many fields"};
    if (const auto refusal = read_field(field, fields)) return *refusal;
  }
  if (!head.empty()) return Refusal{400, "the head is malformed"};
  if (const auto refusal = judge_body(fields)) return *refusal;

  // RFC 9112 §3.2: exactly one Host, also in the absolute form, whose authority then counts (§3.2.2).
  if (fields.hosts != 1) return Refusal{400, "exactly one Host is needed"};
  const auto written = host_of(fields.host);
  const auto host = line.authority.empty() ? written : host_of(line.authority);
  if (!written || !host) return Refusal{400, "Host is malformed"};
  if (!hosts.allows(*host)) return Refusal{421, "no pages under this name"};

  Request request;
  request.method = line.method == "HEAD" ? Method::head : Method::get;
  request.path = line.target;
  request.host = *host;
  request.keep_alive = !fields.close && (!line.is_1_0 || fields.keep_alive);  // RFC 9112 §9.3
  return request;
}

std::string canonical_head(const Request& request) {
  const bool literal = request.host.find(':') != std::string::npos;
  std::string out = request.method == Method::head ? "HEAD " : "GET ";
  out.append(request.path).append(" HTTP/1.1\r\nHost: ");
  out.append(literal ? "[" : "").append(request.host).append(literal ? "]" : "").append("\r\n\r\n");
  return out;
}

}  // namespace postern::web
