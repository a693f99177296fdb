#include "mail/dns_cache.h"

#include <algorithm>
#include <type_traits>
#include <utility>

namespace postern::mail::dns {

namespace {

std::size_t bytes_in(const Record& record) {
  return std::visit(
      [](const auto& r) -> std::size_t {
        using R = std::decay_t<decltype(r)>;
        if constexpr (std::is_same_v<R, Mx>) return sizeof r + r.exchange.size();
        else if constexpr (std::is_same_v<R, Tlsa>) return sizeof r + r.data.size();
        else if constexpr (std::is_same_v<R, IpAddress>) return sizeof r;
        else return sizeof r + r.value.size();
      },
      record);
}

std::size_t bytes_in(const Answer& answer) {
  std::size_t total = sizeof answer + answer.canonical_name.size();
  for (const Record& record : answer.records) total += bytes_in(record);
  return total;
}

}  // namespace

CachingResolver::CachingResolver(Resolver& next, const Clock& clock, CacheOptions options)
    : next_(next), clock_(clock), options_(options) {}

void CachingResolver::ask(const Question& asked, Done done) {
  const Question question{canonical(asked.name), asked.type};
  const SteadyTime now = clock_.steady();
  if (const auto found = index_.find(question); found != index_.end()) {
    if (now < found->second->expires) {
      ++stats_.hits;
      entries_.splice(entries_.begin(), entries_, found->second);
      Answer answer = found->second->answer;
      const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - found->second->stored);
      answer.ttl = std::max(answer.ttl - age, std::chrono::seconds(0));
      return done(answer);
    }
    entries_.erase(found->second);
    index_.erase(found);
  }
  const auto [waiting, first] = in_flight_.try_emplace(question);
  waiting->second.push_back(std::move(done));
  if (!first) {
    ++stats_.joined;
    return;
  }
  ++stats_.misses;
  next_.ask(question, [this, question](const Answer& answer) { answered(question, answer); });
}

void CachingResolver::answered(const Question& question, const Answer& answer) {
  const auto waiting = in_flight_.extract(question);
  keep(question, answer);
  if (waiting.empty()) return;
  for (const Done& done : waiting.mapped()) done(answer);
}

void CachingResolver::keep(const Question& question, const Answer& answer) {
  std::chrono::seconds ttl{0};
  switch (answer.status) {
    case Status::found: ttl = std::min(answer.ttl, options_.max_ttl); break;
    case Status::none: ttl = std::min(answer.ttl, options_.max_negative_ttl); break;
    case Status::failure: ttl = options_.failure_ttl; break;
  }
  if (ttl.count() <= 0 || bytes_in(answer) > options_.max_entry_bytes || options_.max_entries == 0) return;
  if (const auto old = index_.find(question); old != index_.end()) {
    entries_.erase(old->second);
    index_.erase(old);
  }
  const SteadyTime now = clock_.steady();
  entries_.push_front({question, answer, now, now + ttl});
  entries_.front().answer.ttl = ttl;
  index_.emplace(question, entries_.begin());
  while (entries_.size() > options_.max_entries) {
    index_.erase(entries_.back().question);
    entries_.pop_back();
    ++stats_.evicted;
  }
}

CacheStats CachingResolver::stats() const {
  CacheStats stats = stats_;
  stats.entries = entries_.size();
  return stats;
}

void CachingResolver::clear() {
  entries_.clear();
  index_.clear();
}

}  // namespace postern::mail::dns
