// The gate under any bytes: whatever passes can be written anew, and reads back as the same request.
#include <cstdint>
#include <cstdlib>

#include "web/request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::web;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Hosts hosts({"localhost", "mail.example", "::1"});
  HeadCollector collector;
  // Byte by byte and at once must agree.
  auto seen = collector.look(input.substr(0, size / 2));
  if (std::holds_alternative<std::monostate>(seen)) seen = collector.look(input);
  HeadCollector at_once;
  if (at_once.look(input).index() != seen.index() && !std::holds_alternative<std::size_t>(seen)) std::abort();
  (void)parse_head(input, hosts);
  if (!std::holds_alternative<std::size_t>(seen)) return 0;
  const auto parsed = parse_head(input.substr(0, std::get<std::size_t>(seen)), hosts);
  const auto* request = std::get_if<Request>(&parsed);
  if (request == nullptr) return 0;
  const auto again = parse_head(canonical_head(*request), hosts);
  const auto* same = std::get_if<Request>(&again);
  if (same == nullptr || same->path != request->path || same->host != request->host || same->method != request->method) std::abort();
  return 0;
}
