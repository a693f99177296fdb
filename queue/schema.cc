#include "queue/schema.h"

#include "base/text.h"
#include "io/lmdb.h"

namespace postern::queue {

std::string_view name_of(Route route) {
  switch (route) {
    case Route::local: return "local";
    case Route::remote: return "remote";
  }
  return "";
}

std::string_view name_of(RecipientState state) {
  switch (state) {
    case RecipientState::waiting: return "waiting";
    case RecipientState::delivered: return "delivered";
    case RecipientState::relayed:
    case RecipientState::relayed_blind: return "relayed";
    case RecipientState::failed: return "failed";
    case RecipientState::dropped: return "dropped";
  }
  return "";
}

std::string domain_of(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos) return {};
  auto domain = address.substr(at + 1);
  if (domain.ends_with('.')) domain.remove_suffix(1);
  return text::to_lower(domain);
}

std::uint32_t chunks_of(std::uint64_t size) {
  return static_cast<std::uint32_t>((size + io::lmdb::kChunkBytes - 1) / io::lmdb::kChunkBytes);
}

}  // namespace postern::queue
