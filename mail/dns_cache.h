/// Answers already known, before a resolver is asked. Holds each answer no longer than its TTL, bounded in number and time, and
/// asks once for what many ask at the same time. Pure: time comes from a Clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "base/clock.h"
#include "mail/dns.h"

namespace postern::mail::dns {

struct CacheOptions {
  std::size_t max_entries = 20'000;          ///< the least recently used leaves first
  std::chrono::seconds max_ttl{3600};        ///< for what was found
  std::chrono::seconds max_negative_ttl{900};  ///< for absences (RFC 2308 §5)
  std::chrono::seconds failure_ttl{5};       ///< for failures: long enough to dampen, short enough to recover (RFC 2308 §7)
  std::size_t max_entry_bytes = 64 * 1024;   ///< an answer larger than this is passed on but not kept
};

struct CacheStats {
  std::uint64_t hits = 0, misses = 0, joined = 0, evicted = 0;
  std::size_t entries = 0;
};

class CachingResolver final : public Resolver {
 public:
  /// Both must outlive this one; `next` must not call back after this one has ended.
  CachingResolver(Resolver& next, const Clock& clock, CacheOptions options = {});
  /// An answer from the cache has its TTL reduced by its age. May call `done` before it returns.
  void ask(const Question& question, Done done) override;
  CacheStats stats() const;
  void clear();

 private:
  struct Entry {
    Question question;
    Answer answer;
    SteadyTime stored;
    SteadyTime expires;
  };
  using Entries = std::list<Entry>;  // most recently used first

  void keep(const Question& question, const Answer& answer);
  void answered(const Question& question, const Answer& answer);

  Resolver& next_;
  const Clock& clock_;
  CacheOptions options_;
  Entries entries_;
  std::map<Question, Entries::iterator> index_;  // a tree: strangers choose the names, and could choose colliding ones
  std::map<Question, std::vector<Done>> in_flight_;
  CacheStats stats_;
};

}  // namespace postern::mail::dns
