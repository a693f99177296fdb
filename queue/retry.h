/// When to try again: the curve, greylisting's short first pause, and the shared pause of a dead host. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "privsep/envelope.h"

namespace postern::queue {

/// Pauses by number of attempts; the last one repeats. Never empty.
class RetryCurve {
 public:
  explicit RetryCurve(std::vector<std::chrono::seconds> pauses);

  /// The pause after the `attempts`-th attempt (1 = the first) that ended in the temporary `reply`.
  std::chrono::seconds pause(unsigned attempts, const privsep::SmtpReply& reply) const;
  /// The pause of a host that could not be reached `failures` times in a row (1 = the first).
  std::chrono::seconds dead_pause(unsigned failures) const;

 private:
  std::vector<std::chrono::seconds> pauses_;
};

/// Text of a duration as the configuration writes it: digits and one of "s", "m", "h", "d". nullopt: not one.
std::optional<std::chrono::seconds> parse_duration(std::string_view text);

/// Whether a temporary reply to a first attempt looks like greylisting: 450 or 451 with 4.7.x, or its usual words.
/// Source: RFC 6647 §2.1, §5 (450 or 451, 4.7.1 as practice has it).
bool looks_like_greylisting(const privsep::SmtpReply& reply);

/// Whether the server asks for less at once: 421, or 4.3.2, 4.4.5, 4.5.3, 4.7.0 with 4xx (RFC 3463 §3).
bool asks_for_less(const privsep::SmtpReply& reply);

}  // namespace postern::queue
