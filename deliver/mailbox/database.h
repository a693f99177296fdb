/// The mailbox process's one LMDB environment with its tables: opened before the lock, shared by directory and store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "io/lmdb.h"
#include "deliver/mailbox/schema.h"

namespace postern::mailbox {

using io::lmdb::Key;
using io::lmdb::Table;
using io::lmdb::Txn;

struct Tables {
  Table meta, domain, account, alias, usage, folder, message, by_date, body_info, body, delivered, purge;
};

class Database {
 public:
  /// Opens or makes the environment at `path`, checks the schema's version. `max_bytes` is the most it may grow to.
  /// Errors: those of io::lmdb, "store.version".
  static Result<std::unique_ptr<Database>> open(const std::string& path, std::uint64_t max_bytes);

  const Tables& tables() const { return tables_; }
  io::lmdb::Env& env() { return *env_; }

  /// Runs `work` in a write transaction and commits it. An error of `work` aborts it and is passed on.
  Result<void> write(const std::function<Result<void>(Txn&)>& work);
  /// Runs `work` in a read transaction.
  Result<void> read(const std::function<Result<void>(Txn&)>& work);

  /// A fresh number of the sequence `name`, 1 first; kept in the transaction.
  Result<std::uint64_t> next_number(Txn& txn, std::string_view name, std::uint64_t count = 1);

  Result<std::optional<std::string>> meta(const Txn& txn, std::string_view name) const;
  Result<void> set_meta(Txn& txn, std::string_view name, std::string_view value);

 private:
  Database() = default;
  std::unique_ptr<io::lmdb::Env> env_;
  Tables tables_{};
};

/// The record at `key`, or nullopt. Errors: those of io::lmdb and read_record().
template <class R>
Result<std::optional<R>> get_record(const Txn& txn, Table table, ByteView key) {
  TRY_ASSIGN(const auto bytes, txn.get(table, key));
  if (!bytes) return std::optional<R>();
  TRY_ASSIGN(R record, read_record<R>(*bytes));
  return std::optional<R>(std::move(record));
}
template <class R>
Result<void> put_record(Txn& txn, Table table, ByteView key, const R& record) {
  return txn.put(table, key, bytes_of(write_record(record)));
}

}  // namespace postern::mailbox
