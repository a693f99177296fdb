// Any bytes: what is read of a report is bounded and holds no control character.
#include <cstdint>

#include "base/check.h"
#include "base/text.h"
#include "mail/dsn.h"
#include "mail/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  using namespace postern::mail;
  const auto report = dsn::read({reinterpret_cast<const std::byte*>(data), size});
  if (!report) return 0;
  POSTERN_CHECK(!report->recipients.empty() && report->recipients.size() <= limits::kDsnRecipients);
  for (const auto& r : report->recipients) {
    POSTERN_CHECK(!r.final.empty() && !dsn::name_of(r.action).empty());
    for (const auto* text : {&r.original, &r.final, &r.status, &r.diagnostic, &r.remote_mta, &report->reporting_mta, &report->original_envelope_id,
                             &report->original_message_id})
      for (const char c : *text) POSTERN_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  }
  return 0;
}
