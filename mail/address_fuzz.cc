// What any bytes give: no crash, and every address that is accepted survives being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "mail/address.h"
#include "mail/idn.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::mail;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto utf8 : {Utf8::refused, Utf8::allowed}) {
    const auto mailbox = parse_mailbox(text, utf8);
    if (mailbox) {
      const auto again = parse_mailbox(mailbox->to_string(), utf8);
      // An A-label form can be longer than the U-label form that was within the limit.
      if (mailbox->to_string().size() <= limits::kMailboxBytes && mailbox->local_part.size() * 2 + 2 <= limits::kLocalPartBytes)
        POSTERN_CHECK(again && *again == *mailbox);
      POSTERN_CHECK(mailbox->to_string().find_first_of("\r\n") == std::string::npos);
    }
    (void)parse_reverse_path(text, utf8);
    (void)parse_forward_path(text, utf8);
  }
  const auto list = parse_address_list(text);
  for (const auto& named : list.mailboxes) POSTERN_CHECK(named.mailbox.domain.find_first_of("\r\n") == std::string::npos);
  (void)idn::to_u_label(text);
  return 0;
}
