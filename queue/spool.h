/// The narrow interface to the spool: what is promised with 250 lies behind it. One implementation stands on LMDB
/// (lmdb_spool.h), one in memory for tests (memory_spool.h); a replicated engine could be a third.
///
/// Trust: callers check what they store; the spool checks what it reads.
/// Errors of all calls: "spool.full" (no room: nothing of the batch is stored), "spool.io" (treat as not stored),
/// "spool.corrupt", "spool.version", "spool.absent" (no such message).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "queue/schema.h"
#include "queue/skim.h"

namespace postern::queue {

/// The bytes of a body, wherever they are.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual std::uint64_t size() const = 0;
  /// Fills `out` with the bytes from `offset`; all of them exist.
  virtual Result<void> read(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

/// A body in memory. The text must outlive it.
class TextBody final : public BodySource {
 public:
  explicit TextBody(std::string_view text) : text_(text) {}
  std::uint64_t size() const override { return text_.size(); }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::string_view text_;
};

/// A body in a checked, sealed file. The descriptor must outlive it.
class FileBody final : public BodySource {
 public:
  FileBody(int fd, std::uint64_t size) : fd_(fd), size_(size) {}
  std::uint64_t size() const override { return size_; }
  Result<void> read(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  int fd_;
  std::uint64_t size_;
};

/// A message to store, whole.
struct NewMessage {
  MessageRecord message;
  ScheduleRecord schedule;
  std::vector<RecipientRecord> recipients;
  std::string evidence;
  std::vector<RecipientRecord> expanded;  ///< not stored: aliases for which "expanded" is to be reported (RFC 3461 §5.2.7.3)
};

/// A message as Spool::load() shows it: what the schedule needs, no more.
struct LoadedMessage {
  Number number = 0;
  ScheduleRecord schedule;
  std::vector<OpenRecipient> open;  ///< the recipients that wait; their views live until `visit` returns
};

struct SpoolUsage {
  std::uint64_t used_bytes = 0;   ///< that cannot be used for something new
  std::uint64_t limit_bytes = 0;
};

/// A row of Batch::observe().
struct Observation {
  std::uint32_t day = 0;          ///< since 1970
  std::string what;
  std::uint64_t times = 0;
};

/// Changes that are stored together or not at all.
class Batch {
 public:
  virtual ~Batch() = default;  ///< what was not committed never was

  /// `body` null: its chunks were staged before under this number.
  virtual Result<void> add(Number number, const NewMessage& message, const BodySource* body) = 0;
  virtual Result<void> put_schedule(Number number, const ScheduleRecord& schedule) = 0;
  virtual Result<void> put_recipient(Number number, std::uint32_t index, const RecipientRecord& recipient) = 0;
  virtual Result<void> note(Number number, const AttemptRecord& attempt) = 0;
  /// Removes the message; `history` and its evidence stay until they are forgotten.
  virtual Result<void> erase(Number number, const HistoryRecord& history) = 0;
  /// Forgets what ended before `before`, the oldest first, at most `most` messages, and all beyond limits::kHistoryMessages.
  virtual Result<std::size_t> forget(WallTime before, std::size_t most) = 0;
  /// Counts a TLS observation of `day` (days since 1970); forgets old days.
  virtual Result<void> observe(std::uint32_t day, std::string_view what, std::uint64_t times) = 0;
  virtual Result<void> put_hold(std::string_view destination, std::string_view reason) = 0;
  virtual Result<void> remove_hold(std::string_view destination) = 0;

  /// Durable when it returns.
  virtual Result<void> commit() = 0;
};

class Spool {
 public:
  virtual ~Spool() = default;

  /// Random, made with the spool: with a number it names a message for ever.
  virtual std::uint64_t epoch() const = 0;
  /// The next number. It counts as used once a batch or a stage with it is committed.
  virtual Number take_number() = 0;

  /// What was first kept under this name; `fresh`, kept from now on, where there was nothing. For keys that live with the spool.
  virtual Result<std::string> keep(std::string_view name, const std::string& fresh) = 0;

  virtual Result<std::unique_ptr<Batch>> begin() = 0;

  /// Writes a piece of a large body in a transaction of its own, under an incomplete mark which Batch::add() takes off.
  /// Marked bodies are swept when the spool is opened. `from` is a multiple of the chunk size.
  virtual Result<void> stage(Number number, const BodySource& body, std::uint64_t from, std::uint64_t until) = 0;
  virtual Result<void> unstage(Number number) = 0;

  virtual Result<MessageRecord> message(Number number) = 0;
  virtual Result<ScheduleRecord> schedule(Number number) = 0;
  virtual Result<std::vector<RecipientRecord>> recipients(Number number) = 0;
  /// Hands the body's chunks to `sink` in order, at most `most` bytes.
  virtual Result<void> read_body(Number number, std::uint64_t most, const std::function<Result<void>(ByteView)>& sink) = 0;

  virtual Result<std::optional<Number>> find(std::string_view id) = 0;
  virtual Result<std::string> evidence(Number number) = 0;
  virtual Result<std::vector<AttemptRecord>> attempts(Number number) = 0;
  /// Absent while the message is still here.
  virtual Result<std::optional<HistoryRecord>> history(Number number) = 0;
  virtual Result<std::vector<std::pair<std::string, std::string>>> holds() = 0;  ///< destination, reason

  /// What was observed of TLS, the latest day first, at most `most` rows.
  virtual Result<std::vector<Observation>> observations(std::size_t most) = 0;

  /// Every message, by number. `visit` returns false to stop. Rows that do not decode are counted in the result and skipped:
  /// one spoiled row must not keep all other mail from leaving.
  /// At the start a million messages are read this way, so what `visit` is given is reused and mostly stays in the rows.
  virtual Result<std::uint64_t> load(const std::function<bool(LoadedMessage&)>& visit) = 0;

  /// How many messages load() will show.
  virtual Result<std::uint64_t> count() = 0;

  virtual Result<SpoolUsage> usage() = 0;
  /// Makes room where the configuration allows more. False: it does not.
  virtual Result<bool> grow() = 0;
};

}  // namespace postern::queue
