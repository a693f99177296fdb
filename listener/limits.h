/// The bounds of the listener that are not configuration. Each names its unit and where it comes from.
#pragma once

#include <chrono>
#include <cstddef>

namespace postern::listener::limits {

inline constexpr std::size_t kInputBytes = 64 * 1024;       ///< octets a client may send ahead while its commands wait; then we stop reading
inline constexpr std::size_t kBodyBufferBytes = 64 * 1024;  ///< octets of a body collected before they go to its file
inline constexpr std::size_t kBudgetReserve = 8;            ///< one part in this many of the memory budget is kept for bodies under way
inline constexpr std::size_t kEnvelopeReserve = 16 * 1024;  ///< octets of a submission left for what is not a recipient
inline constexpr std::size_t kQuietCapacity = 4 * 1024;     ///< octets of input buffer an idle session may keep

inline constexpr std::chrono::seconds kRecipientPatience{30};  ///< for the mailbox's verdict; RFC 5321 §4.5.3.2.3 lets a client wait 5 min
inline constexpr std::chrono::seconds kSubmitPatience{150};    ///< for verifier and queue; RFC 5321 §4.5.3.2.6 lets a client wait 10 min
inline constexpr std::size_t kMessageIdBytes = 16;             ///< letters and digits of make_message_id()
inline constexpr std::size_t kPoisonMessages = 256;            ///< messages remembered because a verifier died over them
inline constexpr std::chrono::hours kPoisonLife{48};           ///< how long after the last death; senders try again within hours (RFC 5321 §4.5.4.1)
inline constexpr std::size_t kParkWaiting = 64;                ///< messages that wait for a verifier to be started again, to be parked
inline constexpr std::chrono::seconds kParkPatience{30};       ///< how long they wait
inline constexpr std::chrono::seconds kSignPatience{2};        ///< for one private-key operation in a handshake
inline constexpr std::chrono::seconds kHandshakeTime{30};      ///< for a TLS handshake

}  // namespace postern::listener::limits
