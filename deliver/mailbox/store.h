/// Where mail lies that we keep ourselves: folders of accounts, messages in them, and what was delivered already.
///
/// A narrow face so that another engine can take LMDB's place. Nothing here knows an address but the memory of deliveries.
/// Errors of all calls: "store.full", "store.absent" (no such account, folder or message), "store.folder", "store.corrupt",
/// "store.version", those of io::lmdb. A change is on the disk when its call returns without an error.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "deliver/mailbox/content.h"
#include "deliver/mailbox/message_index.h"
#include "deliver/mailbox/schema.h"

namespace postern::mailbox {

/// What names one delivery for ever: the spool's epoch, the message's number in it, and the recipient it goes to.
struct DeliveryKey {
  std::uint64_t epoch = 0, number = 0;
  std::string recipient;
  auto operator<=>(const DeliveryKey&) const = default;
};

/// A message on its way into one account.
struct Incoming {
  DeliveryKey key;
  AccountId account = 0;
  FolderId folder = FolderId::inbox;
  std::uint64_t quota_bytes = 0;   ///< 0: none
  std::string trace;               ///< goes in front
  MessageBytesPtr bytes;           ///< neighbours in a batch with the same pointer share one body on the disk
  WallTime received{};
};

enum class Stored : std::uint8_t {
  stored = 1,
  repeated = 2,    ///< it was delivered before; nothing was written
  over_quota = 3,  ///< nothing was written
  no_account = 4,  ///< the account has gone
};

struct Folder {
  FolderId id{};
  FolderRecord record;
};
struct Message {
  Uid uid = 0;
  MessageRecord record;
};

/// Which messages of a folder to list, by date.
struct ListQuery {
  bool newest_first = true;
  std::optional<std::pair<WallTime, Uid>> after;  ///< the last one of the page before
  std::size_t most = 100;
  Search search;
};
struct MessageList {
  std::vector<Message> messages;
  bool more = false;  ///< the page is full, or limits::kSearchRows were read
  std::optional<std::pair<WallTime, Uid>> next;  ///< with `more`: what to pass as `after`
};

class Store {
 public:
  using Sink = std::function<Result<void>(ByteView)>;
  virtual ~Store() = default;

  /// Delivers all of `batch` in one transaction, quota counted in it: either each has the result returned, or (an error) none was
  /// stored. A repeated delivery is found by its key for limits::kDelivered days.
  virtual Result<std::vector<Stored>> deliver(std::span<const Incoming> batch) = 0;
  /// Puts a message into a folder (a sent mail, a draft); no key, so nothing is found repeated.
  virtual Result<Uid> append(const Incoming& message, Flags flags) = 0;

  /// Whether `key` was delivered before.
  virtual Result<bool> was_delivered(const DeliveryKey& key) = 0;
  /// Remembers deliveries that were not made into this store.
  virtual Result<void> remember(std::span<const DeliveryKey> keys) = 0;
  /// Forgets what is older than limits::kDelivered days, a part at each call. Returns how many.
  virtual Result<std::size_t> forget_old() = 0;
  /// Removes mail of removed accounts, a part at each call. Returns whether more is left.
  virtual Result<bool> purge() = 0;

  virtual Result<std::vector<Folder>> folders(AccountId account) = 0;
  virtual Result<FolderId> add_folder(AccountId account, std::string_view name) = 0;
  virtual Result<void> rename_folder(AccountId account, FolderId folder, std::string_view name) = 0;
  /// Only an empty one of the account's own.
  virtual Result<void> remove_folder(AccountId account, FolderId folder) = 0;

  virtual Result<MessageList> list(AccountId account, FolderId folder, const ListQuery& query) = 0;
  virtual Result<MessageRecord> message(AccountId account, FolderId folder, Uid uid) = 0;
  /// The message's bytes in pieces, in order.
  virtual Result<void> read(AccountId account, FolderId folder, Uid uid, const Sink& sink) = 0;
  virtual Result<void> set_flags(AccountId account, FolderId folder, Uid uid, Flags flags) = 0;
  /// Its UID in the new folder.
  virtual Result<Uid> move(AccountId account, FolderId from, Uid uid, FolderId to) = 0;
  virtual Result<void> remove(AccountId account, FolderId folder, Uid uid) = 0;

  struct Space {
    std::uint64_t used_bytes = 0;  ///< of the map, without what can be used again
    std::uint64_t most_bytes = 0;
    bool accepting = true;         ///< whether there is room: past 90 % new mail is refused, so that removing still works
  };
  virtual Result<Space> space() = 0;
};

}  // namespace postern::mailbox
