// What any peer sends: input is {receiver, sender, descriptors and phase, frame}. Nothing crashes, what passes is what the table
// allows, and a message that decodes is written back byte for byte.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "privsep/frame.h"
#include "privsep/message_table.h"
#include "privsep/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::privsep;
  constexpr std::size_t kHead = 3;
  if (size < kHead) return 0;
  const auto role = [](std::uint8_t byte) { return kRoles[byte % kRoles.size()]; };
  const Receiving receiving{.self = role(data[0]), .peer = role(data[1]), .locked = (data[2] & 0x80) != 0};
  const std::size_t descriptors = data[2] & 0x7F;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + kHead, size - kHead);
  const auto frame = check_frame(bytes, descriptors, receiving);
  if (!frame) return 0;
  const Row& row = *frame->row;
  POSTERN_CHECK(row.from.has(receiving.peer) && row.to.has(receiving.self) && frame->payload.size() <= row.max_bytes && descriptors <= 1);
  POSTERN_CHECK(make_frame(row, frame->request, frame->payload) == bytes);
  Messages::each([&]<class M>() {
    if (M::row.number != row.number) return;
    if (const auto message = decode<M>(frame->payload)) POSTERN_CHECK(encode(*message) == frame->payload);
  });
  return 0;
}
