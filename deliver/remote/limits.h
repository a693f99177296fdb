/// The bounds of SMTP out. What other servers say is read no further than this.
#pragma once

#include <chrono>
#include <cstddef>

namespace postern::remote::limits {

// -- Replies (reply.h) --
inline constexpr std::size_t kReplyLineBytes = 2048;        ///< of a line with its end; RFC 5321 §4.5.3.1.5 says 512
inline constexpr std::size_t kReplyLines = 100;             ///< of a reply; ours
inline constexpr std::size_t kReplyBytes = 64 * 1024;       ///< of a reply in all; ours
inline constexpr std::size_t kReplyTextBytes = 1024;        ///< of a reply's words as we keep them, printable; ours
inline constexpr std::size_t kResultTextBytes = 128 * 1024; ///< of all words of one result, with names of servers it fits its frame; ours
inline constexpr std::size_t kLeastTextBytes = 64;          ///< of one recipient's words, however many there are; ours

// -- Routes (route.h) --
inline constexpr std::size_t kMxHosts = 20;                 ///< tried for one destination; RFC 5321 §5.1 wants two at least
inline constexpr std::size_t kAddresses = 40;               ///< of all hosts together; ours
inline constexpr std::size_t kUses = 20;                    ///< servers of one delivery that are told of; ours
inline constexpr std::size_t kUseTextBytes = 300;           ///< of the words of each; ours
inline constexpr std::size_t kRouteRounds = 4;              ///< of questions until a route is known: MX, then addresses

// -- Dialogue (smtp_session.h) --
inline constexpr std::size_t kEagerBodyBytes = 64 * 1024;   ///< a body up to this is sent before its recipients are answered; ours
inline constexpr std::size_t kTargets = 1000;               ///< recipients of one delivery; as the queue's
inline constexpr std::chrono::seconds kBannerTimeout{300};    ///< RFC 5321 §4.5.3.2.1
inline constexpr std::chrono::seconds kCommandTimeout{300};   ///< RFC 5321 §4.5.3.2.2 and .3: MAIL, RCPT; EHLO and AUTH likewise
inline constexpr std::chrono::seconds kDataTimeout{120};      ///< RFC 5321 §4.5.3.2.4
inline constexpr std::chrono::seconds kBlockTimeout{180};     ///< RFC 5321 §4.5.3.2.5: for some of the body to be taken
inline constexpr std::chrono::seconds kEndTimeout{600};       ///< RFC 5321 §4.5.3.2.6
inline constexpr std::chrono::seconds kHandshakeTimeout{120}; ///< a TLS handshake; ours

// -- MTA-STS (sts_cache.h) --
inline constexpr std::size_t kStsDomains = 10'000;            ///< remembered here; the queue's disk keeps all
inline constexpr std::size_t kStsPatterns = 100'000;          ///< mx patterns of all of them together
inline constexpr std::size_t kStsFetches = 20;                ///< policy servers asked at once; more wait
inline constexpr std::size_t kStsFetchesWaiting = 1000;       ///< more fail at once
inline constexpr std::chrono::seconds kStsFailedPause{300};   ///< before a policy server that failed is asked again; RFC 8461 §3.3
inline constexpr std::chrono::hours kStsReload{24};           ///< after which the disk is asked again; it notes which policies are used
inline constexpr std::chrono::seconds kStsStorePatience{30};  ///< for the queue's answer

}  // namespace postern::remote::limits
