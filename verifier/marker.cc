#include "verifier/marker.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace postern::verifier {

Result<Marker> Marker::create() {
  Marker marker;
  TRY_ASSIGN(marker.page_, io::SharedPage::create("in-hand"));
  return marker;
}

// The page is zero where nothing is in hand; else it begins with the id. The compiler must not move work out of the hold.
Marker::Hold::Hold(Marker& marker, std::string_view id) : marker_(marker) {
  char* const at = marker.page_.data();
  if (at == nullptr || at[0] != '\0') return;
  outer_ = true;
  marker_.step_in_hand_ = ++marker_.steps_;
  const std::size_t length = std::min(id.size(), io::SharedPage::kBytes - 1);
  std::memcpy(at, id.data(), length);
  at[length] = '\0';
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

Marker::Hold::~Hold() {
  if (!outer_) return;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  marker_.page_.data()[0] = '\0';
  marker_.step_in_hand_ = 0;
}

}  // namespace postern::verifier
