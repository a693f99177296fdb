/// The Store in LMDB: bodies in chunks, an index row and an entry by date for each message, quotas counted in the same transaction.
#pragma once

#include <map>

#include "base/clock.h"
#include "deliver/mailbox/database.h"
#include "deliver/mailbox/store.h"
#include "mail/charset.h"

namespace postern::mailbox {

class LmdbStore final : public Store {
 public:
  /// Opens character-set tables of the C library: make it before the lock. All must outlive it.
  LmdbStore(Database& database, const Clock& clock);

  Result<std::vector<Stored>> deliver(std::span<const Incoming> batch) override;
  Result<Uid> append(const Incoming& message, Flags flags) override;
  Result<bool> was_delivered(const DeliveryKey& key) override;
  Result<void> remember(std::span<const DeliveryKey> keys) override;
  Result<std::size_t> forget_old() override;
  Result<bool> purge() override;
  Result<std::vector<Folder>> folders(AccountId account) override;
  Result<FolderId> add_folder(AccountId account, std::string_view name) override;
  Result<void> rename_folder(AccountId account, FolderId folder, std::string_view name) override;
  Result<void> remove_folder(AccountId account, FolderId folder) override;
  Result<MessageList> list(AccountId account, FolderId folder, const ListQuery& query) override;
  Result<MessageRecord> message(AccountId account, FolderId folder, Uid uid) override;
  Result<void> read(AccountId account, FolderId folder, Uid uid, const Sink& sink) override;
  Result<void> set_flags(AccountId account, FolderId folder, Uid uid, Flags flags) override;
  Result<Uid> move(AccountId account, FolderId from, Uid uid, FolderId to) override;
  Result<void> remove(AccountId account, FolderId folder, Uid uid) override;
  Result<Space> space() override;

 private:
  struct Batch;  // what one delivering transaction keeps in memory until its end
  Result<Stored> store_one(Batch& batch, const Incoming& message, Flags flags, Uid* uid);
  Result<FolderRecord> get_folder(const Txn& txn, AccountId account, FolderId folder) const;
  Result<MessageRecord> get_message(const Txn& txn, AccountId account, FolderId folder, Uid uid) const;
  Result<void> remove_row(Txn& txn, AccountId account, FolderId folder, Uid uid, const MessageRecord& record);
  Result<void> release_body(Txn& txn, BodyId body);
  Result<void> check_name_is_free(const Txn& txn, AccountId account, std::string_view name) const;

  Database& database_;
  const Clock& clock_;
  mail::Charsets charsets_;
};

}  // namespace postern::mailbox
