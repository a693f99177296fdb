/// Memory for message bodies, over all sessions of this process. Past it new bodies are refused before DATA (452 4.3.1), and one that
/// outgrows what is left is refused at its end; nothing that was accepted is touched.
#pragma once

#include <algorithm>
#include <cstdint>

#include "listener/limits.h"

namespace postern::listener {

class Budget {
 public:
  explicit Budget(std::uint64_t most) : most_(most) {}

  void set_most(std::uint64_t most) { most_ = most; }
  /// Whether a new body of that size may begin. A reserve is left for the bodies under way.
  bool admits(std::uint64_t size) const {
    const std::uint64_t open = most_ - most_ / limits::kBudgetReserve;
    return used_ < open && size <= open - used_;
  }
  bool take(std::uint64_t size) {
    if (used_ > most_ || size > most_ - used_) return false;
    used_ += size;
    return true;
  }
  void give(std::uint64_t size) { used_ -= std::min(size, used_); }
  std::uint64_t used() const { return used_; }

 private:
  std::uint64_t most_;
  std::uint64_t used_ = 0;
};

}  // namespace postern::listener
