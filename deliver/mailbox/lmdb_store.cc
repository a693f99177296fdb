#include "deliver/mailbox/lmdb_store.h"

#include <algorithm>

#include "deliver/mailbox/folders.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

using io::lmdb::Cursor;
using io::lmdb::Entry;

namespace {

constexpr std::uint64_t kFullPercent = 90;  // past it new mail is refused: removing needs free pages too (FEASIBILITY: LMDB)

std::uint64_t date_number(WallTime time) { return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.time_since_epoch().count())); }

Key delivered_key(const DeliveryKey& key) { return Key().u64(key.epoch).u64(key.number).text(key.recipient); }
Key message_key(AccountId account, FolderId folder, Uid uid) {
  return Key().u64(account).u32(static_cast<std::uint32_t>(folder)).u32(uid);
}
Key date_key(AccountId account, FolderId folder, WallTime time, Uid uid) {
  return Key().u64(account).u32(static_cast<std::uint32_t>(folder)).u64(date_number(time)).u32(uid);
}
constexpr std::size_t kFolderKeyBytes = 12, kDateKeyBytes = 24;

tl::unexpected<Error> absent(std::string what) { return failure("store.absent", "there is no such " + std::move(what)); }

}  // namespace

struct LmdbStore::Batch {
  explicit Batch(Txn& t) : txn(t) {}
  Txn& txn;
  std::map<std::pair<AccountId, FolderId>, FolderRecord> folders;
  std::map<AccountId, UsageRecord> usages;
  const MessageBytes* last = nullptr;  // the body written last, and how many have it
  BodyId last_body = 0;
  std::uint32_t last_references = 0;
};

LmdbStore::LmdbStore(Database& database, const Clock& clock)
    : database_(database), clock_(clock), charsets_(mail::Charsets::Load::now) {}

// ---- delivery ------------------------------------------------------------------------------------------------------

namespace {

Result<void> write_body(Database& database, Txn& txn, BodyId body, const MessageBytes& bytes) {
  PieceReader reader(bytes);
  std::uint64_t left = bytes.size();
  for (std::uint32_t chunk = 0; left > 0; ++chunk) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left, io::lmdb::kChunkBytes));
    TRY_ASSIGN(const auto room, txn.reserve(database.tables().body, Key().u64(body).u32(chunk), size));
    if (reader.read(room) != size) return failure("store.corrupt", "a message shorter than it says");
    left -= size;
  }
  return {};
}

}  // namespace

Result<Stored> LmdbStore::store_one(Batch& batch, const Incoming& message, Flags flags, Uid* uid) {
  const Tables& tables = database_.tables();
  Txn& txn = batch.txn;
  const bool has_key = !message.key.recipient.empty();
  if (has_key) {
    TRY_ASSIGN(const auto before, txn.get(tables.delivered, delivered_key(message.key)));
    if (before) return Stored::repeated;
  }
  if (!batch.usages.contains(message.account)) {
    TRY_ASSIGN(const auto usage, get_record<UsageRecord>(txn, tables.usage, Key().u64(message.account)));
    if (!usage) return Stored::no_account;
    batch.usages.emplace(message.account, *usage);
  }
  UsageRecord& usage = batch.usages.at(message.account);
  const std::uint64_t size = message.bytes->size() + message.trace.size();
  if (message.quota_bytes != 0 && usage.bytes + size > message.quota_bytes) return Stored::over_quota;
  const auto place = std::pair(message.account, message.folder);
  if (!batch.folders.contains(place)) {
    TRY_ASSIGN(auto record, get_folder(txn, message.account, message.folder));
    batch.folders.emplace(place, std::move(record));
  }
  FolderRecord& folder = batch.folders.at(place);

  if (batch.last != message.bytes.get()) {
    TRY_ASSIGN(batch.last_body, database_.next_number(txn, "body"));
    TRY(write_body(database_, txn, batch.last_body, *message.bytes));
    batch.last = message.bytes.get();
    batch.last_references = 0;
  }
  ++batch.last_references;
  TRY(put_record(txn, tables.body_info, Key().u64(batch.last_body), BodyRecord{message.bytes->size(), batch.last_references}));

  MessageRecord record;
  record.body = batch.last_body;
  record.size = size;
  record.flags = flags;
  record.received = message.received;
  record.trace = message.trace;
  record.index = index_row(message.bytes->head(limits::kIndexHeadBytes), charsets_);
  *uid = folder.uid_next++;
  TRY(put_record(txn, tables.message, message_key(message.account, message.folder, *uid), record));
  TRY(txn.put(tables.by_date, date_key(message.account, message.folder, message.received, *uid), bytes_of("1")));
  ++folder.messages;
  folder.bytes += size;
  if (!flags.has(Flags::kSeen)) ++folder.unseen;
  usage.bytes += size;
  ++usage.messages;
  if (has_key) TRY(put_record(txn, tables.delivered, delivered_key(message.key), DeliveredRecord{clock_.now()}));
  return Stored::stored;
}

Result<std::vector<Stored>> LmdbStore::deliver(std::span<const Incoming> messages) {
  std::vector<Stored> results;
  const Result<void> ran = database_.write([&](Txn& txn) -> Result<void> {
    Batch batch(txn);
    for (const Incoming& message : messages) {
      Uid uid = 0;
      TRY_ASSIGN(const Stored stored, store_one(batch, message, Flags{}, &uid));
      results.push_back(stored);
    }
    for (const auto& [place, record] : batch.folders)
      TRY(put_record(txn, database_.tables().folder, folder_key(place.first, place.second), record));
    for (const auto& [account, record] : batch.usages)
      TRY(put_record(txn, database_.tables().usage, Key().u64(account), record));
    return {};
  });
  TRY(ran);
  return results;
}

Result<Uid> LmdbStore::append(const Incoming& message, Flags flags) {
  Uid uid = 0;
  const Result<void> ran = database_.write([&](Txn& txn) -> Result<void> {
    Batch batch(txn);
    TRY_ASSIGN(const Stored stored, store_one(batch, message, flags, &uid));
    if (stored == Stored::no_account) return absent("account");
    if (stored == Stored::over_quota) return failure("store.quota", "the account's quota is used up");
    const auto place = std::pair(message.account, message.folder);
    TRY(put_record(txn, database_.tables().folder, folder_key(place.first, place.second), batch.folders.at(place)));
    return put_record(txn, database_.tables().usage, Key().u64(message.account), batch.usages.at(message.account));
  });
  TRY(ran);
  return uid;
}

// ---- the memory of deliveries --------------------------------------------------------------------------------------

Result<bool> LmdbStore::was_delivered(const DeliveryKey& key) {
  bool was = false;
  const Result<void> ran = database_.read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto found, txn.get(database_.tables().delivered, delivered_key(key)));
    was = found.has_value();
    return {};
  });
  TRY(ran);
  return was;
}

Result<void> LmdbStore::remember(std::span<const DeliveryKey> keys) {
  return database_.write([&](Txn& txn) -> Result<void> {
    for (const auto& key : keys)
      TRY(put_record(txn, database_.tables().delivered, delivered_key(key), DeliveredRecord{clock_.now()}));
    return {};
  });
}

/// Numbers of one epoch grow with time, so the old ones of each epoch stand in front: a walk ends at the first young one and goes on
/// with the next epoch.
Result<std::size_t> LmdbStore::forget_old() {
  const WallTime oldest = clock_.now() - std::chrono::days(limits::kDelivered);
  std::vector<Bytes> old;
  const Result<void> ran = database_.read([&](Txn& txn) -> Result<void> {
    Key from, next;
    bool more = true;
    while (more && old.size() < limits::kExpirePerRun) {
      more = false;
      TRY(txn.scan(database_.tables().delivered, from, {}, [&](const Entry& entry) {
        const auto record = read_record<DeliveredRecord>(entry.value);
        if (!record || record->at < oldest) {
          old.emplace_back(entry.key.begin(), entry.key.end());
          return old.size() < limits::kExpirePerRun;
        }
        const auto epoch = io::lmdb::get_u64(entry.key, 0);
        more = epoch && *epoch != UINT64_MAX;
        if (more) next = Key().u64(*epoch + 1);
        return false;
      }));
      from = next;
    }
    return {};
  });
  TRY(ran);
  if (old.empty()) return std::size_t{0};
  const Result<void> written = database_.write([&](Txn& txn) -> Result<void> {
    for (const auto& key : old) TRY(txn.del(database_.tables().delivered, key));
    return {};
  });
  TRY(written);
  return old.size();
}

// ---- removing ------------------------------------------------------------------------------------------------------

Result<void> LmdbStore::release_body(Txn& txn, BodyId body) {
  const Tables& tables = database_.tables();
  TRY_ASSIGN(auto record, get_record<BodyRecord>(txn, tables.body_info, Key().u64(body)));
  if (record && record->references > 1) {
    --record->references;
    return put_record(txn, tables.body_info, Key().u64(body), *record);
  }
  TRY(txn.del_range(tables.body, Key().u64(body), Key().u64(body + 1), SIZE_MAX));
  TRY(txn.del(tables.body_info, Key().u64(body)));
  return {};
}

Result<void> LmdbStore::remove_row(Txn& txn, AccountId account, FolderId folder, Uid uid, const MessageRecord& record) {
  const Tables& tables = database_.tables();
  TRY(txn.del(tables.message, message_key(account, folder, uid)));
  TRY(txn.del(tables.by_date, date_key(account, folder, record.received, uid)));
  TRY_ASSIGN(auto counts, get_folder(txn, account, folder));
  counts.messages -= std::min<std::uint64_t>(counts.messages, 1);
  counts.bytes -= std::min(counts.bytes, record.size);
  if (!record.flags.has(Flags::kSeen)) counts.unseen -= std::min<std::uint64_t>(counts.unseen, 1);
  return put_record(txn, tables.folder, folder_key(account, folder), counts);
}

Result<void> LmdbStore::remove(AccountId account, FolderId folder, Uid uid) {
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto record, get_message(txn, account, folder, uid));
    TRY(remove_row(txn, account, folder, uid, record));
    TRY(release_body(txn, record.body));
    TRY_ASSIGN(auto usage, get_record<UsageRecord>(txn, database_.tables().usage, Key().u64(account)));
    if (!usage) return {};
    usage->bytes -= std::min(usage->bytes, record.size);
    usage->messages -= std::min<std::uint64_t>(usage->messages, 1);
    return put_record(txn, database_.tables().usage, Key().u64(account), *usage);
  });
}

Result<Uid> LmdbStore::move(AccountId account, FolderId from, Uid uid, FolderId to) {
  Uid moved = uid;
  if (from == to) return moved;
  const Result<void> ran = database_.write([&](Txn& txn) -> Result<void> {
    const Tables& tables = database_.tables();
    TRY_ASSIGN(const auto record, get_message(txn, account, from, uid));
    TRY_ASSIGN(auto counts, get_folder(txn, account, to));
    TRY(remove_row(txn, account, from, uid, record));
    moved = counts.uid_next++;
    ++counts.messages;
    counts.bytes += record.size;
    if (!record.flags.has(Flags::kSeen)) ++counts.unseen;
    TRY(put_record(txn, tables.message, message_key(account, to, moved), record));
    TRY(txn.put(tables.by_date, date_key(account, to, record.received, moved), bytes_of("1")));
    return put_record(txn, tables.folder, folder_key(account, to), counts);
  });
  TRY(ran);
  return moved;
}

Result<bool> LmdbStore::purge() {
  bool more = false;
  const Result<void> ran = database_.write([&](Txn& txn) -> Result<void> {
    const Tables& tables = database_.tables();
    std::optional<AccountId> account;
    TRY(txn.scan(tables.purge, {}, {}, [&](const Entry& entry) { return account = io::lmdb::get_u64(entry.key, 0), false; }));
    if (!account) return {};
    more = true;
    TRY(txn.del(tables.usage, Key().u64(*account)));  // from here on nothing is delivered to it
    std::vector<std::pair<Bytes, BodyId>> rows;
    TRY(txn.scan_prefix(tables.message, Key().u64(*account), [&](const Entry& entry) {
      const auto record = read_record<MessageRecord>(entry.value);
      rows.emplace_back(Bytes(entry.key.begin(), entry.key.end()), record ? record->body : 0);
      return rows.size() < limits::kPurgePerRun;
    }));
    for (const auto& [key, body] : rows) {
      TRY(txn.del(tables.message, key));
      TRY(release_body(txn, body));
    }
    if (!rows.empty()) return {};
    TRY(txn.del_range(tables.by_date, Key().u64(*account), Key().u64(*account + 1), SIZE_MAX));
    TRY(txn.del_range(tables.folder, Key().u64(*account), Key().u64(*account + 1), SIZE_MAX));
    TRY(txn.del(tables.purge, Key().u64(*account)));
    return {};
  });
  TRY(ran);
  return more;
}

// ---- folders -------------------------------------------------------------------------------------------------------

Result<FolderRecord> LmdbStore::get_folder(const Txn& txn, AccountId account, FolderId folder) const {
  TRY_ASSIGN(auto record, get_record<FolderRecord>(txn, database_.tables().folder, folder_key(account, folder)));
  if (!record) return absent("folder");
  return *std::move(record);
}

Result<std::vector<Folder>> LmdbStore::folders(AccountId account) {
  std::vector<Folder> found;
  TRY(database_.read([&](Txn& txn) {
    return txn.scan_prefix(database_.tables().folder, Key().u64(account), [&](const Entry& entry) {
      auto record = read_record<FolderRecord>(entry.value);
      const auto id = io::lmdb::get_u32(entry.key, 8);
      if (record && id) found.push_back({static_cast<FolderId>(*id), *std::move(record)});
      return found.size() < limits::kFolders;
    });
  }));
  if (found.empty()) return absent("account");
  return found;
}

Result<void> LmdbStore::check_name_is_free(const Txn& txn, AccountId account, std::string_view name) const {
  TRY(check_folder_name(name));
  bool taken = false;
  std::size_t count = 0;
  TRY(txn.scan_prefix(database_.tables().folder, Key().u64(account), [&](const Entry& entry) {
    const auto record = read_record<FolderRecord>(entry.value);
    if (record && record->name == name) taken = true;
    return ++count, true;
  }));
  if (count == 0) return absent("account");
  if (taken) return failure("store.folder", "there is a folder of that name already");
  if (count >= limits::kFolders) return failure("store.folder", "an account has at most " + std::to_string(limits::kFolders) + " folders");
  return {};
}

Result<FolderId> LmdbStore::add_folder(AccountId account, std::string_view name) {
  auto id = static_cast<FolderId>(kFirstOwnFolder);
  const Result<void> ran = database_.write([&](Txn& txn) -> Result<void> {
    TRY(check_name_is_free(txn, account, name));
    TRY_ASSIGN(const auto last, txn.last(database_.tables().folder, Key().u64(account)));
    const auto number = last ? io::lmdb::get_u32(last->key, 8) : std::nullopt;
    if (number && *number >= kFirstOwnFolder) id = static_cast<FolderId>(*number + 1);
    FolderRecord record;
    record.name = name;
    record.uid_validity = uid_validity_at(clock_.now());
    return put_record(txn, database_.tables().folder, folder_key(account, id), record);
  });
  TRY(ran);
  return id;
}

Result<void> LmdbStore::rename_folder(AccountId account, FolderId folder, std::string_view name) {
  if (static_cast<std::uint32_t>(folder) < kFirstOwnFolder) return failure("store.folder", "this folder keeps its name");
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY(check_name_is_free(txn, account, name));
    TRY_ASSIGN(auto record, get_folder(txn, account, folder));
    record.name = name;
    return put_record(txn, database_.tables().folder, folder_key(account, folder), record);
  });
}

Result<void> LmdbStore::remove_folder(AccountId account, FolderId folder) {
  if (static_cast<std::uint32_t>(folder) < kFirstOwnFolder) return failure("store.folder", "this folder stays");
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto record, get_folder(txn, account, folder));
    if (record.messages != 0) return failure("store.folder", "the folder is not empty");
    TRY(txn.del(database_.tables().folder, folder_key(account, folder)));
    return {};
  });
}

// ---- messages ------------------------------------------------------------------------------------------------------

Result<MessageRecord> LmdbStore::get_message(const Txn& txn, AccountId account, FolderId folder, Uid uid) const {
  TRY_ASSIGN(auto record, get_record<MessageRecord>(txn, database_.tables().message, message_key(account, folder, uid)));
  if (!record) return absent("message");
  return *std::move(record);
}

Result<MessageRecord> LmdbStore::message(AccountId account, FolderId folder, Uid uid) {
  MessageRecord record;
  const Result<void> ran = database_.read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(record, get_message(txn, account, folder, uid));
    return {};
  });
  TRY(ran);
  return record;
}

Result<void> LmdbStore::set_flags(AccountId account, FolderId folder, Uid uid, Flags flags) {
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(auto record, get_message(txn, account, folder, uid));
    TRY_ASSIGN(auto counts, get_folder(txn, account, folder));
    const bool was_seen = record.flags.has(Flags::kSeen), is_seen = flags.has(Flags::kSeen);
    if (was_seen && !is_seen) ++counts.unseen;
    if (!was_seen && is_seen) counts.unseen -= std::min<std::uint64_t>(counts.unseen, 1);
    record.flags.bits = flags.bits & Flags::kAll;
    TRY(put_record(txn, database_.tables().message, message_key(account, folder, uid), record));
    return put_record(txn, database_.tables().folder, folder_key(account, folder), counts);
  });
}

Result<void> LmdbStore::read(AccountId account, FolderId folder, Uid uid, const Sink& sink) {
  return database_.read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto record, get_message(txn, account, folder, uid));
    TRY(sink(bytes_of(record.trace)));
    std::uint64_t size = record.trace.size();
    Result<void> sunk;
    TRY(txn.scan_prefix(database_.tables().body, Key().u64(record.body), [&](const Entry& entry) {
      size += entry.value.size();
      sunk = sink(entry.value);
      return sunk.has_value();
    }));
    TRY(std::move(sunk));
    if (size != record.size) return failure("store.corrupt", "a part of the message is missing");
    return {};
  });
}

Result<MessageList> LmdbStore::list(AccountId account, FolderId folder, const ListQuery& query) {
  MessageList found;
  const Result<void> ran = database_.read([&](Txn& txn) -> Result<void> {
    TRY(get_folder(txn, account, folder));
    const Key prefix = folder_key(account, folder);
    TRY_ASSIGN(Cursor cursor, Cursor::open(txn, database_.tables().by_date));
    const bool back = query.newest_first;
    // The first entry at or behind where the page begins; going back, the one before it is the first of the page.
    Key start = back ? Key().u64(account).u32(static_cast<std::uint32_t>(folder) + 1) : prefix;
    if (query.after) start = date_key(account, folder, query.after->first, query.after->second + (back ? 0 : 1));
    TRY_ASSIGN(auto entry, cursor.seek(start));
    if (back && entry) {
      TRY_ASSIGN(entry, cursor.prev());
    } else if (back) {
      TRY_ASSIGN(entry, cursor.last());
    }
    for (std::size_t rows = 0; entry; ++rows) {
      const ByteView key = entry->key;
      if (key.size() != kDateKeyBytes || !std::ranges::equal(key.first(kFolderKeyBytes), prefix.view())) break;
      if (found.messages.size() >= query.most || rows >= limits::kSearchRows) {
        found.more = true;
        break;
      }
      const auto time = WallTime(std::chrono::milliseconds(*io::lmdb::get_u64(key, kFolderKeyBytes)));
      const Uid uid = *io::lmdb::get_u32(key, kFolderKeyBytes + 8);
      TRY_ASSIGN(auto record, get_message(txn, account, folder, uid));
      found.next = std::pair(time, uid);
      if (query.search.matches_all() || query.search.matches(record.index)) found.messages.push_back({uid, std::move(record)});
      if (back) {
        TRY_ASSIGN(entry, cursor.prev());
      } else {
        TRY_ASSIGN(entry, cursor.next());
      }
    }
    return {};
  });
  TRY(ran);
  return found;
}

Result<Store::Space> LmdbStore::space() {
  TRY_ASSIGN(const auto usage, database_.env().usage());
  Space space;
  space.used_bytes = usage.used_bytes - std::min(usage.used_bytes, usage.free_bytes);
  space.most_bytes = usage.map_bytes;
  space.accepting = space.used_bytes / 100 < space.most_bytes / 100 * kFullPercent / 100;
  return space;
}

}  // namespace postern::mailbox
