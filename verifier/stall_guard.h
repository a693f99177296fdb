/// Ends this process when one step over a message goes on and on. Every parser is bounded; this is for the bound that somebody forgot: a verifier
/// in an endless loop would be worse than a dead one, for nobody restarts it and nobody learns which message it was.
///
/// Counts processor time of this process alone, so a busy machine changes nothing. One signal each `most` of work, no cost else.
#pragma once

#include <chrono>

#include "base/result.h"
#include "verifier/marker.h"

namespace postern::verifier {

/// What one step may take: far more than any message needs, even when eight signatures each hash all of a message of `max_size` bytes.
std::chrono::seconds patience_for(std::uint64_t max_size);

/// From now on a step (Marker::Hold) that takes between `most` and twice that of processor time kills the process by SIGILL. Before the lock;
/// once a process. `marker` must live to its end. Errors: "stall.timer".
Result<void> guard_against_stalls(const Marker& marker, std::chrono::seconds most);

}  // namespace postern::verifier
