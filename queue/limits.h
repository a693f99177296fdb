/// The bounds of the queue. Each names its unit and where it comes from.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postern::queue::limits {

// -- What is taken from a verifier (intake.h) --
inline constexpr std::size_t kEvidenceBytes = 64 * 1024;        ///< JSON of the judges (privsep/messages.h SpoolRequest)
inline constexpr std::size_t kPrefixBytes = 96 * 1024;          ///< fields put in front; a delivery's frame has room for them
inline constexpr std::size_t kCuts = 1000;                      ///< stretches left out of a body; ours
inline constexpr std::size_t kIdBytes = 64;                     ///< of a message id; 16 today
inline constexpr std::size_t kAddressBytes = 320;               ///< local part, "@", domain; RFC 5321 §4.5.3.1
inline constexpr std::size_t kRecipients = 20'000;              ///< of a message after aliases; its frame holds fewer

inline constexpr std::size_t kParkedMessages = 500;             ///< kept because verifiers died over them; past it the client is asked to try again
inline constexpr std::uint64_t kParkedBytes = 256U << 20;       ///< of their bodies together

// -- The commit (committer.h) --
inline constexpr std::size_t kBatchMessages = 256;              ///< new messages of one transaction
inline constexpr std::uint64_t kBatchBytes = 4U << 20;          ///< body bytes of one transaction; keeps it short
inline constexpr std::uint64_t kStagePieceBytes = 4U << 20;     ///< a larger body is written in pieces of this size

// -- Deliveries (delivery.h) --
inline constexpr std::size_t kDeliveryTargets = 1000;           ///< recipients of one request; RFC 5321 §4.5.3.1.8 is 100 at least
inline constexpr std::size_t kDeliveryTargetBytes = 384 * 1024; ///< their addresses; a frame has 640 KiB
inline constexpr std::size_t kReplyTextBytes = 2048;            ///< kept of a server's reply, escaped
inline constexpr std::uint64_t kBodyCacheBytes = 256U << 20;    ///< bodies kept open for their first delivery
inline constexpr std::size_t kBodyCacheFiles = 1024;            ///< the same, as descriptors (RLIMIT_NOFILE is 4096)

// -- The schedule (scheduler.h) --
inline constexpr std::uint32_t kFirstWindow = 2;                ///< deliveries at once to a destination we know nothing of
inline constexpr std::uint32_t kLocalWindow = 128;              ///< deliveries at once to the mailbox process
inline constexpr std::uint32_t kUntriedPercent = 60;            ///< share of all deliveries for destinations that never answered yet
inline constexpr std::uint32_t kDeadPercent = 5;                ///< the same for those that could not be reached the last time
inline constexpr std::uint32_t kSenderPercent = 80;             ///< share of all deliveries for one sender
inline constexpr std::size_t kIdleDestinations = 20'000;        ///< destinations remembered with nothing to do
inline constexpr std::chrono::hours kDeadPauseMost{1};          ///< the longest pause of a dead host
inline constexpr std::chrono::minutes kLastChance{60};          ///< to deliver what expired while it was held, or while we did not run
inline constexpr std::chrono::seconds kReportDelay{60};         ///< how long a failure waits for others to share its report

// -- Reports (bounce.h) --
inline constexpr std::size_t kReportRecipients = 500;           ///< described in one DSN; more are counted
inline constexpr std::size_t kReturnedBytes = 256 * 1024;       ///< of the original, when it is returned whole
inline constexpr std::size_t kReturnedHeaderBytes = 64 * 1024;  ///< of its header

inline constexpr std::size_t kReturnNotes = 20;                 ///< recipients noted of one report that came back

// -- What is kept after the end (history) --
inline constexpr std::chrono::hours kHistoryLife{72};           ///< then a message is forgotten
inline constexpr std::uint64_t kHistoryMessages = 500'000;      ///< the oldest are forgotten sooner
inline constexpr std::size_t kHistoryAttempts = 200;            ///< notes of attempts kept of one message
inline constexpr std::size_t kDetours = 20;                      ///< servers of one attempt that are kept besides the last; ours
inline constexpr std::size_t kHistoryRecipients = 200;          ///< ends of recipients kept of one message
inline constexpr std::size_t kHistorySweep = 256;               ///< forgotten in one transaction
inline constexpr std::uint32_t kObservationDays = 8;            ///< TLS observations are kept; RFC 8460 reports a day
inline constexpr std::size_t kObservationBytes = 490;           ///< of one, as its key; LMDB's keys have 511
inline constexpr std::size_t kObservationsPerDay = 20'000;      ///< rows; further kinds are counted as one

// -- MTA-STS policies kept for remote (sts_store.h) --
inline constexpr std::size_t kStsIdBytes = 32;                  ///< RFC 8461 §3.1
inline constexpr std::size_t kStsTextBytes = 64 * 1024;         ///< of a policy; RFC 8461 §3.3
inline constexpr std::uint64_t kStsPolicies = 20'000;           ///< rows; ours
inline constexpr std::chrono::seconds kStsLife{31'557'600};     ///< a year; RFC 8461 §3.2
inline constexpr std::chrono::hours kStsFreshFor{24};           ///< then a newer one is looked for; RFC 8461 §10.2
inline constexpr std::chrono::hours kStsUnused{24 * 30};        ///< a policy nobody sends by is left to expire
inline constexpr std::size_t kStsSweep = 256;                   ///< rows forgotten at once
inline constexpr std::size_t kStsRefreshes = 50;                ///< policies looked for anew in one period
inline constexpr std::chrono::minutes kStsPeriod{10};           ///< between two looks at what is old

// -- Administration --
inline constexpr std::size_t kAdminPage = 200;                  ///< rows of an answer unless told otherwise
inline constexpr std::size_t kAdminPageMost = 500;              ///< rows of an answer at most; its frame is 256 KiB
inline constexpr std::size_t kAdminSweep = 100'000;             ///< messages one command changes in one transaction

}  // namespace postern::queue::limits
