#include "deliver/mailbox/database.h"

#include "base/text.h"

namespace postern::mailbox {

namespace {
constexpr std::string_view kVersionKey = "schema";
constexpr std::string_view kVersion = "1";
}  // namespace

Result<std::unique_ptr<Database>> Database::open(const std::string& path, std::uint64_t max_bytes) {
  std::unique_ptr<Database> database(new Database());  // the constructor is private
  TRY_ASSIGN(database->env_, io::lmdb::Env::open(path, {.map_bytes = max_bytes, .max_tables = 16}));
  const std::pair<const char*, Table*> tables[] = {
      {"meta", &database->tables_.meta},       {"domain", &database->tables_.domain},   {"account", &database->tables_.account},
      {"alias", &database->tables_.alias},     {"usage", &database->tables_.usage},     {"folder", &database->tables_.folder},
      {"message", &database->tables_.message}, {"by_date", &database->tables_.by_date}, {"body_info", &database->tables_.body_info},
      {"body", &database->tables_.body},       {"delivered", &database->tables_.delivered}, {"purge", &database->tables_.purge}};
  for (const auto& [name, table] : tables) {
    TRY_ASSIGN(*table, database->env_->table(name));
  }
  const Result<void> ran = database->write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto version, database->meta(txn, kVersionKey));
    if (!version) return database->set_meta(txn, kVersionKey, kVersion);
    if (*version != kVersion) return failure("store.version", "the store has schema " + *version + ", this program writes " + std::string(kVersion));
    return {};
  });
  TRY(ran);
  return database;
}

Result<void> Database::write(const std::function<Result<void>(Txn&)>& work) {
  TRY_ASSIGN(Txn txn, env_->begin(io::lmdb::Mode::write));
  TRY(work(txn));
  return txn.commit();
}

Result<void> Database::read(const std::function<Result<void>(Txn&)>& work) {
  TRY_ASSIGN(Txn txn, env_->begin(io::lmdb::Mode::read));
  return work(txn);
}

Result<std::uint64_t> Database::next_number(Txn& txn, std::string_view name, std::uint64_t count) {
  TRY_ASSIGN(const auto text, meta(txn, name));
  const auto last = text ? text::parse_uint(*text, UINT64_MAX - count) : std::optional<std::uint64_t>(0);
  if (!last) return failure("store.corrupt", "the sequence " + std::string(name) + " is no number");
  TRY(set_meta(txn, name, std::to_string(*last + count)));
  return *last + 1;
}

Result<std::optional<std::string>> Database::meta(const Txn& txn, std::string_view name) const {
  TRY_ASSIGN(const auto value, txn.get(tables_.meta, bytes_of(name)));
  if (!value) return std::optional<std::string>();
  return std::optional<std::string>(text_of(*value));
}

Result<void> Database::set_meta(Txn& txn, std::string_view name, std::string_view value) {
  return txn.put(tables_.meta, bytes_of(name), bytes_of(value));
}

}  // namespace postern::mailbox
