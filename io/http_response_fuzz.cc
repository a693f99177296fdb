// Fuzzes the response reader: in one piece and byte for byte it says the same, and no bound is passed.
#include "base/check.h"
#include "io/http_response.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  constexpr std::size_t kBody = 1000;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  io::HttpResponseReader whole(kBody), bytewise(kBody);
  const auto at_once = whole.feed(text);
  Result<bool> in_pieces(false);
  for (std::size_t i = 0; i < size && in_pieces && !*in_pieces; ++i) in_pieces = bytewise.feed(text.substr(i, 1));
  POSTERN_CHECK(at_once.has_value() == in_pieces.has_value());
  if (!at_once) return 0;
  POSTERN_CHECK(*at_once == *in_pieces);
  POSTERN_CHECK(whole.ended().has_value() == bytewise.ended().has_value());
  POSTERN_CHECK(whole.response().body == bytewise.response().body && whole.response().body.size() <= kBody);
  POSTERN_CHECK(whole.response().content_type == bytewise.response().content_type);
  return 0;
}
