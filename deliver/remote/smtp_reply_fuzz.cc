// Fuzzes the reader of replies: bounds hold, pieces of any size read alike, and what is told is printable and on one line.
#include <algorithm>

#include "base/check.h"
#include "base/text.h"
#include "deliver/remote/limits.h"
#include "deliver/remote/reply.h"

namespace {

using namespace postern;

std::vector<remote::ServerReply> read_all(std::string_view text, std::size_t piece, bool& failed) {
  std::vector<remote::ServerReply> out;
  remote::ReplyReader reader;
  failed = false;
  while (!text.empty()) {
    std::string_view part = text.substr(0, piece);
    text.remove_prefix(part.size());
    while (!part.empty()) {
      auto reply = reader.read(part);
      failed = !reply;
      if (failed) return out;
      if (*reply) out.push_back(std::move(**reply));
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  bool failed = false, failed_in_bytes = false;
  const auto whole = read_all(text, std::max<std::size_t>(size, 1), failed);
  const auto bytes = read_all(text, 1, failed_in_bytes);
  POSTERN_CHECK(failed == failed_in_bytes && whole.size() == bytes.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    POSTERN_CHECK(whole[i].code == bytes[i].code && whole[i].lines == bytes[i].lines);
    POSTERN_CHECK(!whole[i].lines.empty() && whole[i].lines.size() <= remote::limits::kReplyLines);
    const auto told = whole[i].told(remote::limits::kReplyTextBytes);
    POSTERN_CHECK(told.code >= 200 && told.code < 600 && told.enhanced.front() - '0' == told.code / 100);
    POSTERN_CHECK(std::none_of(told.text.begin(), told.text.end(), [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }));
    POSTERN_CHECK(told.text.size() <= remote::limits::kReplyTextBytes + 8);
    (void)remote::parse_extensions(whole[i]);
  }
  return 0;
}
