/// Drives a judge from a command line: asks what it misses, waits, calls it again, until it has its verdict.
///
/// The daemon does the same without waiting (verifier/). Here one check is all there is to do.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>
#include <variant>

#include "base/check.h"
#include "base/clock.h"
#include "io/dns_sync.h"
#include "mail/dns.h"

namespace postern::check {

/// More calls than any judge needs (SPF, the longest, stays under mail::limits::kSpfRounds). A judge that goes past it is broken.
inline constexpr std::size_t kRounds = 256;

/// A check by hand ends by then whatever the name servers do; the contract is 20 seconds.
inline constexpr std::chrono::seconds kCheckTime{18};

/// Adds an answer for each question to the facts; may wait.
using Answerer = std::function<void(const mail::dns::Questions&, mail::dns::Facts&)>;

/// Answers from `resolver` until `deadline`, then with Status::failure. `resolver` must outlive what is returned.
Answerer answers_from(io::SyncResolver& resolver, SteadyTime deadline);

/// Calls `judge(facts)`, a std::variant<Verdict, mail::dns::Questions>, with more and more facts until it is a Verdict.
template <class Judge>
auto drive(const Judge& judge, mail::dns::Facts& facts, const Answerer& answer) {
  using Verdict = std::variant_alternative_t<0, decltype(judge(facts))>;
  for (std::size_t round = 0; round < kRounds; ++round) {
    auto outcome = judge(facts);
    if (auto* verdict = std::get_if<Verdict>(&outcome)) return std::move(*verdict);
    answer(std::get<mail::dns::Questions>(outcome), facts);
  }
  POSTERN_CHECK(false && "a judge that never ends");
  return Verdict{};
}

}  // namespace postern::check
