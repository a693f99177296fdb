#include "verifier/content_checks.h"

#include <algorithm>
#include <cstring>

#include "mail/auth/authres.h"

namespace postern::verifier {

privsep::SmtpReply check_structure(ByteView message, const mail::HeaderBlockView& header, bool from_outside) {
  // RFC 5322 §3.1 and RFC 5321 §4.5.2: NUL has no place in mail, and readers disagree on what it ends.
  if (!message.empty() && std::memchr(message.data(), 0, message.size()) != nullptr)
    return {554, "5.6.0", "the message holds a NUL character"};
  if (from_outside) {
    const std::size_t authors = header.all("From").size();
    if (authors != 1) return {550, "5.7.1", "the message has " + std::to_string(authors) + " From fields; exactly one is needed"};
  }
  return {250, "2.0.0", "well-formed"};
}

std::vector<privsep::Cut> cuts_of(ByteView message, const mail::HeaderBlockView& header, std::string_view authserv_id) {
  std::vector<privsep::Cut> cuts;
  const char* start = text_of(message).data();
  for (const std::size_t index : mail::authres::forged_fields(header, authserv_id)) {
    const std::string_view raw = header.fields[index].raw;
    cuts.push_back({static_cast<std::uint64_t>(raw.data() - start), raw.size()});
  }
  return cuts;
}

}  // namespace postern::verifier
