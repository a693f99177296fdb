// Any bytes as a record: an error or a record, and a record that was read is written and read again the same.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "deliver/mailbox/message_index.h"
#include "deliver/mailbox/schema.h"

namespace {
template <class R>
void check(std::string_view text) {
  using namespace postern::mailbox;
  const auto record = read_record<R>(postern::bytes_of(text));
  if (!record) return;
  const std::string written = write_record(*record);
  POSTERN_CHECK(written == text);  // one encoding for each record
  POSTERN_CHECK(read_record<R>(postern::bytes_of(written)));
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::mailbox;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check<DomainRecord>(text);
  check<AccountRecord>(text);
  check<AliasRecord>(text);
  check<UsageRecord>(text);
  check<FolderRecord>(text);
  check<MessageRecord>(text);
  check<BodyRecord>(text);
  check<DeliveredRecord>(text);
  static postern::mail::Charsets charsets;
  const IndexRow row = index_row(text, charsets);
  POSTERN_CHECK(row.subject.find_first_of("\r\n") == std::string::npos);
  return 0;
}
