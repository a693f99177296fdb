#include "listener/admission.h"

#include <algorithm>
#include <functional>
#include <string_view>

namespace postern::listener {

std::size_t Admission::KeyHash::operator()(const Key& key) const {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()});
}

Admission::Key Admission::key_of(const IpAddress& client) {
  const IpAddress plain = client.unmapped();
  Key key;
  key.bytes[0] = plain.is_v6() ? 6 : 4;
  // A site is given a /64 at least (RFC 6177), so single v6 addresses cost an attacker nothing.
  const auto octets = plain.octets().substr(0, 8);
  std::copy(octets.begin(), octets.end(), key.bytes.begin() + 1);
  return key;
}

Admitted Admission::enter(const IpAddress& client) {
  if (total_ >= limits_.total) return Admitted::too_many;
  std::size_t& here = by_client_[key_of(client)];
  if (here >= limits_.per_client && !client.unmapped().is_loopback()) return Admitted::too_many_from_client;
  ++here;
  ++total_;
  return Admitted::yes;
}

void Admission::leave(const IpAddress& client) {
  const auto found = by_client_.find(key_of(client));
  if (found == by_client_.end()) return;
  --total_;
  if (--found->second == 0) by_client_.erase(found);
}

}  // namespace postern::listener
