/// Messages over which verifiers died. The first time the client is asked to try again; the second time the message is to be parked: kept
/// by the queue, unread, for a person. A message is known by sender and bytes, so that a retry over another connection is the same one.
///
/// Trust: a stranger chooses the messages. Bounded in number and time; a death must have been over that very message (the dead process had it
/// in hand), so that nobody gets another's mail parked.
#pragma once

#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/result.h"
#include "base/unique.h"

namespace postern::listener {

/// A message as it is compared.
struct Suspect {
  std::string_view reverse_path;
  const Fd& body;           ///< sealed
  std::uint64_t size = 0;   ///< of it, bytes
};

class PoisonWatch {
 public:
  /// `clock` must outlive the watch.
  explicit PoisonWatch(const Clock& clock) : clock_(clock) {}

  /// A verifier died over the message. True: not for the first time, so it is to be parked.
  bool note_death(const Suspect& suspect);
  /// Whether verifiers died over it so often that none may see it again.
  bool is_poison(const Suspect& suspect);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    crypto::Sha256 digest{};
    std::uint64_t size = 0;
    unsigned deaths = 0;
    SteadyTime last{};
  };
  Entry* find(const crypto::Sha256& digest);
  void forget_old();

  const Clock& clock_;
  std::vector<Entry> entries_;
};

}  // namespace postern::listener
