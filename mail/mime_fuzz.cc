// Any bytes give a tree whose parts lie inside the message, within the bounds.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "mail/limits.h"
#include "mail/mime.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::mail;
  const ByteView message(reinterpret_cast<const std::byte*>(data), size);
  Charsets charsets;
  const auto tree = mime::parse(message, charsets);
  POSTERN_CHECK(!tree.parts.empty() && tree.parts.size() <= limits::kMimeParts);
  for (const auto& part : tree.parts) {
    POSTERN_CHECK(part.begin <= part.body && part.body <= part.end && part.end <= size);
    POSTERN_CHECK(part.depth <= limits::kMimeDepth);
    POSTERN_CHECK(mime::content(part, message).size() <= part.end - part.body);
    POSTERN_CHECK(part.filename.find_first_of("\r\n") == std::string::npos);
    POSTERN_CHECK(!mime::safe_filename(part.filename).empty());
  }
  return 0;
}
