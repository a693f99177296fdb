/// Shared by the two halves of the LMDB spool: its keys, and its errors from those of io/lmdb.
#pragma once

#include "io/lmdb.h"
#include "queue/schema.h"

namespace postern::queue::rows {

inline io::lmdb::Key number(Number n) {
  io::lmdb::Key key;
  key.u64(n);
  return key;
}
inline io::lmdb::Key number(Number n, std::uint32_t part) {
  io::lmdb::Key key;
  key.u64(n).u32(part);
  return key;
}
inline io::lmdb::Key text(std::string_view name) {
  io::lmdb::Key key;
  key.text(name.substr(0, io::lmdb::kMaxKeyBytes));
  return key;
}

/// A number as a value.
inline Bytes value_of(std::uint64_t n) {
  const auto key = number(n);
  return {key.view().begin(), key.view().end()};
}

/// The spool's error for one of LMDB's.
inline Error spool_error(Error error) {
  if (error.code == "lmdb.full") return {"spool.full", std::move(error.message)};
  if (error.code == "lmdb.corrupt") return {"spool.corrupt", std::move(error.message)};
  return {"spool.io", std::move(error.message)};
}
template <class T>
Result<T> translate(Result<T> result) {
  if (!result) return tl::unexpected<Error>(spool_error(std::move(result).error()));
  return result;
}

/// The row at `key`, decoded; "spool.absent" where there is none.
template <class R>
Result<R> read_row(const io::lmdb::Txn& txn, io::lmdb::Table table, ByteView key) {
  TRY_ASSIGN(const auto value, translate(txn.get(table, key)));
  if (!value) return failure("spool.absent", "no such message");
  return decode_row<R>(text_of(*value));
}

}  // namespace postern::queue::rows
