#include "queue/lmdb_spool.h"

#include <algorithm>

#include "queue/limits.h"
#include "queue/lmdb_rows.h"

namespace postern::queue {

using io::lmdb::Entry;
using io::lmdb::Mode;
using io::lmdb::get_u32;
using io::lmdb::get_u64;
using rows::read_row;
using rows::translate;

std::uint64_t map_for(std::uint64_t limit_bytes) {
  constexpr std::uint64_t kPage = 4096;
  return (limit_bytes + limit_bytes / 4) / kPage * kPage;
}

Result<std::unique_ptr<LmdbSpool>> LmdbSpool::open(const std::string& path, std::uint64_t limit_bytes, std::uint64_t fresh_epoch) {
  io::lmdb::EnvOptions options;
  options.map_bytes = map_for(limit_bytes);
  TRY_ASSIGN(auto env, translate(io::lmdb::Env::open(path, options)));
  std::unique_ptr<LmdbSpool> spool(new LmdbSpool(std::move(env), limit_bytes));
  TRY(spool->open_tables());
  TRY(spool->read_meta(fresh_epoch));
  TRY(spool->sweep_incomplete());
  return spool;
}

Result<void> LmdbSpool::open_tables() {
  const std::pair<const char*, io::lmdb::Table*> tables[] = {
      {"meta", &tables_.meta},         {"message", &tables_.message},   {"schedule", &tables_.schedule},
      {"recipient", &tables_.recipient}, {"body", &tables_.body},       {"incomplete", &tables_.incomplete},
      {"label", &tables_.label},       {"evidence", &tables_.evidence}, {"attempt", &tables_.attempt},
      {"history", &tables_.history},   {"observation", &tables_.observation}, {"hold", &tables_.hold},
  };
  for (const auto& [name, table] : tables) {
    TRY_ASSIGN(*table, translate(env_->table(name)));
  }
  return {};
}

Result<void> LmdbSpool::read_meta(std::uint64_t fresh_epoch) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::write)));
  TRY_ASSIGN(const auto schema, translate(txn.get(tables_.meta, rows::text("schema"))));
  if (!schema) {
    TRY(translate(txn.put(tables_.meta, rows::text("schema"), rows::value_of(kSchemaVersion))));
    TRY(translate(txn.put(tables_.meta, rows::text("epoch"), rows::value_of(fresh_epoch))));
    TRY(translate(txn.put(tables_.meta, rows::text("next"), rows::value_of(1))));
    epoch_ = fresh_epoch;
    return translate(txn.commit());
  }
  if (get_u64(*schema, 0) != kSchemaVersion)
    return failure("spool.version", "the spool has schema " + std::to_string(get_u64(*schema, 0).value_or(0)));
  TRY_ASSIGN(const auto epoch, translate(txn.get(tables_.meta, rows::text("epoch"))));
  TRY_ASSIGN(const auto next, translate(txn.get(tables_.meta, rows::text("next"))));
  const auto epoch_value = epoch ? get_u64(*epoch, 0) : std::nullopt;
  const auto next_value = next ? get_u64(*next, 0) : std::nullopt;
  if (!epoch_value || !next_value) return failure("spool.corrupt", "the spool's epoch or next number is missing");
  epoch_ = *epoch_value;
  next_ = *next_value;
  return {};
}

Result<void> LmdbSpool::sweep_incomplete() {
  std::vector<Number> left;
  {
    TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
    TRY(translate(txn.scan(tables_.incomplete, {}, {}, [&](const Entry& entry) {
      if (const auto n = get_u64(entry.key, 0)) left.push_back(*n);
      return true;
    })));
  }
  for (const Number n : left) TRY(unstage(n));
  return {};
}

Result<std::string> LmdbSpool::keep(std::string_view name, const std::string& fresh) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::write)));
  const auto key = rows::text("kept " + std::string(name));
  TRY_ASSIGN(const auto there, translate(txn.get(tables_.meta, key)));
  if (there) return std::string(text_of(*there));
  TRY(translate(txn.put(tables_.meta, key, bytes_of(fresh))));
  TRY(translate(txn.commit()));
  return fresh;
}

Result<void> LmdbSpool::stage(Number number, const BodySource& body, std::uint64_t from, std::uint64_t until) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::write)));
  TRY(translate(txn.put(tables_.incomplete, rows::number(number), {})));
  TRY(translate(txn.put(tables_.meta, rows::text("next"), rows::value_of(next_))));
  for (std::uint64_t at = from; at < until; at += io::lmdb::kChunkBytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(io::lmdb::kChunkBytes, until - at));
    const auto chunk = static_cast<std::uint32_t>(at / io::lmdb::kChunkBytes);
    TRY_ASSIGN(const auto room, translate(txn.reserve(tables_.body, rows::number(number, chunk), size)));
    TRY(body.read(at, room));
  }
  return translate(txn.commit());
}

Result<void> LmdbSpool::unstage(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::write)));
  TRY(translate(txn.del_range(tables_.body, rows::number(number), rows::number(number + 1), SIZE_MAX)));
  TRY(translate(txn.del(tables_.incomplete, rows::number(number))));
  return translate(txn.commit());
}

Result<MessageRecord> LmdbSpool::message(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  return read_row<MessageRecord>(txn, tables_.message, rows::number(number));
}

Result<ScheduleRecord> LmdbSpool::schedule(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  return read_row<ScheduleRecord>(txn, tables_.schedule, rows::number(number));
}

Result<std::vector<RecipientRecord>> LmdbSpool::recipients(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  std::vector<RecipientRecord> found;
  Result<void> good;
  TRY(translate(txn.scan_prefix(tables_.recipient, rows::number(number), [&](const Entry& entry) {
    auto row = decode_row<RecipientRecord>(text_of(entry.value));
    if (!row) {
      good = tl::unexpected<Error>(std::move(row).error());
      return false;
    }
    found.push_back(*std::move(row));
    return true;
  })));
  TRY(good);
  return found;
}

Result<void> LmdbSpool::read_body(Number number, std::uint64_t most, const std::function<Result<void>(ByteView)>& sink) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  Result<void> good;
  std::uint32_t expected = 0;
  TRY(translate(txn.scan_prefix(tables_.body, rows::number(number), [&](const Entry& entry) {
    if (most == 0) return false;
    if (get_u32(entry.key, 8) != expected++) {
      good = failure("spool.corrupt", "a chunk of the body is missing");
      return false;
    }
    const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(most, entry.value.size()));
    most -= take;
    good = sink(entry.value.first(take));
    return good.has_value();
  })));
  return good;
}

Result<std::optional<Number>> LmdbSpool::find(std::string_view id) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  TRY_ASSIGN(const auto value, translate(txn.get(tables_.label, rows::text(id))));
  if (!value) return std::optional<Number>{};
  return get_u64(*value, 0);
}

Result<std::string> LmdbSpool::evidence(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  TRY_ASSIGN(const auto value, translate(txn.get(tables_.evidence, rows::number(number))));
  return value ? std::string(text_of(*value)) : std::string{};
}

Result<std::vector<AttemptRecord>> LmdbSpool::attempts(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  std::vector<AttemptRecord> found;
  TRY(translate(txn.scan_prefix(tables_.attempt, rows::number(number), [&](const Entry& entry) {
    if (auto row = decode_row<AttemptRecord>(text_of(entry.value))) found.push_back(*std::move(row));
    return found.size() < limits::kHistoryAttempts;
  })));
  return found;
}

Result<std::optional<HistoryRecord>> LmdbSpool::history(Number number) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  auto row = read_row<HistoryRecord>(txn, tables_.history, rows::number(number));
  if (row) return std::optional<HistoryRecord>(*std::move(row));
  if (row.error().code == "spool.absent") return std::optional<HistoryRecord>{};
  return tl::unexpected<Error>(std::move(row).error());
}

Result<std::vector<std::pair<std::string, std::string>>> LmdbSpool::holds() {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  std::vector<std::pair<std::string, std::string>> found;
  TRY(translate(txn.scan(tables_.hold, {}, {}, [&](const Entry& entry) {
    found.emplace_back(text_of(entry.key), text_of(entry.value));
    return true;
  })));
  return found;
}

namespace {

/// Walks the recipient table beside the schedule: both are in the order of numbers.
class RecipientWalk {
 public:
  static Result<RecipientWalk> begin(const io::lmdb::Txn& txn, io::lmdb::Table table) {
    TRY_ASSIGN(auto cursor, translate(io::lmdb::Cursor::open(txn, table)));
    TRY_ASSIGN(const auto first, translate(cursor.first()));
    return RecipientWalk(std::move(cursor), first);
  }

  /// Collects those of `number` that wait; numbers come in ascending order. Returns how many rows do not decode.
  Result<std::uint64_t> collect(Number number, std::vector<OpenRecipient>& open) {
    std::uint64_t spoiled = 0;
    while (at_) {
      const auto owner = get_u64(at_->key, 0);
      if (owner && *owner > number) break;
      if (owner && *owner == number) {
        OpenRecipient recipient;
        const Skim skim = skim_recipient(text_of(at_->value), scratch_, recipient);
        if (skim == Skim::open) open.push_back(recipient);
        if (skim == Skim::spoiled) ++spoiled;
      }
      TRY_ASSIGN(at_, translate(cursor_.next()));
    }
    return spoiled;
  }

 private:
  RecipientWalk(io::lmdb::Cursor cursor, std::optional<Entry> first) : cursor_(std::move(cursor)), at_(first) {}
  io::lmdb::Cursor cursor_;
  std::optional<Entry> at_;
  RecipientRecord scratch_;
};

}  // namespace

Result<std::uint64_t> LmdbSpool::load(const std::function<bool(LoadedMessage&)>& visit) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  TRY_ASSIGN(auto schedules, translate(io::lmdb::Cursor::open(txn, tables_.schedule)));
  TRY_ASSIGN(auto recipients, RecipientWalk::begin(txn, tables_.recipient));
  TRY_ASSIGN(auto at, translate(schedules.first()));
  std::uint64_t spoiled = 0;
  LoadedMessage loaded;
  while (at) {
    const auto number = get_u64(at->key, 0);
    auto schedule = decode_row<ScheduleRecord>(text_of(at->value));
    if (number && schedule) {
      loaded.number = *number;
      loaded.schedule = *std::move(schedule);
      loaded.open.clear();
      TRY_ASSIGN(const auto bad, recipients.collect(*number, loaded.open));
      spoiled += bad;
      if (!visit(loaded)) break;
    } else {
      ++spoiled;
    }
    TRY_ASSIGN(at, translate(schedules.next()));
  }
  return spoiled;
}

Result<std::vector<Observation>> LmdbSpool::observations(std::size_t most) {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  TRY_ASSIGN(auto rows, translate(io::lmdb::Cursor::open(txn, tables_.observation)));
  std::vector<Observation> found;
  TRY_ASSIGN(auto at, translate(rows.last()));
  while (at && found.size() < most) {
    const auto day = get_u32(at->key, 0);
    const auto times = get_u64(at->value, 0);
    if (day && times) found.push_back({*day, std::string(text_of(at->key.subspan(sizeof(std::uint32_t)))), *times});
    TRY_ASSIGN(at, translate(rows.prev()));
  }
  return found;
}

Result<std::uint64_t> LmdbSpool::count() {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::read)));
  return translate(txn.count(tables_.schedule));
}

Result<SpoolUsage> LmdbSpool::usage() {
  TRY_ASSIGN(const auto usage, translate(env_->usage()));
  return SpoolUsage{usage.used_bytes - std::min(usage.used_bytes, usage.free_bytes), limit_};
}

Result<bool> LmdbSpool::grow() {
  TRY_ASSIGN(const auto usage, translate(env_->usage()));
  if (map_for(limit_) <= usage.map_bytes) return false;
  TRY(translate(env_->grow(map_for(limit_))));
  return true;
}

}  // namespace postern::queue
