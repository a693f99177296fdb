/// cpp-httplib's server, from a checked request to the bytes of its answer. It reads and writes memory only: sockets, TLS and deadlines
/// are Connection's, so that no client can hold a thread and none of the library's own reading from sockets is used.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "web/request.h"

namespace postern::web {

/// What a page is answered with.
struct Page {
  int status = 200;
  std::string_view type;                     ///< a literal
  std::shared_ptr<const std::string> body;
};

/// The page at `path` of `host` (lower case, without port, one that Hosts allows), or nothing where there is none.
using Pages = std::function<std::optional<Page>(std::string_view host, std::string_view path)>;

/// Whether the connection goes on after an answer.
enum class After : std::uint8_t { keep = 1, close = 2 };

struct Answer {
  int status = 0;
  std::string bytes;   ///< head and body as they go out
};

class HttpServer {
 public:
  HttpServer(Pages pages, const Clock& clock);
  ~HttpServer();

  Answer answer(const Request& request, After after);
  /// Ends the connection.
  Answer answer(const Refusal& refusal) const;

 private:
  class Library;
  const Clock& clock_;
  std::unique_ptr<Library> library_;
};

}  // namespace postern::web
