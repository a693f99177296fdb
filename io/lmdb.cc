#include "io/lmdb.h"

#include <lmdb.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace postern::io::lmdb {

namespace {

tl::unexpected<Error> lmdb_failure(const char* what, int rc) {
  const std::string words = std::string(what) + ": " + mdb_strerror(rc);
  switch (rc) {
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT: return failure("lmdb.full", words);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_PANIC:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID: return failure("lmdb.corrupt", words);
    case MDB_BAD_VALSIZE:
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case MDB_KEYEXIST:
    case MDB_DBS_FULL:
    case MDB_READERS_FULL:
    case MDB_TXN_FULL:
    case EINVAL:
    case EACCES: return failure("lmdb.use", words);
    default: return failure("lmdb.io", words);  // EIO may also be a full disk: a short write at commit
  }
}

MDB_env* env_of(void* env) { return static_cast<MDB_env*>(env); }
MDB_txn* txn_of(void* txn) { return static_cast<MDB_txn*>(txn); }
MDB_cursor* cursor_of(void* cursor) { return static_cast<MDB_cursor*>(cursor); }

/// LMDB takes its input as non-const and does not write to it.
MDB_val val_of(ByteView bytes) { return {bytes.size(), const_cast<std::byte*>(bytes.data())}; }
ByteView view_of(const MDB_val& val) { return {static_cast<const std::byte*>(val.mv_data), val.mv_size}; }

bool less(ByteView a, ByteView b) { return text_of(a) < text_of(b); }  // char_traits compares as unsigned, as LMDB does
bool starts_with(ByteView key, ByteView prefix) { return text_of(key).starts_with(text_of(prefix)); }

struct ByteOrder {
  template <class N>
  static void put(std::array<std::byte, kMaxKeyBytes>& data, std::size_t& size, N value) {
    POSTERN_CHECK(sizeof(N) <= data.size() - size);
    for (std::size_t i = 0; i < sizeof(N); ++i)
      data[size + i] = static_cast<std::byte>(value >> (8 * (sizeof(N) - 1 - i)) & 0xff);
    size += sizeof(N);
  }
  template <class N>
  static std::optional<N> get(ByteView bytes, std::size_t at) {
    if (at > bytes.size() || sizeof(N) > bytes.size() - at) return std::nullopt;
    N value = 0;
    for (std::size_t i = 0; i < sizeof(N); ++i) value = static_cast<N>(value << 8 | std::to_integer<N>(bytes[at + i]));
    return value;
  }
};

Result<std::optional<Entry>> move_to(void* cursor, MDB_val key, MDB_cursor_op operation) {
  MDB_val value{};
  const int rc = mdb_cursor_get(cursor_of(cursor), &key, &value, operation);
  if (rc == MDB_NOTFOUND) return std::optional<Entry>();
  if (rc != 0) return lmdb_failure("cursor", rc);
  return std::optional<Entry>({view_of(key), view_of(value)});
}

}  // namespace

Key& Key::u8(std::uint8_t value) { return bytes(ByteView(reinterpret_cast<const std::byte*>(&value), 1)); }
Key& Key::u16(std::uint16_t value) {
  ByteOrder::put(data_, size_, value);
  return *this;
}
Key& Key::u32(std::uint32_t value) {
  ByteOrder::put(data_, size_, value);
  return *this;
}
Key& Key::u64(std::uint64_t value) {
  ByteOrder::put(data_, size_, value);
  return *this;
}
Key& Key::text(std::string_view value) { return bytes(bytes_of(value)); }
Key& Key::bytes(ByteView value) {
  POSTERN_CHECK(value.size() <= data_.size() - size_);
  std::copy(value.begin(), value.end(), data_.begin() + static_cast<std::ptrdiff_t>(size_));
  size_ += value.size();
  return *this;
}

std::optional<std::uint32_t> get_u32(ByteView bytes, std::size_t at) { return ByteOrder::get<std::uint32_t>(bytes, at); }
std::optional<std::uint64_t> get_u64(ByteView bytes, std::size_t at) { return ByteOrder::get<std::uint64_t>(bytes, at); }

// ---- Txn ----

Txn::~Txn() { abort(); }

void Txn::abort() {
  if (txn_ == nullptr) return;
  mdb_txn_abort(txn_of(std::exchange(txn_, nullptr)));
  --env_->open_txns_;
}

Result<void> Txn::commit() {
  POSTERN_CHECK(txn_ != nullptr);
  const int rc = mdb_txn_commit(txn_of(std::exchange(txn_, nullptr)));
  --env_->open_txns_;
  if (rc != 0) return lmdb_failure("commit", rc);
  return {};
}

Result<std::optional<ByteView>> Txn::get(Table table, ByteView key) const {
  MDB_val k = val_of(key);
  MDB_val value{};
  const int rc = mdb_get(txn_of(txn_), table.handle, &k, &value);
  if (rc == MDB_NOTFOUND) return std::optional<ByteView>();
  if (rc != 0) return lmdb_failure("get", rc);
  return std::optional<ByteView>(view_of(value));
}

Result<void> Txn::put(Table table, ByteView key, ByteView value) {
  MDB_val k = val_of(key);
  MDB_val v = val_of(value);
  if (const int rc = mdb_put(txn_of(txn_), table.handle, &k, &v, 0); rc != 0) return lmdb_failure("put", rc);
  return {};
}

Result<bool> Txn::add(Table table, ByteView key, ByteView value) {
  MDB_val k = val_of(key);
  MDB_val v = val_of(value);
  const int rc = mdb_put(txn_of(txn_), table.handle, &k, &v, MDB_NOOVERWRITE);
  if (rc == MDB_KEYEXIST) return false;
  if (rc != 0) return lmdb_failure("add", rc);
  return true;
}

Result<std::span<std::byte>> Txn::reserve(Table table, ByteView key, std::size_t size) {
  MDB_val k = val_of(key);
  MDB_val v{size, nullptr};
  if (const int rc = mdb_put(txn_of(txn_), table.handle, &k, &v, MDB_RESERVE); rc != 0) return lmdb_failure("reserve", rc);
  return std::span<std::byte>(static_cast<std::byte*>(v.mv_data), v.mv_size);
}

Result<void> Txn::append(Table table, ByteView key, ByteView value) {
  MDB_val k = val_of(key);
  MDB_val v = val_of(value);
  if (const int rc = mdb_put(txn_of(txn_), table.handle, &k, &v, MDB_APPEND); rc != 0) return lmdb_failure("append", rc);
  return {};
}

Result<bool> Txn::del(Table table, ByteView key) {
  MDB_val k = val_of(key);
  const int rc = mdb_del(txn_of(txn_), table.handle, &k, nullptr);
  if (rc == MDB_NOTFOUND) return false;
  if (rc != 0) return lmdb_failure("del", rc);
  return true;
}

Result<std::uint64_t> Txn::count(Table table) const {
  MDB_stat stat;
  if (const int rc = mdb_stat(txn_of(txn_), table.handle, &stat); rc != 0) return lmdb_failure("stat", rc);
  return static_cast<std::uint64_t>(stat.ms_entries);
}

Result<void> Txn::scan(Table table, ByteView from, ByteView until, const std::function<bool(const Entry&)>& visit) const {
  TRY_ASSIGN(auto cursor, Cursor::open(*this, table));
  TRY_ASSIGN(auto entry, from.empty() ? cursor.first() : cursor.seek(from));
  while (entry && (until.empty() || less(entry->key, until)) && visit(*entry)) {
    TRY_ASSIGN(entry, cursor.next());
  }
  return {};
}

Result<void> Txn::scan_prefix(Table table, ByteView prefix, const std::function<bool(const Entry&)>& visit) const {
  TRY_ASSIGN(auto cursor, Cursor::open(*this, table));
  TRY_ASSIGN(auto entry, prefix.empty() ? cursor.first() : cursor.seek(prefix));
  while (entry && starts_with(entry->key, prefix) && visit(*entry)) {
    TRY_ASSIGN(entry, cursor.next());
  }
  return {};
}

Result<std::optional<Entry>> Txn::last(Table table, ByteView prefix) const {
  TRY_ASSIGN(auto cursor, Cursor::open(*this, table));
  // The place behind the prefix: its last octet that can be raised, raised.
  Bytes behind(prefix.begin(), prefix.end());
  while (!behind.empty() && behind.back() == std::byte{0xff}) behind.pop_back();
  std::optional<Entry> after;
  if (!behind.empty()) {
    behind.back() = static_cast<std::byte>(std::to_integer<unsigned>(behind.back()) + 1);
    TRY_ASSIGN(after, cursor.seek(behind));
  }
  TRY_ASSIGN(auto entry, after ? cursor.prev() : cursor.last());
  if (entry && !starts_with(entry->key, prefix)) entry.reset();
  return entry;
}

Result<std::size_t> Txn::del_range(Table table, ByteView from, ByteView until, std::size_t most) {
  TRY_ASSIGN(auto cursor, Cursor::open(*this, table));
  TRY_ASSIGN(auto entry, from.empty() ? cursor.first() : cursor.seek(from));
  std::size_t removed = 0;
  while (removed < most && entry && (until.empty() || less(entry->key, until))) {
    TRY(cursor.del());
    ++removed;
    TRY_ASSIGN(entry, cursor.next());
  }
  return removed;
}

// ---- Cursor ----

Result<Cursor> Cursor::open(const Txn& txn, Table table) {
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn_of(txn.txn_), table.handle, &cursor); rc != 0) return lmdb_failure("cursor", rc);
  return Cursor(cursor);
}
Cursor::~Cursor() {
  if (cursor_ != nullptr) mdb_cursor_close(cursor_of(cursor_));
}

Result<std::optional<Entry>> Cursor::seek(ByteView key) { return move_to(cursor_, val_of(key), MDB_SET_RANGE); }
Result<std::optional<Entry>> Cursor::first() { return move_to(cursor_, {}, MDB_FIRST); }
Result<std::optional<Entry>> Cursor::last() { return move_to(cursor_, {}, MDB_LAST); }
Result<std::optional<Entry>> Cursor::next() { return move_to(cursor_, {}, MDB_NEXT); }
Result<std::optional<Entry>> Cursor::prev() { return move_to(cursor_, {}, MDB_PREV); }

Result<void> Cursor::del() {
  if (const int rc = mdb_cursor_del(cursor_of(cursor_), 0); rc != 0) return lmdb_failure("del", rc);
  return {};
}

// ---- Env ----

Result<std::unique_ptr<Env>> Env::open(const std::string& path, const EnvOptions& options) {
  MDB_env* raw = nullptr;
  if (const int rc = mdb_env_create(&raw); rc != 0) return lmdb_failure("create", rc);
  std::unique_ptr<Env> env(new Env(raw));  // NOLINT: the constructor is private
  int rc = mdb_env_set_mapsize(raw, options.map_bytes);
  if (rc == 0) rc = mdb_env_set_maxdbs(raw, options.max_tables);
  // NOTLS: a read transaction belongs to its object, not to the thread. NOSUBDIR: `path` is the file itself.
  // Never NOSYNC, NOMETASYNC, MAPASYNC or WRITEMAP: an acknowledged message must survive a power cut.
  if (rc == 0) rc = mdb_env_open(raw, path.c_str(), MDB_NOTLS | MDB_NOSUBDIR, 0600);
  if (rc != 0) return lmdb_failure(path.c_str(), rc);
  TRY(env->clear_dead_readers());
  return env;
}

Env::~Env() {
  POSTERN_CHECK(open_txns_ == 0);
  mdb_env_close(env_of(env_));
}

Result<Table> Env::table(const char* name) {
  POSTERN_CHECK(open_txns_ == 0);
  TRY_ASSIGN(auto txn, begin(Mode::write));
  Table table;
  if (const int rc = mdb_dbi_open(txn_of(txn.txn_), name, MDB_CREATE, &table.handle); rc != 0) return lmdb_failure(name, rc);
  TRY(txn.commit());
  return table;
}

Result<Txn> Env::begin(Mode mode) {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_of(env_), nullptr, mode == Mode::read ? MDB_RDONLY : 0, &txn); rc != 0)
    return lmdb_failure("begin", rc);
  ++open_txns_;
  return Txn(txn, this);
}

Result<void> Env::grow(std::uint64_t map_bytes) {
  POSTERN_CHECK(open_txns_ == 0);
  if (const int rc = mdb_env_set_mapsize(env_of(env_), map_bytes); rc != 0) return lmdb_failure("grow", rc);
  return {};
}

Result<EnvUsage> Env::usage() const {
  MDB_envinfo info;
  MDB_stat stat;
  if (const int rc = mdb_env_info(env_of(env_), &info); rc != 0) return lmdb_failure("info", rc);
  if (const int rc = mdb_env_stat(env_of(env_), &stat); rc != 0) return lmdb_failure("stat", rc);
  EnvUsage usage;
  usage.map_bytes = info.me_mapsize;
  usage.used_bytes = (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
  // The free list is table 0: each value is a count and that many page numbers.
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_of(env_), nullptr, MDB_RDONLY, &txn); rc != 0) return lmdb_failure("begin", rc);
  const CPtr<MDB_txn, mdb_txn_abort> reading(txn);
  MDB_cursor* raw = nullptr;
  if (const int rc = mdb_cursor_open(txn, 0, &raw); rc != 0) return lmdb_failure("cursor", rc);
  const CPtr<MDB_cursor, mdb_cursor_close> cursor(raw);
  MDB_val key{};
  MDB_val value{};
  while (mdb_cursor_get(raw, &key, &value, MDB_NEXT) == 0) {
    std::size_t pages = 0;
    if (value.mv_size >= sizeof pages) std::memcpy(&pages, value.mv_data, sizeof pages);
    usage.free_bytes += static_cast<std::uint64_t>(pages) * stat.ms_psize;
  }
  return usage;
}

Result<unsigned> Env::clear_dead_readers() {
  int dead = 0;
  if (const int rc = mdb_reader_check(env_of(env_), &dead); rc != 0) return lmdb_failure("reader check", rc);
  return static_cast<unsigned>(dead);
}

Result<void> Env::copy_to(const Fd& fd) const {
  if (const int rc = mdb_env_copyfd2(env_of(env_), fd.get(), MDB_CP_COMPACT); rc != 0) return lmdb_failure("copy", rc);
  return {};
}

}  // namespace postern::io::lmdb

namespace postern::io {

Result<DiskSpace> disk_space(const Fd& fd) {
  struct statvfs stat;
  if (::fstatvfs(fd.get(), &stat) != 0) return failure("disk.stat", std::strerror(errno));
  return DiskSpace{.total_bytes = stat.f_blocks * stat.f_frsize,
                   .free_bytes = stat.f_bavail * stat.f_frsize,
                   .free_files = stat.f_favail};
}

}  // namespace postern::io
