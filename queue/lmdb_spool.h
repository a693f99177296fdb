/// The spool in one LMDB environment. Rules (all from probes on the target system): default sync, never NOSYNC or WRITEMAP; bodies in
/// chunks of io::lmdb::kChunkBytes; no read transaction lives longer than a call; an error of commit means not stored; our own limit
/// stands at 80 % of the map, so that deleting, which needs pages too, always works.
///
/// Tables (keys big-endian):
///   meta        name                  schema version, epoch, next number; the key of return paths
///   message     number                MessageRecord
///   schedule    number                ScheduleRecord
///   recipient   number, index         RecipientRecord
///   body        number, chunk         bytes
///   incomplete  number                empty: the body of a message that is not there yet
///   label       id                    number
///   evidence    number                JSON of the judges
///   attempt     number, time, count   AttemptRecord
///   history     number                HistoryRecord, once the message has left
///   observation day, text             count
///   sts         domain                StsRow (sts_store.h)
///   hold        destination           reason
#pragma once

#include "io/lmdb.h"
#include "queue/spool.h"

namespace postern::queue {

class LmdbSpool final : public Spool {
 public:
  /// Opens or makes the spool at `path`, which may hold at most `limit_bytes`; sweeps incomplete bodies. `fresh_epoch` names a new
  /// spool. Errors also: "spool.version": another schema, nothing was changed.
  static Result<std::unique_ptr<LmdbSpool>> open(const std::string& path, std::uint64_t limit_bytes, std::uint64_t fresh_epoch);

  void set_limit(std::uint64_t limit_bytes) { limit_ = limit_bytes; }

  std::uint64_t epoch() const override { return epoch_; }
  Number take_number() override { return next_++; }
  Result<std::string> keep(std::string_view name, const std::string& fresh) override;
  Result<std::unique_ptr<Batch>> begin() override;
  Result<void> stage(Number number, const BodySource& body, std::uint64_t from, std::uint64_t until) override;
  Result<void> unstage(Number number) override;
  Result<MessageRecord> message(Number number) override;
  Result<ScheduleRecord> schedule(Number number) override;
  Result<std::vector<RecipientRecord>> recipients(Number number) override;
  Result<void> read_body(Number number, std::uint64_t most, const std::function<Result<void>(ByteView)>& sink) override;
  Result<std::optional<Number>> find(std::string_view id) override;
  Result<std::string> evidence(Number number) override;
  Result<std::vector<AttemptRecord>> attempts(Number number) override;
  Result<std::optional<HistoryRecord>> history(Number number) override;
  Result<std::vector<std::pair<std::string, std::string>>> holds() override;
  Result<std::vector<Observation>> observations(std::size_t most) override;
  Result<std::uint64_t> load(const std::function<bool(LoadedMessage&)>& visit) override;
  Result<std::uint64_t> count() override;
  Result<SpoolUsage> usage() override;
  Result<bool> grow() override;

  /// For a backup: io::lmdb::Env::copy_to().
  io::lmdb::Env& env() { return *env_; }

  struct Tables {
    io::lmdb::Table meta, message, schedule, recipient, body, incomplete, label, evidence, attempt, history, observation, hold;
  };

 private:
  friend class LmdbBatch;
  LmdbSpool(std::unique_ptr<io::lmdb::Env> env, std::uint64_t limit) : env_(std::move(env)), limit_(limit) {}
  Result<void> open_tables();
  Result<void> read_meta(std::uint64_t fresh_epoch);
  Result<void> sweep_incomplete();

  std::unique_ptr<io::lmdb::Env> env_;
  Tables tables_;
  std::uint64_t limit_;
  std::uint64_t epoch_ = 0;
  Number next_ = 1;
  Number forget_from_ = 0;            // where the next sweep of the history goes on
  std::uint32_t observed_day_ = 0;
  std::uint64_t observed_rows_ = 0;
};

/// The map an environment for `limit_bytes` gets: a quarter more, whole pages.
std::uint64_t map_for(std::uint64_t limit_bytes);

}  // namespace postern::queue
