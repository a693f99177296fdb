/// What the spool holds, as values, and how a row is written: a version, then field by field by the wire's codec.
///
/// Trust: a row may have been written by an older Postern, or spoiled; every length is checked and a row that does not decode is
/// an error, never a guess. The spool's own keys are made in lmdb_spool.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "privsep/envelope.h"
#include "privsep/wire.h"

namespace postern::queue {

using Number = std::uint64_t;  ///< names a message in this spool for ever; grows, is never used again

/// Of the whole spool, kept in its meta table. A spool of another version is refused (a migration comes with the next one).
inline constexpr std::uint32_t kSchemaVersion = 1;
/// First byte of each row: the version of that row's fields.
inline constexpr std::uint8_t kRowVersion = 2;

/// Which process delivers.
enum class Route : std::uint8_t { local = 1, remote = 2 };
constexpr bool is_known(Route r) { return r == Route::local || r == Route::remote; }
std::string_view name_of(Route route);

enum class RecipientState : std::uint8_t {
  waiting = 1,    ///< to be delivered
  delivered = 2,  ///< lies in a mailbox of ours
  relayed = 3,    ///< taken by another server, which looks after DSNs itself
  relayed_blind = 4,  ///< taken by a server that knows no DSN: "relayed" is owed where success is to be reported (RFC 3461 §5.2.2)
  failed = 5,     ///< for good
  dropped = 6,    ///< by an administrator, without a report
};
constexpr bool is_known(RecipientState s) { return s >= RecipientState::waiting && s <= RecipientState::dropped; }
std::string_view name_of(RecipientState state);

/// Everything about a message that stays as it is. Written once.
struct MessageRecord {
  std::string id;
  std::string reverse_path;       ///< empty: the null sender
  privsep::Body body = privsep::Body::seven_bit;
  bool smtputf8 = false;
  bool require_tls = false;
  bool tls_optional = false;      ///< TLS-Required: No (RFC 8689 §5)
  privsep::Ret ret = privsep::Ret::absent;
  std::string envid;
  privsep::Arrival arrival;
  privsep::Content content;
  bool to_junk = false;
  std::string auth_domain;        ///< what the sender was authenticated for; empty: none
  std::uint32_t chunks = 0;       ///< of the body
  bool returns = false;           ///< its reverse-path is an address of ours that takes a detail (verp.h)
  void fields(auto& codec) {
    codec(id, reverse_path, body, smtputf8, require_tls, tls_optional, ret, envid, arrival, content, to_junk, auth_domain, chunks, returns);
  }
};

/// Why a message is held that nobody has read because verifiers died over it. Its length and words are part of the spool's format.
inline constexpr std::string_view kParkedUnread = "the verifier died on it twice";

/// What the schedule needs of a message besides its recipients; small, because all of them are read at the start.
struct ScheduleRecord {
  WallTime received{};
  WallTime expires{};             ///< undelivered recipients fail then; fixed when the message is taken
  WallTime warn_at{};             ///< when the sender hears that it is late; zero: never, or told already
  std::uint32_t sender = 0;       ///< a hash; only fairness hangs on it
  std::uint8_t deaths = 0;        ///< how often a peer died over it
  bool held = false;
  std::string held_reason;
  void fields(auto& codec) { codec(received, expires, warn_at, sender, deaths, held, held_reason); }
};

struct RecipientRecord {
  std::string recipient;          ///< as the client named it
  std::string target;             ///< the account, or the address to send to
  Route route = Route::local;
  bool try_local = false;         ///< a report of ours: perhaps an account here, else `remote`
  std::string destination;        ///< domain of `target`, or where an administrator sent it; empty for local
  privsep::Notify notify;
  std::string orcpt;
  RecipientState state = RecipientState::waiting;
  bool reported = false;          ///< its DSN is in the spool, or was not owed
  std::uint16_t attempts = 0;
  WallTime due{};
  privsep::SmtpReply reply;       ///< the last one heard
  std::string server;             ///< who said it
  std::string tls;
  WallTime last_attempt{};
  privsep::TlsUse use;            ///< the protection of the last attempt; since row version 2
  void fields(auto& codec) {
    codec(recipient, target, route, try_local, destination, notify, orcpt, state, reported, attempts, due, reply, server, tls,
          last_attempt, use);
  }
};

/// One attempt, for people: kept with the message and after it.
struct AttemptRecord {
  WallTime at{};
  std::string what;               ///< "deferred", "delivered", "failed", "held" …
  std::string destination;
  std::vector<std::string> recipients;  ///< at most limits::kHistoryRecipients
  privsep::SmtpReply reply;
  std::string server;
  std::string tls;
  privsep::TlsUse use;            ///< since row version 2
  void fields(auto& codec) { codec(at, what, destination, recipients, reply, server, tls, use); }
};

/// What remains of a message that has left.
struct HistoryRecord {
  struct End {
    std::string recipient;
    RecipientState state = RecipientState::delivered;
    std::uint16_t attempts = 0;
    privsep::SmtpReply reply;
    std::string server;
    std::string tls;
    WallTime at{};
    void fields(auto& codec) { codec(recipient, state, attempts, reply, server, tls, at); }
  };
  std::string id;
  std::string reverse_path;
  std::string account;
  std::uint64_t size = 0;
  WallTime received{};
  WallTime finished{};
  std::vector<End> ends;          ///< at most limits::kHistoryRecipients
  std::vector<privsep::TlsUse> uses;       ///< the different ones of `ends`; since row version 2
  std::vector<std::uint32_t> use_of;       ///< of each end: its place in `uses`
  void fields(auto& codec) { codec(id, reverse_path, account, size, received, finished, ends, uses, use_of); }
};

/// What rows of version 1 lack at their end.
template <class R>
std::string missing_in_version_1() {
  privsep::Encoder tail;
  if constexpr (requires(R r) { r.returns; }) tail(false);
  if constexpr (requires(R r) { r.use; }) tail(privsep::TlsUse{});
  if constexpr (requires(R r) { r.uses; }) tail(std::vector<privsep::TlsUse>{}, std::vector<std::uint32_t>{});
  return tail.take();
}

/// A row's bytes.
template <class R>
std::string encode_row(const R& record) {
  privsep::Encoder encoder;
  encoder(kRowVersion, record);
  return encoder.take();
}

/// Errors: "spool.version" (written by a Postern we do not know), "spool.corrupt".
template <class R>
Result<R> decode_row(std::string_view bytes) {
  if (bytes.empty()) return failure("spool.corrupt", "an empty row");
  const auto version = static_cast<std::uint8_t>(bytes.front());
  if (version == 0 || version > kRowVersion) return failure("spool.version", "row version " + std::to_string(version));
  std::string whole;
  if (version == 1) whole.append(bytes).append(missing_in_version_1<R>());
  R record;
  privsep::Decoder decoder((version == 1 ? std::string_view(whole) : bytes).substr(1));
  decoder(record);
  if (auto ok = decoder.finish(); !ok) return failure("spool.corrupt", std::move(ok).error().message);
  return record;
}

/// The domain a remote delivery to `address` goes to: lower case, without a final dot. Empty when there is none.
std::string domain_of(std::string_view address);

/// How many chunks of io::lmdb::kChunkBytes a body of `size` bytes has.
std::uint32_t chunks_of(std::uint64_t size);

}  // namespace postern::queue
