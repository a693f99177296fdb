// The writing half of the LMDB spool: one Batch, one transaction.
#include <algorithm>

#include "queue/limits.h"
#include "queue/lmdb_rows.h"
#include "queue/lmdb_spool.h"

namespace postern::queue {

using io::lmdb::Entry;
using io::lmdb::Mode;
using io::lmdb::get_u32;
using io::lmdb::get_u64;
using rows::translate;

class LmdbBatch final : public Batch {
 public:
  LmdbBatch(LmdbSpool& spool, io::lmdb::Txn txn) : spool_(spool), t_(spool.tables_), txn_(std::move(txn)) {}

  Result<void> add(Number number, const NewMessage& message, const BodySource* body) override {
    if (body != nullptr) {
      TRY(write_body(number, *body));
    } else {
      TRY(translate(txn_.del(t_.incomplete, rows::number(number))));
    }
    TRY(put(t_.message, rows::number(number), message.message));
    TRY(put(t_.schedule, rows::number(number), message.schedule));
    for (std::size_t i = 0; i < message.recipients.size(); ++i)
      TRY(put(t_.recipient, rows::number(number, static_cast<std::uint32_t>(i)), message.recipients[i]));
    // An id that is there already keeps its first owner; the message is still found by its number.
    TRY(translate(txn_.add(t_.label, rows::text(message.message.id), rows::value_of(number))));
    if (!message.evidence.empty())
      TRY(translate(txn_.put(t_.evidence, rows::number(number), bytes_of(message.evidence))));
    return {};
  }

  Result<void> put_schedule(Number number, const ScheduleRecord& schedule) override {
    return put(t_.schedule, rows::number(number), schedule);
  }

  Result<void> put_recipient(Number number, std::uint32_t index, const RecipientRecord& recipient) override {
    return put(t_.recipient, rows::number(number, index), recipient);
  }

  Result<void> note(Number number, const AttemptRecord& attempt) override {
    io::lmdb::Key key;
    key.u64(number).u64(static_cast<std::uint64_t>(attempt.at.time_since_epoch().count())).u32(notes_++);
    return put(t_.attempt, key, attempt);
  }

  Result<void> erase(Number number, const HistoryRecord& history) override {
    TRY(translate(txn_.del(t_.message, rows::number(number))));
    TRY(translate(txn_.del(t_.schedule, rows::number(number))));
    TRY(translate(txn_.del_range(t_.recipient, rows::number(number), rows::number(number + 1), SIZE_MAX)));
    TRY(translate(txn_.del_range(t_.body, rows::number(number), rows::number(number + 1), SIZE_MAX)));
    return put(t_.history, rows::number(number), history);
  }

  Result<std::size_t> forget(WallTime before, std::size_t most) override;
  Result<void> observe(std::uint32_t day, std::string_view what, std::uint64_t times) override;

  Result<void> put_hold(std::string_view destination, std::string_view reason) override {
    return translate(txn_.put(t_.hold, rows::text(destination), bytes_of(reason)));
  }
  Result<void> remove_hold(std::string_view destination) override {
    TRY(translate(txn_.del(t_.hold, rows::text(destination))));
    return {};
  }

  Result<void> commit() override {
    TRY(translate(txn_.put(t_.meta, rows::text("next"), rows::value_of(spool_.next_))));
    return translate(txn_.commit());
  }

 private:
  template <class R>
  Result<void> put(io::lmdb::Table table, ByteView key, const R& record) {
    return translate(txn_.put(table, key, bytes_of(encode_row(record))));
  }

  Result<void> write_body(Number number, const BodySource& body) {
    const std::uint64_t size = body.size();
    for (std::uint64_t at = 0; at < size; at += io::lmdb::kChunkBytes) {
      const auto chunk = static_cast<std::size_t>(std::min<std::uint64_t>(io::lmdb::kChunkBytes, size - at));
      const auto key = rows::number(number, static_cast<std::uint32_t>(at / io::lmdb::kChunkBytes));
      // Straight from the sealed file into the map's page: no copy of ours.
      TRY_ASSIGN(const auto room, translate(txn_.reserve(t_.body, key, chunk)));
      TRY(body.read(at, room));
    }
    return {};
  }

  Result<void> forget_one(Number number, std::string_view id) {
    TRY(translate(txn_.del(t_.history, rows::number(number))));
    TRY(translate(txn_.del(t_.evidence, rows::number(number))));
    TRY(translate(txn_.del_range(t_.attempt, rows::number(number), rows::number(number + 1), SIZE_MAX)));
    TRY_ASSIGN(const auto owner, translate(txn_.get(t_.label, rows::text(id))));
    if (owner && get_u64(*owner, 0) == number) TRY(translate(txn_.del(t_.label, rows::text(id))));
    return {};
  }

  LmdbSpool& spool_;
  const LmdbSpool::Tables& t_;
  io::lmdb::Txn txn_;
  std::uint32_t notes_ = 0;
};

Result<std::size_t> LmdbBatch::forget(WallTime before, std::size_t most) {
  TRY_ASSIGN(const std::uint64_t kept, translate(txn_.count(t_.history)));
  std::uint64_t surplus = kept > limits::kHistoryMessages ? kept - limits::kHistoryMessages : 0;
  std::vector<std::pair<Number, std::string>> old;
  Number go_on = 0;   // from the start again when the end of what can be old is reached
  std::size_t seen = 0;
  TRY(translate(txn_.scan(t_.history, rows::number(spool_.forget_from_), {}, [&](const Entry& entry) {
    const Number number = get_u64(entry.key, 0).value_or(0);
    const auto row = decode_row<HistoryRecord>(text_of(entry.value));
    // Numbers follow the order of arrival: behind the first that is young enough there are only younger ones.
    if (row && row->received >= before && surplus == 0) return false;
    if (!row || row->finished < before || surplus > 0) {
      old.emplace_back(number, row ? row->id : std::string{});
      if (surplus > 0) --surplus;
    }
    if (old.size() >= most || ++seen >= 4 * most) {
      go_on = number + 1;
      return false;
    }
    return true;
  })));
  for (const auto& [number, id] : old) TRY(forget_one(number, id));
  spool_.forget_from_ = go_on;
  return old.size();
}

Result<void> LmdbBatch::observe(std::uint32_t day, std::string_view what, std::uint64_t times) {
  if (day != spool_.observed_day_) {
    const std::uint32_t oldest = day - std::min(day, limits::kObservationDays);
    io::lmdb::Key from, until;
    TRY(translate(txn_.del_range(t_.observation, from.u32(0), until.u32(oldest), SIZE_MAX)));
    std::uint64_t rows_today = 0;
    io::lmdb::Key today;
    TRY(translate(txn_.scan_prefix(t_.observation, today.u32(day), [&](const Entry&) { return ++rows_today, true; })));
    spool_.observed_day_ = day;
    spool_.observed_rows_ = rows_today;
  }
  const auto key_of = [&](std::string_view text) {
    io::lmdb::Key key;
    key.u32(day).text(text.substr(0, limits::kObservationBytes));
    return key;
  };
  auto key = key_of(what);
  TRY_ASSIGN(auto value, translate(txn_.get(t_.observation, key)));
  if (!value && spool_.observed_rows_ >= limits::kObservationsPerDay) {
    key = key_of("other");
    TRY_ASSIGN(value, translate(txn_.get(t_.observation, key)));
  }
  if (!value) ++spool_.observed_rows_;
  const std::uint64_t sum = (value ? get_u64(*value, 0).value_or(0) : 0) + times;
  return translate(txn_.put(t_.observation, key, rows::value_of(sum)));
}

Result<std::unique_ptr<Batch>> LmdbSpool::begin() {
  TRY_ASSIGN(auto txn, translate(env_->begin(Mode::write)));
  return std::unique_ptr<Batch>(std::make_unique<LmdbBatch>(*this, std::move(txn)));
}

}  // namespace postern::queue
