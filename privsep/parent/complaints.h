/// How far a process's word about another is believed ("peer-broken").
///
/// Trust: neither of the two. The parent did not see the frame, so it cannot tell a broken peer from a lying one. Ending the accused
/// is right when the word is true and is a weapon when it is not; so each pair of processes has a small allowance. Past it the two
/// are parted: no channel between them for a while, which grows; both live on and serve everybody else. Whoever of the two was
/// broken into has then gained nothing but the loss of its own peer.
#pragma once

#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "privsep/peers.h"

namespace postern::privsep {

class Complaints {
 public:
  static constexpr std::size_t kBelieved = 3;               ///< complaints of a pair within kWindow that end the accused
  static constexpr std::chrono::minutes kWindow{10};
  static constexpr std::chrono::seconds kFirstParting{5};   ///< doubled each time, until a whole window passes without a complaint
  static constexpr std::chrono::seconds kLongestParting{300};

  enum class Verdict : std::uint8_t {
    end_accused,  ///< believed
    part,         ///< not believed any more: the two are parted until parted_until()
    ignore,       ///< they are parted already
  };

  /// Weighs a complaint of one about the other, in either direction, and remembers it.
  Verdict weigh(From accuser, From accused, SteadyTime now);
  /// Until when the two have no channel; a time in the past: they may have one.
  SteadyTime parted_until(From one, From other) const;
  bool parted(From one, From other, SteadyTime now) const { return parted_until(one, other) > now; }

 private:
  struct Pair {
    std::vector<SteadyTime> believed;  // within the window; at most kBelieved
    SteadyTime last{};
    SteadyTime parted_until{};
    std::chrono::seconds parting{0};   // the last one
  };
  using Name = std::pair<Role, std::uint8_t>;
  static std::pair<Name, Name> key(From one, From other);

  std::map<std::pair<Name, Name>, Pair> pairs_;  // at most one for each pair of processes
};

}  // namespace postern::privsep
