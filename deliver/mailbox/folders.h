/// The folders every account has from the start, and what a folder may be called.
#pragma once

#include <array>
#include <string_view>

#include "deliver/mailbox/database.h"

namespace postern::mailbox {

struct StandardFolder {
  FolderId id;
  std::string_view name;
};
inline constexpr std::array kStandardFolders{StandardFolder{FolderId::inbox, "Inbox"}, StandardFolder{FolderId::sent, "Sent"},
                                             StandardFolder{FolderId::drafts, "Drafts"}, StandardFolder{FolderId::junk, "Junk"},
                                             StandardFolder{FolderId::trash, "Trash"}};

inline Key folder_key(AccountId account, FolderId folder) { return Key().u64(account).u32(static_cast<std::uint32_t>(folder)); }

/// Makes the standard folders of a new account in `txn`; their UIDs are valid since `created`.
Result<void> make_standard_folders(Database& database, Txn& txn, AccountId account, WallTime created);

/// A UID validity for a folder made at `now` (RFC 9051 §2.3.1.1: it must grow).
std::uint32_t uid_validity_at(WallTime now);

/// Whether a folder may be called so: UTF-8, 1 to limits::kFolderNameBytes, no control character, levels separated by "/",
/// none of them empty, "." or "..". Errors: "store.folder".
Result<void> check_folder_name(std::string_view name);

}  // namespace postern::mailbox
