// mail folders, list, search, show, export, flag, move, remove
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "deliver/mailbox/admin_commands.h"
#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/mbox.h"

namespace postern::mailbox {

namespace {

using nlohmann::json;
using Hash = std::optional<std::string>;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

struct FlagName {
  std::uint8_t bit;
  const char* name;
};
constexpr FlagName kFlagNames[] = {{Flags::kSeen, "seen"},   {Flags::kAnswered, "answered"}, {Flags::kFlagged, "flagged"},
                                   {Flags::kDraft, "draft"}, {Flags::kDeleted, "deleted"},   {Flags::kForwarded, "forwarded"}};

struct Place {
  AccountId account = 0;
  FolderId folder{};
};

Result<FolderId> folder_named(Admin& admin, AccountId account, const std::string& name) {
  TRY_ASSIGN(const auto folders, admin.store().folders(account));
  for (const auto& folder : folders)
    if (text::iequals(folder.record.name, name)) return folder.id;
  return failure("store.absent", "folder: there is no folder \"" + text::printable(name) + "\"");
}

/// The account and folder the arguments name; Inbox where they name none.
Result<Place> place_of(Admin& admin, const Arguments& arguments) {
  TRY_ASSIGN(const Account account, admin.directory().account(arguments.text("address")));
  TRY_ASSIGN(const FolderId folder, folder_named(admin, account.record.id, arguments.text("folder", "Inbox")));
  return Place{account.record.id, folder};
}

Result<Uid> uid_of(const Arguments& arguments) {
  TRY_ASSIGN(const auto uid, arguments.number("uid", 0, UINT32_MAX));
  return static_cast<Uid>(uid);
}

json message_row(const Message& message) {
  json flags = json::array();
  for (const auto& [bit, name] : kFlagNames)
    if (message.record.flags.has(bit)) flags.push_back(name);
  const auto& row = message.record;
  return {{"uid", message.uid},
          {"received", std::chrono::duration_cast<std::chrono::seconds>(row.received.time_since_epoch()).count()},
          {"size", row.size},
          {"flags", flags},
          {"from", row.index.from},
          {"to", row.index.to},
          {"subject", row.index.subject},
          {"message_id", row.index.message_id}};
}

/// A page's end as text: "MILLISECONDS.UID".
std::string page_text(const std::pair<WallTime, Uid>& page) {
  return std::to_string(page.first.time_since_epoch().count()) + "." + std::to_string(page.second);
}
Result<std::optional<std::pair<WallTime, Uid>>> page_of(const Arguments& arguments) {
  if (!arguments.has("after")) return std::optional<std::pair<WallTime, Uid>>();
  const std::string value = arguments.text("after");
  const auto parts = text::split(value, '.');
  const auto time = text::parse_uint(parts[0], INT64_MAX);
  const auto uid = parts.size() == 2 ? text::parse_uint(parts[1], UINT32_MAX) : std::nullopt;
  if (!time || !uid) return failure("admin.value", "after: \"" + text::printable(value) + "\" is not the end of an earlier page");
  return std::optional(std::pair(WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(*time))), static_cast<Uid>(*uid)));
}

Result<AdminResult> mail_folders(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Account account, admin.directory().account(arguments.text("address")));
  TRY_ASSIGN(const auto folders, admin.store().folders(account.record.id));
  json rows = json::array();
  for (const auto& folder : folders)
    rows.push_back({{"folder", folder.record.name}, {"messages", folder.record.messages}, {"unseen", folder.record.unseen},
                    {"bytes", folder.record.bytes}});
  return AdminResult{dump({{"folders", rows}}), Fd()};
}

Result<AdminResult> mail_list(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  ListQuery query;
  TRY_ASSIGN(query.most, arguments.number("limit", 100, limits::kListRows));
  TRY_ASSIGN(const bool oldest_first, arguments.flag("oldest-first", "no"));
  query.newest_first = !oldest_first;
  TRY_ASSIGN(query.after, page_of(arguments));
  query.search = {arguments.text("from"), arguments.text("to"), arguments.text("subject"), arguments.text("message-id")};
  TRY_ASSIGN(const MessageList list, admin.store().list(place.account, place.folder, query));
  json rows = json::array();
  std::size_t bytes = 0;
  bool more = list.more;
  auto next = list.next;
  for (std::size_t i = 0; i < list.messages.size(); ++i) {
    const json row = message_row(list.messages[i]);
    bytes += dump(row).size() + 1;
    if (bytes > kAnswerBytes && i > 0) {
      more = true;
      next = std::pair(list.messages[i - 1].record.received, list.messages[i - 1].uid);
      break;
    }
    rows.push_back(row);
  }
  json answer{{"messages", rows}, {"more", more}};
  if (more && next) answer["next"] = page_text(*next);
  return AdminResult{dump(answer), Fd()};
}

Result<AdminResult> mail_show(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  TRY_ASSIGN(const Uid uid, uid_of(arguments));
  TRY_ASSIGN(const MessageRecord record, admin.store().message(place.account, place.folder, uid));
  TRY_ASSIGN(auto writer, io::MemfdWriter::create("mail"));
  TRY(admin.store().read(place.account, place.folder, uid, [&](ByteView bytes) { return writer.append(bytes); }));
  TRY_ASSIGN(Fd descriptor, std::move(writer).seal());
  return AdminResult{dump(message_row({uid, record})), std::move(descriptor)};
}

Result<AdminResult> mail_export(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  ListQuery query;
  query.newest_first = false;
  query.most = limits::kListRows;
  TRY_ASSIGN(query.after, page_of(arguments));
  TRY_ASSIGN(const MessageList list, admin.store().list(place.account, place.folder, query));
  TRY_ASSIGN(auto writer, io::MemfdWriter::create("mbox"));
  std::size_t count = 0;
  for (const Message& message : list.messages) {
    if (count > 0 && writer.size() + message.record.size > limits::kExportBytes) break;
    std::string raw;
    raw.reserve(message.record.size);
    TRY(admin.store().read(place.account, place.folder, message.uid, [&](ByteView bytes) { return raw.append(text_of(bytes)), Result<void>(); }));
    TRY(writer.append(bytes_of(mbox_entry(raw, message.record.received))));
    ++count;
  }
  TRY_ASSIGN(Fd descriptor, std::move(writer).seal());
  const bool more = list.more || count < list.messages.size();
  json answer{{"messages", count}, {"more", more}};
  if (more && count > 0) answer["next"] = page_text({list.messages[count - 1].record.received, list.messages[count - 1].uid});
  return AdminResult{dump(answer), std::move(descriptor)};
}

Result<AdminResult> mail_flag(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  TRY_ASSIGN(const Uid uid, uid_of(arguments));
  TRY_ASSIGN(MessageRecord record, admin.store().message(place.account, place.folder, uid));
  for (const char* key : {"add", "take"}) {
    for (const auto& name : arguments.all(key)) {
      const auto* known = std::ranges::find_if(kFlagNames, [&](const FlagName& f) { return f.name == name; });
      if (known == std::end(kFlagNames)) return failure("admin.value", std::string(key) + ": there is no flag \"" + text::printable(name) + "\"");
      const bool add = std::string_view(key) == "add";
      record.flags.bits = static_cast<std::uint8_t>(add ? record.flags.bits | known->bit : record.flags.bits & ~known->bit);
    }
  }
  TRY(admin.store().set_flags(place.account, place.folder, uid, record.flags));
  return AdminResult{dump(message_row({uid, record})), Fd()};
}

Result<AdminResult> mail_move(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  TRY_ASSIGN(const Uid uid, uid_of(arguments));
  TRY_ASSIGN(const FolderId to, folder_named(admin, place.account, arguments.text("to-folder")));
  TRY_ASSIGN(const Uid moved, admin.store().move(place.account, place.folder, uid, to));
  return AdminResult{dump({{"uid", moved}, {"folder", arguments.text("to-folder")}}), Fd()};
}

Result<AdminResult> mail_remove(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  TRY_ASSIGN(const Uid uid, uid_of(arguments));
  TRY(admin.store().remove(place.account, place.folder, uid));
  return AdminResult{dump({{"uid", uid}}), Fd()};
}

Result<AdminResult> mail_add_folder(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Account account, admin.directory().account(arguments.text("address")));
  TRY(admin.store().add_folder(account.record.id, arguments.text("folder")));
  return AdminResult{dump({{"folder", arguments.text("folder")}}), Fd()};
}

Result<AdminResult> mail_remove_folder(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const Place place, place_of(admin, arguments));
  TRY(admin.store().remove_folder(place.account, place.folder));
  return AdminResult{dump({{"folder", arguments.text("folder")}}), Fd()};
}

constexpr Admin::Command kCommands[] = {
    {"mail folders", "!address", mail_folders},
    {"mail list", "!address folder limit after oldest-first", mail_list},
    {"mail search", "!address folder limit after oldest-first from to subject message-id", mail_list},
    {"mail show", "!address !uid folder", mail_show},
    {"mail export", "!address folder after", mail_export},
    {"mail flag", "!address !uid folder add take", mail_flag},
    {"mail move", "!address !uid !to-folder folder", mail_move},
    {"mail remove", "!address !uid folder", mail_remove},
    {"mail add-folder", "!address !folder", mail_add_folder},
    {"mail remove-folder", "!address !folder", mail_remove_folder},
};

}  // namespace

std::span<const Admin::Command> mail_commands() { return kCommands; }

}  // namespace postern::mailbox
