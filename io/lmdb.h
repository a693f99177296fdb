/// An ordered map of bytes to bytes on disk, in transactions: LMDB. No LMDB type leaves this header's .cc.
///
/// One process opens an environment and it never forks with it open. One write transaction at a time; read transactions must end
/// before the loop sleeps (an old one pins pages and the file grows). commit() returns only when the disk has it.
/// Errors of all calls: "lmdb.full" (the map or the disk: abort, then grow() or refuse), "lmdb.io" (treat as not stored),
/// "lmdb.corrupt", "lmdb.use".
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique.h"

namespace postern::io::lmdb {

class Env;
class Txn;

/// Keys are at most this long (LMDB's own limit, built in).
constexpr std::size_t kMaxKeyBytes = 511;
/// A value of this size fills 16 pages with the least waste: the size of a chunk of a body.
constexpr std::size_t kChunkBytes = 65'504;

/// A key of big-endian numbers, so that the order of keys is the order of numbers.
class Key {
 public:
  Key& u8(std::uint8_t value);
  Key& u16(std::uint16_t value);
  Key& u32(std::uint32_t value);
  Key& u64(std::uint64_t value);
  Key& text(std::string_view value);  ///< as it is; only the last part of a key may vary in length
  Key& bytes(ByteView value);
  ByteView view() const { return {data_.data(), size_}; }
  operator ByteView() const { return view(); }  // NOLINT: a key is its bytes

 private:
  std::array<std::byte, kMaxKeyBytes> data_;
  std::size_t size_ = 0;
};
/// Numbers out of a key; nullopt when it is too short.
std::optional<std::uint32_t> get_u32(ByteView bytes, std::size_t at);
std::optional<std::uint64_t> get_u64(ByteView bytes, std::size_t at);

/// A named table. A plain value; valid while its Env lives.
struct Table {
  unsigned handle = 0;
};

struct Entry {  ///< views into the map: valid until the next write of the transaction or its end
  ByteView key;
  ByteView value;
};

enum class Mode : std::uint8_t { read = 1, write = 2 };

class Txn {
 public:
  ~Txn();  ///< aborts what was not committed
  Txn(Txn&& other) noexcept : txn_(std::exchange(other.txn_, nullptr)), env_(other.env_) {}
  Txn& operator=(Txn&&) = delete;

  /// The value, or nullopt. Valid until the next write of the transaction or its end.
  Result<std::optional<ByteView>> get(Table table, ByteView key) const;
  Result<void> put(Table table, ByteView key, ByteView value);
  /// Stores only where the key is new; false: it is there already.
  Result<bool> add(Table table, ByteView key, ByteView value);
  /// Room for a value of `size` bytes, to be filled before the next call on this transaction.
  Result<std::span<std::byte>> reserve(Table table, ByteView key, std::size_t size);
  /// For keys known to be greater than all in the table (ids that grow): fills pages without splitting them in halves.
  Result<void> append(Table table, ByteView key, ByteView value);
  /// false: there was no such key.
  Result<bool> del(Table table, ByteView key);
  Result<std::uint64_t> count(Table table) const;

  /// Walks entries with `from` ≤ key (< `until`, unless that is empty) in order until `visit` returns false.
  /// `visit` must not write; collect, then write.
  Result<void> scan(Table table, ByteView from, ByteView until, const std::function<bool(const Entry&)>& visit) const;
  /// Walks the entries whose key begins with `prefix`, in order.
  Result<void> scan_prefix(Table table, ByteView prefix, const std::function<bool(const Entry&)>& visit) const;
  /// The last entry whose key begins with `prefix` (an empty one: of the table).
  Result<std::optional<Entry>> last(Table table, ByteView prefix) const;
  /// Removes entries with `from` ≤ key (< `until`, unless that is empty), at most `most`. Returns how many.
  Result<std::size_t> del_range(Table table, ByteView from, ByteView until, std::size_t most);

  /// Makes it durable. The transaction has ended afterwards, whatever comes back.
  Result<void> commit();
  void abort();
  bool open() const { return txn_ != nullptr; }

 private:
  friend class Env;
  friend class Cursor;
  Txn(void* txn, Env* env) : txn_(txn), env_(env) {}
  void* txn_;
  Env* env_;
};

/// A place in a table, for walks that a callback does not fit. Ends before its transaction.
class Cursor {
 public:
  static Result<Cursor> open(const Txn& txn, Table table);
  ~Cursor();
  Cursor(Cursor&& other) noexcept : cursor_(std::exchange(other.cursor_, nullptr)) {}
  Cursor& operator=(Cursor&&) = delete;

  /// The first entry with key ≥ `key`; nullopt at the end.
  Result<std::optional<Entry>> seek(ByteView key);
  Result<std::optional<Entry>> first();
  Result<std::optional<Entry>> last();
  Result<std::optional<Entry>> next();
  Result<std::optional<Entry>> prev();
  /// Removes the entry the cursor stands at (write transactions); next() gives the one after it.
  Result<void> del();

 private:
  explicit Cursor(void* cursor) : cursor_(cursor) {}
  void* cursor_;
};

struct EnvOptions {
  std::uint64_t map_bytes = std::uint64_t{64} << 30;  ///< the most the file may grow to; address space, not disk
  unsigned max_tables = 32;
};

struct EnvUsage {
  std::uint64_t map_bytes = 0;   ///< the limit now
  std::uint64_t used_bytes = 0;  ///< pages in use or freed but not yet given back (the high-water mark of the file)
  std::uint64_t free_bytes = 0;  ///< of those: pages that can be used again
};

class Env {
 public:
  /// Opens or makes the file `path` (and `path`-lock), mode 0600; `path` is absolute and comes from the configuration.
  /// Clears readers that died.
  static Result<std::unique_ptr<Env>> open(const std::string& path, const EnvOptions& options = {});
  ~Env();  ///< every Txn must have ended
  Env(const Env&) = delete;
  Env& operator=(const Env&) = delete;

  /// Opens or makes the table `name`; no transaction may be open.
  Result<Table> table(const char* name);
  Result<Txn> begin(Mode mode);
  /// Raises the limit; no transaction may be open.
  Result<void> grow(std::uint64_t map_bytes);
  Result<EnvUsage> usage() const;
  /// Removes readers whose process died; returns how many.
  Result<unsigned> clear_dead_readers();
  /// Writes a consistent, compacted copy to `fd` (a file or a pipe) while others read and write. Blocks: offload it.
  Result<void> copy_to(const Fd& fd) const;

 private:
  friend class Txn;
  explicit Env(void* env) : env_(env) {}
  void* env_;
  unsigned open_txns_ = 0;
};

}  // namespace postern::io::lmdb

namespace postern::io {

struct DiskSpace {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< for an unprivileged user
  std::uint64_t free_files = 0;
};
/// Of the file system that holds the open file or folder `fd`. Errors: "disk.stat".
Result<DiskSpace> disk_space(const Fd& fd);

}  // namespace postern::io
