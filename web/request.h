/// The gate before the HTTP library: reads the head of a request strictly and keeps the little that pages need.
///
/// Trust: the bytes are the internet's. cpp-httplib 0.11.4 has no bound on fields, takes Content-Length beside Transfer-Encoding,
/// decodes %0D%0A in field values and builds a response a range for as long a list as it is sent. It never meets such a request: what it is given is
/// written anew (canonical_head()) from a Request, which can hold none of that. Source: RFC 9110, RFC 9112.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postern::web {

enum class Method : std::uint8_t { get = 1, head = 2 };

/// A request that may be answered.
struct Request {
  Method method = Method::get;
  std::string path;          ///< begins with '/', visible ASCII without '?' and '#'; not decoded: no page has a '%' in its name
  std::string host;          ///< lower case, without port; an allowed one
  bool keep_alive = false;   ///< the client lets the connection go on
};

/// Why one is not answered. The connection ends after it: where the next request would begin is not known.
struct Refusal {
  int status = 400;
  std::string_view why;      ///< a literal, for the client
};

/// Which names we answer to.
class Hosts {
 public:
  /// `names`: host names or addresses, any case. Empty: "localhost" and loopback addresses only, so that a name that somebody
  /// else points at us (DNS rebinding) opens nothing.
  /// `also`: names that are answered to whatever `names` says, lower case.
  explicit Hosts(const std::vector<std::string>& names = {}, std::vector<std::string> also = {});
  bool allows(std::string_view host) const;  ///< lower case, without port and brackets

 private:
  std::vector<std::string> names_, also_;
};

/// Collects a head as it arrives. Linear in the bytes, whatever their pieces.
class HeadCollector {
 public:
  /// Looks at `input`, which has only grown since the last call. The size of the head when it is whole, a refusal when it
  /// can no longer become a good one, else nothing yet.
  std::variant<std::monostate, std::size_t, Refusal> look(std::string_view input);
  void reset() { *this = HeadCollector(); }

 private:
  std::size_t scanned_ = 0;
  std::size_t line_ = 0;    // where the line begins that `scanned_` is in
  std::size_t lines_ = 0;   // complete ones
};

/// Judges a whole head, its empty line included.
std::variant<Request, Refusal> parse_head(std::string_view head, const Hosts& hosts);

/// The request as the library is shown it: a request line, Host, nothing else.
std::string canonical_head(const Request& request);

}  // namespace postern::web
