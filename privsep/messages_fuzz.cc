// Any bytes as the payload of every message: what decodes is written back byte for byte, so there is one way to say a thing.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "privsep/message_table.h"
#include "privsep/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::privsep;
  const std::string_view payload(reinterpret_cast<const char*>(data), size);
  Messages::each([&]<class M>() {
    if (const auto message = decode<M>(payload)) POSTERN_CHECK(encode(*message) == payload);
  });
  return 0;
}
