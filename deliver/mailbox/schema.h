/// What the mailbox process keeps on disk: the tables, their keys and their records.
///
/// Trust: the file may have been damaged. A record carries its version in the first byte and is decoded field by field with every
/// length checked (privsep/wire.h); what does not decode is an error of that record, never a crash.
///
/// table        key                                         value
/// meta         name                                        text
/// domain       domain (A-labels)                           DomainRecord
/// account      address (canonical)                         AccountRecord
/// alias        address (canonical)                         AliasRecord
/// usage        account u64                                 UsageRecord
/// folder       account u64, folder u32                     FolderRecord
/// message      account u64, folder u32, uid u32            MessageRecord
/// by_date      account u64, folder u32, time u64, uid u32  one byte
/// body_info    body u64                                    BodyRecord
/// body         body u64, chunk u32                         bytes, lmdb::kChunkBytes each but the last
/// delivered    epoch u64, number u64, recipient            DeliveredRecord
/// purge        account u64                                 one byte: an account that was removed, its mail not yet
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "privsep/wire.h"

namespace postern::mailbox {

inline constexpr std::uint8_t kSchemaVersion = 1;

using AccountId = std::uint64_t;
using Uid = std::uint32_t;
using BodyId = std::uint64_t;

/// A folder of an account. The first five are there from the start and keep their numbers.
enum class FolderId : std::uint32_t { inbox = 1, sent = 2, drafts = 3, junk = 4, trash = 5 };
inline constexpr std::uint32_t kFirstOwnFolder = 16;

enum class DomainDelivery : std::uint8_t {
  store = 1,  ///< its accounts' own kind of delivery
  lmtp = 2,   ///< to the LMTP server named in the domain
};
constexpr bool is_known(DomainDelivery d) { return d == DomainDelivery::store || d == DomainDelivery::lmtp; }

enum class AccountDelivery : std::uint8_t { store = 1, maildir = 2 };
constexpr bool is_known(AccountDelivery d) { return d == AccountDelivery::store || d == AccountDelivery::maildir; }

struct DomainRecord {
  bool enabled = true;
  DomainDelivery delivery = DomainDelivery::store;
  std::string lmtp_name;         ///< of `mailbox.lmtp_sockets`
  bool lmtp_accept_all = false;  ///< whether the LMTP server is to judge recipients we do not know
  std::string catch_all;         ///< canonical address that gets what nobody else takes, or empty
  std::string postmaster;        ///< canonical address, or empty
  WallTime created{};
  void fields(auto& codec) { codec(enabled, delivery, lmtp_name, lmtp_accept_all, catch_all, postmaster, created); }
};

struct AccountRecord {
  AccountId id = 0;
  bool enabled = true;
  AccountDelivery delivery = AccountDelivery::store;
  std::string maildir_folder;    ///< name beneath the Maildir root
  std::uint64_t quota_bytes = 0; ///< 0: none
  std::string password_hash;     ///< argon2id, encoded; empty: nobody can log in
  WallTime created{};
  void fields(auto& codec) { codec(id, enabled, delivery, maildir_folder, quota_bytes, password_hash, created); }
};

struct AliasRecord {
  std::vector<std::string> targets;  ///< canonical addresses, here or elsewhere
  WallTime created{};
  void fields(auto& codec) { codec(targets, created); }
};

struct UsageRecord {
  std::uint64_t bytes = 0, messages = 0;
  void fields(auto& codec) { codec(bytes, messages); }
};

struct FolderRecord {
  std::string name;
  std::uint32_t uid_validity = 1;
  Uid uid_next = 1;
  std::uint64_t messages = 0, unseen = 0, bytes = 0;
  void fields(auto& codec) { codec(name, uid_validity, uid_next, messages, unseen, bytes); }
};

/// Marks of a message, as bits (RFC 9051 §2.3.2).
struct Flags {
  static constexpr std::uint8_t kSeen = 1, kAnswered = 2, kFlagged = 4, kDraft = 8, kDeleted = 16, kForwarded = 32, kAll = 63;
  std::uint8_t bits = 0;
  bool has(std::uint8_t flag) const { return (bits & flag) != 0; }
  void fields(auto& codec) { codec(bits); }
};

/// What is shown and searched without opening the message. Decoded, UTF-8, cut at limits::kIndexFieldBytes.
struct IndexRow {
  std::string from, to, subject, message_id;
  void fields(auto& codec) { codec(from, to, subject, message_id); }
};

struct MessageRecord {
  BodyId body = 0;
  std::uint64_t size = 0;     ///< of the trace and the body together
  Flags flags;
  WallTime received{};
  std::string trace;          ///< Return-Path and Delivered-To, in front of the body: they differ from account to account
  IndexRow index;
  void fields(auto& codec) { codec(body, size, flags, received, trace, index); }
};

struct BodyRecord {
  std::uint64_t size = 0;
  std::uint32_t references = 0;  ///< messages that have this body
  void fields(auto& codec) { codec(size, references); }
};

struct DeliveredRecord {
  WallTime at{};
  void fields(auto& codec) { codec(at); }
};

/// `record` with its version in front.
template <class R>
std::string write_record(const R& record) {
  privsep::Encoder encoder;
  encoder(kSchemaVersion);
  const_cast<R&>(record).fields(encoder);  // fields() is shared with the decoder; an encoder only reads
  return encoder.take();
}

/// Errors: "store.version" (written by another version), "store.corrupt".
template <class R>
Result<R> read_record(ByteView bytes) {
  if (bytes.empty()) return failure("store.corrupt", "an empty record");
  if (bytes[0] != std::byte{kSchemaVersion}) return failure("store.version", "a record of another version");
  R record;
  privsep::Decoder decoder(text_of(bytes.subspan(1)));
  record.fields(decoder);
  if (const auto ok = decoder.finish(); !ok) return failure("store.corrupt", ok.error().message);
  return record;
}

}  // namespace postern::mailbox
