/// Keeps the MTA-STS policies that `remote` has fetched (RFC 8461 §3.3): a table of its own in the spool's environment, one row a
/// domain, until it expires.
///
/// Trust: none in `remote`. Rows are bounded in size and number; what is in them is not understood here, only handed back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/lmdb.h"
#include "privsep/messages.h"

namespace postern::queue {

/// A row of the table.
struct StsRow {
  privsep::StsPolicy policy;
  WallTime used{};            ///< when `remote` last asked for it, to the day
  void fields(auto& codec) { codec(policy, used); }
};

class StsStore {
 public:
  /// Opens or makes the table; `env` must outlive this.
  static Result<StsStore> open(io::lmdb::Env& env);

  /// The kept policy of `domain`, unless it has expired; notes that it is used. Errors: those of io/lmdb.
  Result<std::optional<privsep::StsPolicy>> find(const std::string& domain, WallTime now);
  /// Errors: "sts.refused" (not a row to keep, or too many of them), those of io/lmdb. Durable when it returns.
  Result<void> keep(const privsep::StsPolicy& policy, WallTime now);
  /// Forgets what has expired, at most `most` rows. Returns how many.
  Result<std::size_t> sweep(WallTime now, std::size_t most);
  /// Domains whose policies are older than a day, or past half of their life, and were used in the last weeks; at most `most` of
  /// them, going on where the last call ended.
  Result<std::vector<std::string>> old_ones(WallTime now, std::size_t most);

 private:
  StsStore(io::lmdb::Env& env, io::lmdb::Table table) : env_(&env), table_(table) {}
  Result<void> write(const StsRow& row);

  io::lmdb::Env* env_;
  io::lmdb::Table table_;
  std::string go_on_;          // the domain after which old_ones() goes on
};

}  // namespace postern::queue
