/// A Spool in memory, for tests: what is committed stays, what is not is gone, and calls fail when they are told to.
/// It keeps rows encoded, so that a test sees what the disk would.
#pragma once

#include <map>

#include "queue/spool.h"

namespace postern::queue {

class MemorySpool final : public Spool {
 public:
  /// The next commits (or stages) fail with this code; empty: they work.
  std::string_view fail_commit;
  std::string_view fail_stage;
  std::uint64_t used_bytes = 0, limit_bytes = std::uint64_t{1} << 40;
  std::size_t commits = 0;

  struct Rows {
    std::map<Number, std::string> message, schedule, evidence, history;
    std::map<std::pair<Number, std::uint32_t>, std::string> recipient;
    std::map<Number, std::string> body;
    std::map<Number, std::string> incomplete;
    std::map<std::string, Number, std::less<>> label;
    std::multimap<Number, std::string> attempt;
    std::map<std::pair<std::uint32_t, std::string>, std::uint64_t> observation;
    std::map<std::string, std::string, std::less<>> hold;
    std::map<std::string, std::string, std::less<>> kept;
  };
  Rows rows;

  std::uint64_t epoch() const override { return 7; }
  Number take_number() override { return next_++; }
  Result<std::string> keep(std::string_view name, const std::string& fresh) override { return rows.kept.emplace(name, fresh).first->second; }
  Result<std::unique_ptr<Batch>> begin() override;
  Result<void> stage(Number number, const BodySource& body, std::uint64_t from, std::uint64_t until) override {
    if (!fail_stage.empty()) return failure(fail_stage, "told to fail");
    std::string piece(static_cast<std::size_t>(until - from), '\0');
    TRY(body.read(from, {reinterpret_cast<std::byte*>(piece.data()), piece.size()}));
    rows.incomplete[number] += piece;
    return {};
  }
  Result<void> unstage(Number number) override {
    rows.incomplete.erase(number);
    return {};
  }
  Result<MessageRecord> message(Number number) override { return row<MessageRecord>(rows.message, number); }
  Result<ScheduleRecord> schedule(Number number) override { return row<ScheduleRecord>(rows.schedule, number); }
  Result<std::vector<RecipientRecord>> recipients(Number number) override {
    std::vector<RecipientRecord> found;
    for (auto at = rows.recipient.lower_bound({number, 0}); at != rows.recipient.end() && at->first.first == number; ++at) {
      TRY_ASSIGN(auto record, decode_row<RecipientRecord>(at->second));
      found.push_back(std::move(record));
    }
    return found;
  }
  Result<void> read_body(Number number, std::uint64_t most, const std::function<Result<void>(ByteView)>& sink) override {
    const auto at = rows.body.find(number);
    if (at == rows.body.end()) return failure("spool.absent", "no body");
    return sink(bytes_of(std::string_view(at->second).substr(0, static_cast<std::size_t>(most))));
  }
  Result<std::optional<Number>> find(std::string_view id) override {
    const auto at = rows.label.find(id);
    return at == rows.label.end() ? std::optional<Number>{} : std::optional<Number>(at->second);
  }
  Result<std::string> evidence(Number number) override {
    const auto at = rows.evidence.find(number);
    return at == rows.evidence.end() ? std::string{} : at->second;
  }
  Result<std::vector<AttemptRecord>> attempts(Number number) override {
    std::vector<AttemptRecord> found;
    for (auto [at, end] = rows.attempt.equal_range(number); at != end; ++at) {
      TRY_ASSIGN(auto record, decode_row<AttemptRecord>(at->second));
      found.push_back(std::move(record));
    }
    return found;
  }
  Result<std::optional<HistoryRecord>> history(Number number) override {
    if (!rows.history.contains(number)) return std::optional<HistoryRecord>{};
    TRY_ASSIGN(auto record, row<HistoryRecord>(rows.history, number));
    return std::optional<HistoryRecord>(std::move(record));
  }
  Result<std::vector<std::pair<std::string, std::string>>> holds() override {
    return std::vector<std::pair<std::string, std::string>>(rows.hold.begin(), rows.hold.end());
  }
  Result<std::vector<Observation>> observations(std::size_t most) override {
    std::vector<Observation> found;
    for (auto at = rows.observation.rbegin(); at != rows.observation.rend() && found.size() < most; ++at)
      found.push_back({at->first.first, at->first.second, at->second});
    return found;
  }
  Result<std::uint64_t> load(const std::function<bool(LoadedMessage&)>& visit) override {
    for (const auto& [number, bytes] : rows.schedule) {
      LoadedMessage loaded;
      loaded.number = number;
      TRY_ASSIGN(loaded.schedule, decode_row<ScheduleRecord>(bytes));
      RecipientRecord scratch;
      for (auto at = rows.recipient.lower_bound({number, 0}); at != rows.recipient.end() && at->first.first == number; ++at) {
        OpenRecipient open;
        if (skim_recipient(at->second, scratch, open) == Skim::open) loaded.open.push_back(open);
      }
      if (!visit(loaded)) break;
    }
    return std::uint64_t{0};
  }
  Result<std::uint64_t> count() override { return rows.schedule.size(); }
  Result<SpoolUsage> usage() override { return SpoolUsage{used_bytes, limit_bytes}; }
  Result<bool> grow() override { return false; }

 private:
  friend class MemoryBatch;
  template <class R>
  static Result<R> row(const std::map<Number, std::string>& table, Number number) {
    const auto at = table.find(number);
    if (at == table.end()) return failure("spool.absent", "no such message");
    return decode_row<R>(at->second);
  }
  Number next_ = 1;
};

class MemoryBatch final : public Batch {
 public:
  explicit MemoryBatch(MemorySpool& spool) : spool_(spool), rows_(spool.rows) {}

  Result<void> add(Number number, const NewMessage& m, const BodySource* body) override {
    if (body != nullptr) {
      std::string bytes(static_cast<std::size_t>(body->size()), '\0');
      TRY(body->read(0, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()}));
      rows_.body[number] = std::move(bytes);
    } else {
      rows_.body[number] = std::move(rows_.incomplete[number]);
      rows_.incomplete.erase(number);
    }
    rows_.message[number] = encode_row(m.message);
    rows_.schedule[number] = encode_row(m.schedule);
    for (std::size_t i = 0; i < m.recipients.size(); ++i)
      rows_.recipient[{number, static_cast<std::uint32_t>(i)}] = encode_row(m.recipients[i]);
    rows_.label.emplace(m.message.id, number);
    if (!m.evidence.empty()) rows_.evidence[number] = m.evidence;
    return {};
  }
  Result<void> put_schedule(Number number, const ScheduleRecord& schedule) override {
    rows_.schedule[number] = encode_row(schedule);
    return {};
  }
  Result<void> put_recipient(Number number, std::uint32_t index, const RecipientRecord& recipient) override {
    rows_.recipient[{number, index}] = encode_row(recipient);
    return {};
  }
  Result<void> note(Number number, const AttemptRecord& attempt) override {
    rows_.attempt.emplace(number, encode_row(attempt));
    return {};
  }
  Result<void> erase(Number number, const HistoryRecord& history) override {
    rows_.message.erase(number);
    rows_.schedule.erase(number);
    rows_.body.erase(number);
    std::erase_if(rows_.recipient, [&](const auto& entry) { return entry.first.first == number; });
    rows_.history[number] = encode_row(history);
    return {};
  }
  Result<std::size_t> forget(WallTime before, std::size_t most) override {
    std::size_t gone = 0;
    for (auto at = rows_.history.begin(); at != rows_.history.end() && gone < most;) {
      TRY_ASSIGN(const auto record, decode_row<HistoryRecord>(at->second));
      if (record.finished >= before) {
        ++at;
        continue;
      }
      rows_.label.erase(record.id);
      rows_.attempt.erase(at->first);
      rows_.evidence.erase(at->first);
      at = rows_.history.erase(at);
      ++gone;
    }
    return gone;
  }
  Result<void> observe(std::uint32_t day, std::string_view what, std::uint64_t times) override {
    rows_.observation[{day, std::string(what)}] += times;
    return {};
  }
  Result<void> put_hold(std::string_view destination, std::string_view reason) override {
    rows_.hold[std::string(destination)] = reason;
    return {};
  }
  Result<void> remove_hold(std::string_view destination) override {
    rows_.hold.erase(std::string(destination));
    return {};
  }
  Result<void> commit() override {
    if (!spool_.fail_commit.empty()) return failure(spool_.fail_commit, "told to fail");
    spool_.rows = std::move(rows_);
    ++spool_.commits;
    return {};
  }

 private:
  MemorySpool& spool_;
  MemorySpool::Rows rows_;
};

inline Result<std::unique_ptr<Batch>> MemorySpool::begin() { return std::unique_ptr<Batch>(std::make_unique<MemoryBatch>(*this)); }

}  // namespace postern::queue
