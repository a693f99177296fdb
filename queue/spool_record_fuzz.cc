// A row of the spool from bytes: the first says which kind. What decodes must encode to the same bytes again, in the newest version.
#include <cstdlib>

#include "queue/skim.h"

namespace {

template <class R>
void try_row(std::string_view bytes) {
  using namespace postern::queue;
  const auto row = decode_row<R>(bytes);
  if (!row) return;
  // A row of an older version comes out in the newest: its fields as they were, what was added empty.
  std::string expected(bytes);
  if (bytes.front() == 1) expected += missing_in_version_1<R>();
  expected.front() = static_cast<char>(kRowVersion);
  if (encode_row(*row) != expected) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern::queue;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 5) {
    case 0: try_row<MessageRecord>(bytes); break;
    case 1: try_row<ScheduleRecord>(bytes); break;
    case 2: {
      try_row<RecipientRecord>(bytes);
      // What is skimmed at the start must be what decoding would have found.
      RecipientRecord scratch;
      OpenRecipient open;
      const auto row = decode_row<RecipientRecord>(bytes);
      const Skim skim = skim_recipient(bytes, scratch, open);
      if ((skim == Skim::spoiled) == row.has_value()) std::abort();
      if (skim == Skim::open && (open.destination != row->destination || open.due != row->due)) std::abort();
      break;
    }
    case 3: try_row<AttemptRecord>(bytes); break;
    case 4: try_row<HistoryRecord>(bytes); break;
  }
  return 0;
}
