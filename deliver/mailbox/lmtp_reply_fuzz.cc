// Any bytes as what an LMTP server says, in two parts: the reader and a session at work with three recipients always end in order.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/lmtp_session.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::mailbox;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = text.empty() ? 0 : data[0] % (text.size() + 1);

  LmtpReplyReader reader;
  if (reader.feed(text.substr(0, cut)) && reader.feed(text.substr(cut)))
    while (const auto reply = reader.next()) {
      POSTERN_CHECK(reply->code >= 200 && reply->code <= 599 && reply->lines.size() <= limits::kReplyLines);
      POSTERN_CHECK(reply->to_smtp().text.find_first_of("\r\n") == std::string::npos);
    }

  LmtpSession session("us.example");
  for (const auto part : {std::string_view("220 hi\r\n250-x\r\n250 PIPELINING\r\n"), text.substr(0, cut), text.substr(cut)}) {
    const auto fed = session.feed(part);
    if (session.ready() && fed && !session.must_close()) {
      if (const auto outcome = session.take_outcome()) POSTERN_CHECK(outcome->size() == 3);
      LmtpMessage message;
      message.recipients = {"a@x", "b@x", "c@x"};
      message.bytes = MessageBytes::of({}, to_bytes("A: b\r\n\r\n.x\r\n")).value();
      session.deliver(std::move(message));
    }
    while (!session.output().empty()) {
    }
    if (!fed) {
      if (session.at_work()) POSTERN_CHECK(session.fail(fed.error()).size() == 3);
      break;
    }
  }
  return 0;
}
