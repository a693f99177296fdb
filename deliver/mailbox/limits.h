/// The bounds of the mailbox process. Each names its unit and where it comes from; a test stands at the limit and one past it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postern::mailbox::limits {

// -- Directory --
inline constexpr std::size_t kAliasTargets = 100;          ///< addresses one alias may name, and one recipient may become; ours
inline constexpr std::size_t kAliasDepth = 10;             ///< aliases that lead to aliases; a longer chain counts as a loop; ours
inline constexpr std::size_t kResolveSteps = 1000;         ///< addresses looked at for one recipient; ours
inline constexpr std::size_t kMaildirNameBytes = 200;      ///< of a Maildir's folder name; file systems allow 255
inline constexpr std::size_t kDelivered = 10;              ///< days a delivery is remembered; queue.expire is at most 30 days, see store.h
inline constexpr std::size_t kListRows = 2000;             ///< rows of one answer to a list command; ours

// -- Passwords (argon2id, RFC 9106) --
inline constexpr std::size_t kPasswordBytes = 1024;        ///< of a password; longer ones are refused, not cut; ours
inline constexpr std::size_t kPasswordLeastBytes = 8;      ///< NIST SP 800-63B §5.1.1.1
inline constexpr std::uint32_t kArgonLeastKib = 8 * 1024;  ///< memory of a stored hash we verify
inline constexpr std::uint32_t kArgonMostKib = 256 * 1024;
inline constexpr std::uint32_t kArgonMostPasses = 10;
inline constexpr std::size_t kArgonTextBytes = 256;        ///< of an encoded hash

// -- Store --
inline constexpr std::size_t kFolders = 1000;              ///< of one account; ours
inline constexpr std::size_t kFolderNameBytes = 200;       ///< of a folder's name; ours
inline constexpr std::size_t kIndexHeadBytes = 128 * 1024; ///< of a message read for its index row; ours
inline constexpr std::size_t kIndexFieldBytes = 400;       ///< of one field in the index row; ours
inline constexpr std::size_t kTraceBytes = 2048;           ///< of Return-Path and Delivered-To together; paths are at most 254 each
inline constexpr std::size_t kBatchMessages = 256;         ///< deliveries in one transaction; ours
inline constexpr std::size_t kBatchBytes = 16UL << 20;     ///< bytes of bodies after which a transaction is closed; ours
inline constexpr std::size_t kExpirePerRun = 5000;         ///< remembered deliveries removed in one run; ours
inline constexpr std::size_t kPurgePerRun = 200;           ///< messages of a removed account removed in one run; ours
inline constexpr std::size_t kSearchRows = 100'000;        ///< index rows read for one search; ours
inline constexpr std::size_t kExportBytes = 256UL << 20;   ///< of one answer to `mail export`; the rest is asked for again; ours

// -- Bodies --
inline constexpr std::uint64_t kMessageBytes = std::uint64_t{1} << 30;  ///< of a body: the most `smtp.max_message_size` may be, so that
                                                           ///< lowering that does not strand what was accepted before

// -- Maildir --
inline constexpr std::size_t kMaildirBatch = 256;          ///< messages that share the syncs of their folders; ours
inline constexpr std::size_t kMaildirBatches = 2;          ///< batches at work at once: one writes while the other syncs
inline constexpr std::size_t kCurEntries = 1'000'000;      ///< names read in a cur folder when a delivery may be a repeat; ours
inline constexpr unsigned kThreads = 10;                   ///< of the pool: Maildir syncs and password hashing

// -- LMTP --
inline constexpr std::size_t kReplyLineBytes = 2048;       ///< RFC 5321 §4.5.3.1.5 sets 512; servers are longer
inline constexpr std::size_t kReplyLines = 100;            ///< of one reply; ours
inline constexpr std::size_t kReplyTextBytes = 1000;       ///< kept of a reply; the rest is dropped
inline constexpr std::size_t kLmtpRecipients = 100;        ///< in one LMTP transaction; RFC 5321 §4.5.3.1.8 requires 100
inline constexpr std::size_t kLmtpConnections = 8;         ///< to one server at once; ours
inline constexpr std::size_t kLmtpTransactions = 1000;     ///< over one connection; ours
inline constexpr std::size_t kLmtpWaiting = 5000;          ///< transactions waiting for a connection; more are told to come back
inline constexpr std::chrono::seconds kLmtpConnectTime{15};
inline constexpr std::chrono::seconds kLmtpGreetingTime{60};
inline constexpr std::chrono::seconds kLmtpIdle{20};       ///< a connection is kept for the next message
inline constexpr std::chrono::seconds kLmtpReplyTime{300}; ///< RFC 5321 §4.5.3.2
inline constexpr std::chrono::seconds kLmtpDataTime{600};  ///< RFC 5321 §4.5.3.2.6: after the final dot

// -- A recipient query's reply and other texts --
inline constexpr std::size_t kReplyBytes = 400;            ///< of a reply's words we make

}  // namespace postern::mailbox::limits
