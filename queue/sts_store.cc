#include "queue/sts_store.h"

#include <algorithm>

#include "base/text.h"
#include "mail/dns.h"
#include "queue/limits.h"
#include "queue/lmdb_rows.h"

namespace postern::queue {

using io::lmdb::Entry;
using io::lmdb::Mode;

namespace {

constexpr std::chrono::hours kUsedGrain{24};  // a note of use costs a write: one a day at most

bool is_sound(const privsep::StsPolicy& policy, WallTime now) {
  const bool id = !policy.id.empty() && policy.id.size() <= limits::kStsIdBytes &&
                  std::all_of(policy.id.begin(), policy.id.end(), [](char c) { return text::is_alpha(c) || text::is_digit(c); });
  return id && mail::dns::is_askable(policy.domain) && policy.domain == mail::dns::canonical(policy.domain) && policy.text.size() <= limits::kStsTextBytes &&
         policy.fetched <= now && policy.expires > now && policy.expires - policy.fetched <= limits::kStsLife;
}

}  // namespace

Result<StsStore> StsStore::open(io::lmdb::Env& env) {
  TRY_ASSIGN(const auto table, env.table("sts"));
  return StsStore(env, table);
}

Result<std::optional<privsep::StsPolicy>> StsStore::find(const std::string& domain, WallTime now) {
  std::optional<StsRow> row;
  {
    TRY_ASSIGN(const auto txn, env_->begin(Mode::read));
    TRY_ASSIGN(const auto value, txn.get(table_, rows::text(domain)));
    if (!value) return std::optional<privsep::StsPolicy>();
    TRY_ASSIGN(row, decode_row<StsRow>(text_of(*value)));
  }
  if (row->policy.expires <= now) return std::optional<privsep::StsPolicy>();
  if (now - row->used >= kUsedGrain) {
    row->used = now;
    TRY(write(*row));
  }
  return std::optional<privsep::StsPolicy>(std::move(row->policy));
}

Result<void> StsStore::write(const StsRow& row) {
  TRY_ASSIGN(auto txn, env_->begin(Mode::write));
  TRY(txn.put(table_, rows::text(row.policy.domain), bytes_of(encode_row(row))));
  return txn.commit();
}

Result<void> StsStore::keep(const privsep::StsPolicy& policy, WallTime now) {
  if (!is_sound(policy, now)) return failure("sts.refused", "not a policy to keep");
  StsRow row{policy, now};
  TRY_ASSIGN(auto txn, env_->begin(Mode::write));
  TRY_ASSIGN(const auto old, txn.get(table_, rows::text(policy.domain)));
  if (old) {
    if (const auto before = decode_row<StsRow>(text_of(*old))) row.used = before->used;  // a refresh is no use
  } else {
    TRY_ASSIGN(const std::uint64_t kept, txn.count(table_));
    if (kept >= limits::kStsPolicies) return failure("sts.refused", "too many policies are kept");
  }
  TRY(txn.put(table_, rows::text(policy.domain), bytes_of(encode_row(row))));
  return txn.commit();
}

Result<std::size_t> StsStore::sweep(WallTime now, std::size_t most) {
  std::vector<std::string> gone;
  {
    TRY_ASSIGN(const auto txn, env_->begin(Mode::read));
    TRY(txn.scan(table_, {}, {}, [&](const Entry& entry) {
      const auto row = decode_row<StsRow>(text_of(entry.value));
      if (!row || row->policy.expires <= now) gone.emplace_back(text_of(entry.key));
      return gone.size() < most;
    }));
  }
  if (gone.empty()) return std::size_t{0};
  TRY_ASSIGN(auto txn, env_->begin(Mode::write));
  for (const std::string& key : gone) TRY(txn.del(table_, bytes_of(key)));
  TRY(txn.commit());
  return gone.size();
}

Result<std::vector<std::string>> StsStore::old_ones(WallTime now, std::size_t most) {
  std::vector<std::string> old;
  TRY_ASSIGN(const auto txn, env_->begin(Mode::read));
  bool more = false;
  std::string last;
  TRY(txn.scan(table_, go_on_.empty() ? rows::text("") : rows::text(go_on_), {}, [&](const Entry& entry) {
    const std::string key(text_of(entry.key));
    if (key == go_on_) return true;
    const auto row = decode_row<StsRow>(text_of(entry.value));
    if (row) {
      const auto life = row->policy.expires - row->policy.fetched, age = now - row->policy.fetched;
      const bool due = age >= std::min<WallTime::duration>(limits::kStsFreshFor, life / 2) && row->policy.expires > now;
      if (due && now - row->used < limits::kStsUnused) old.push_back(row->policy.domain);
    }
    last = key;
    more = old.size() == most;
    return !more;
  }));
  go_on_ = more ? last : std::string();
  return old;
}

}  // namespace postern::queue
