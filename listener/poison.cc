#include "listener/poison.h"

#include <algorithm>
#include <array>

#include "io/memfd.h"
#include "listener/limits.h"

namespace postern::listener {

namespace {

constexpr unsigned kDeathsToPark = 2;

/// Errors: the body cannot be mapped.
Result<crypto::Sha256> digest_of(const Suspect& suspect) {
  TRY_ASSIGN(const auto body, io::SealedBody::open(suspect.body, suspect.size, suspect.size));
  const auto of_sender = crypto::sha256(bytes_of(suspect.reverse_path));
  const auto of_body = crypto::sha256(body.bytes());
  Bytes both(of_sender.begin(), of_sender.end());
  both.insert(both.end(), of_body.begin(), of_body.end());
  return crypto::sha256(both);
}

}  // namespace

PoisonWatch::Entry* PoisonWatch::find(const crypto::Sha256& digest) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.digest == digest; });
  return found == entries_.end() ? nullptr : &*found;
}

void PoisonWatch::forget_old() {
  const SteadyTime now = clock_.steady();
  std::erase_if(entries_, [&](const Entry& e) { return now - e.last >= limits::kPoisonLife; });
}

bool PoisonWatch::note_death(const Suspect& suspect) {
  const auto digest = digest_of(suspect);
  if (!digest) return false;
  forget_old();
  Entry* entry = find(*digest);
  if (entry == nullptr) {
    // Who makes many kinds of poison pushes the oldest out: that one then kills once more than it should, and nothing worse.
    if (entries_.size() == limits::kPoisonMessages)
      entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.last < b.last; }));
    entry = &entries_.emplace_back(Entry{.digest = *digest, .size = suspect.size});
  }
  entry->last = clock_.steady();
  entry->deaths = std::min(entry->deaths + 1, kDeathsToPark);
  return entry->deaths == kDeathsToPark;
}

bool PoisonWatch::is_poison(const Suspect& suspect) {
  // The digest costs as much as reading the message; sizes tell almost all apart.
  const auto fits = [&](const Entry& e) { return e.deaths == kDeathsToPark && e.size == suspect.size; };
  if (std::none_of(entries_.begin(), entries_.end(), fits)) return false;
  forget_old();
  const auto digest = digest_of(suspect);
  const Entry* entry = digest ? find(*digest) : nullptr;
  return entry != nullptr && fits(*entry);
}

}  // namespace postern::listener
