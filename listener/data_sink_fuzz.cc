// Two readings of the same bytes must agree: all at once, and cut at places the input chooses. What is kept is canonical.
// The first two bytes choose mode and cut; the rest is the text.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "listener/data_sink.h"

namespace {

using namespace postern::listener;

struct Reading {
  std::size_t consumed = 0;
  bool ended = false;
  Fault fault = Fault::none;
  std::uint64_t size = 0;
  bool operator==(const Reading&) const = default;
};

Reading read(std::string_view text, std::size_t piece, BareNewline mode, bool chunks) {
  Budget budget(1 << 22);
  DataSink sink({.max_bytes = 1 << 20, .max_received = 5, .bare_newline = mode}, budget);
  Reading out;
  while (!text.empty() && !out.ended) {
    const auto now = text.substr(0, piece);
    if (chunks) {
      sink.feed_chunk(now);
      out.consumed += now.size();
      text.remove_prefix(now.size());
      continue;
    }
    const auto fed = sink.feed(now);
    POSTERN_CHECK(fed.consumed == now.size() || fed.ended);
    out.consumed += fed.consumed;
    out.ended = fed.ended;
    text.remove_prefix(fed.consumed);
  }
  if (chunks) sink.finish_chunks();
  out.fault = sink.fault();
  out.size = out.fault == Fault::none ? sink.size() : 0;
  POSTERN_CHECK(budget.used() == (out.fault == Fault::none ? sink.size() : 0));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto mode = (data[0] & 1) == 0 ? BareNewline::reject : BareNewline::normalize;
  const bool chunks = (data[0] & 2) != 0;
  const std::size_t piece = data[1] == 0 ? 1 : data[1];
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Reading whole = read(text, text.size(), mode, chunks);
  const Reading cut = read(text, piece, mode, chunks);
  const Reading bytes = read(text, 1, mode, chunks);
  // Sizes of faulty texts may differ, and which of two faults is met first; whether there is one may not.
  POSTERN_CHECK(whole.consumed == cut.consumed && cut.consumed == bytes.consumed);
  POSTERN_CHECK(whole.ended == cut.ended && cut.ended == bytes.ended);
  POSTERN_CHECK((whole.fault == Fault::none) == (cut.fault == Fault::none) && (cut.fault == Fault::none) == (bytes.fault == Fault::none));
  POSTERN_CHECK(whole.size == cut.size && cut.size == bytes.size);
  if (!chunks && whole.ended) POSTERN_CHECK(text.substr(0, whole.consumed).ends_with(".\r\n"));
  return 0;
}
