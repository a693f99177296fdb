#include "privsep/parent/complaints.h"

#include <algorithm>

namespace postern::privsep {

std::pair<Complaints::Name, Complaints::Name> Complaints::key(From one, From other) {
  return std::minmax(Name{one.role, one.instance}, Name{other.role, other.instance});
}

Complaints::Verdict Complaints::weigh(From accuser, From accused, SteadyTime now) {
  Pair& pair = pairs_[key(accuser, accused)];
  if (pair.parted_until > now) return Verdict::ignore;
  if (now - pair.last > kWindow) pair.parting = std::chrono::seconds(0);
  pair.last = now;
  std::erase_if(pair.believed, [&](SteadyTime at) { return now - at > kWindow; });
  if (pair.believed.size() < kBelieved) {
    pair.believed.push_back(now);
    return Verdict::end_accused;
  }
  pair.parting = pair.parting.count() == 0 ? kFirstParting : std::min(pair.parting * 2, kLongestParting);
  pair.parted_until = now + pair.parting;
  return Verdict::part;
}

SteadyTime Complaints::parted_until(From one, From other) const {
  const auto it = pairs_.find(key(one, other));
  return it == pairs_.end() ? SteadyTime{} : it->second.parted_until;
}

}  // namespace postern::privsep
