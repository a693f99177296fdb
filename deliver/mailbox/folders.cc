#include "deliver/mailbox/folders.h"

#include <algorithm>

#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

Result<void> make_standard_folders(Database& database, Txn& txn, AccountId account, WallTime created) {
  for (const auto& [id, name] : kStandardFolders) {
    FolderRecord record;
    record.name = name;
    record.uid_validity = uid_validity_at(created);
    TRY(put_record(txn, database.tables().folder, folder_key(account, id), record));
  }
  return {};
}

std::uint32_t uid_validity_at(WallTime now) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
  return static_cast<std::uint32_t>(std::clamp<long long>(seconds, 1, UINT32_MAX));
}

Result<void> check_folder_name(std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return failure("store.folder", "\"" + text::printable(name) + "\" is no folder name: " + std::string(why));
  };
  if (name.empty() || name.size() > limits::kFolderNameBytes) return refuse("it has 1 to 200 bytes");
  if (!text::is_utf8(name)) return refuse("it is UTF-8");
  if (std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }))
    return refuse("it holds no control character");
  for (const auto level : text::split(name, '/'))
    if (level.empty() || level == "." || level == "..") return refuse("a level of it is empty, . or ..");
  return {};
}

}  // namespace postern::mailbox
