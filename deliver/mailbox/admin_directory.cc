// domain …, account …, alias …
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "deliver/mailbox/admin_commands.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

namespace {

using nlohmann::json;
using Hash = std::optional<std::string>;

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

Result<AdminResult> done(const Result<void>& result, json value) {
  if (!result) return tl::unexpected<Error>(result.error());
  return AdminResult{dump(value), Fd()};
}

std::int64_t unix_time(WallTime time) { return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count(); }

/// {"<name>": rows, "more": …}, with as many rows as fit into the answer's frame; "next" is what to pass as `after`.
AdminResult rows_answer(const char* name, const std::vector<json>& rows, const char* key, bool more) {
  json kept = json::array();
  std::size_t bytes = 0;
  for (const auto& row : rows) {
    bytes += dump(row).size() + 1;
    if (bytes > kAnswerBytes) {
      more = true;
      break;
    }
    kept.push_back(row);
  }
  json answer{{name, kept}, {"more", more}};
  if (more && !kept.empty()) answer["next"] = kept.back()[key];
  return {dump(answer), Fd()};
}

// ---- domains -------------------------------------------------------------------------------------------------------

Result<DomainChange> domain_change(const Arguments& arguments) {
  DomainChange change;
  if (arguments.has("delivery")) change.delivery = arguments.text("delivery");
  if (arguments.has("catch-all")) change.catch_all = arguments.text("catch-all");
  if (arguments.has("postmaster")) change.postmaster = arguments.text("postmaster");
  if (arguments.has("enabled")) {
    TRY_ASSIGN(change.enabled, arguments.flag("enabled", "yes"));
  }
  if (arguments.has("lmtp-accept-all")) {
    TRY_ASSIGN(change.lmtp_accept_all, arguments.flag("lmtp-accept-all", "no"));
  }
  return change;
}

tl::unexpected<Error> of_command(std::string_view command, const Error& error) { return within(command, error); }

Result<AdminResult> domain_add(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const DomainChange change, domain_change(arguments));
  const auto added = admin.directory().add_domain(arguments.text("domain"), change);
  if (!added) return of_command("domain add", added.error());
  return done(added, {{"domain", canonical_domain(arguments.text("domain")).value_or("")}});
}
Result<AdminResult> domain_set(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const DomainChange change, domain_change(arguments));
  const auto set = admin.directory().set_domain(arguments.text("domain"), change);
  if (!set) return of_command("domain set", set.error());
  return done(set, {{"domain", canonical_domain(arguments.text("domain")).value_or("")}});
}
Result<AdminResult> domain_remove(Admin& admin, const Arguments& arguments, const Hash&) {
  const auto removed = admin.directory().remove_domain(arguments.text("domain"));
  if (!removed) return of_command("domain remove", removed.error());
  return done(removed, {{"domain", canonical_domain(arguments.text("domain")).value_or("")}});
}
Result<AdminResult> domain_list(Admin& admin, const Arguments&, const Hash&) {
  TRY_ASSIGN(const auto domains, admin.directory().domains());
  std::vector<json> rows;
  for (const auto& [name, record] : domains)
    rows.push_back({{"domain", name},
                    {"enabled", record.enabled},
                    {"delivery", record.delivery == DomainDelivery::lmtp ? "lmtp:" + record.lmtp_name : "store"},
                    {"lmtp_accept_all", record.lmtp_accept_all},
                    {"catch_all", record.catch_all},
                    {"postmaster", record.postmaster},
                    {"created", unix_time(record.created)}});
  return rows_answer("domains", rows, "domain", false);
}

// ---- accounts ------------------------------------------------------------------------------------------------------

Result<AccountChange> account_change(const Arguments& arguments, const Hash& hash) {
  AccountChange change;
  change.password_hash = hash;
  if (arguments.has("delivery")) change.delivery = arguments.text("delivery");
  if (arguments.has("maildir-folder")) change.maildir_folder = arguments.text("maildir-folder");
  if (arguments.has("enabled")) {
    TRY_ASSIGN(change.enabled, arguments.flag("enabled", "yes"));
  }
  if (arguments.has("quota")) {
    TRY_ASSIGN(change.quota_bytes, arguments.size("quota"));
  }
  return change;
}

json account_row(const Account& account, const UsageRecord& usage) {
  const auto& record = account.record;
  const bool maildir = record.delivery == AccountDelivery::maildir;
  json row{{"address", account.address}, {"enabled", record.enabled},         {"delivery", maildir ? "maildir" : "store"},
           {"quota", record.quota_bytes}, {"used", usage.bytes},               {"messages", usage.messages},
           {"has_password", !record.password_hash.empty()}, {"created", unix_time(record.created)}};
  if (maildir) row["maildir_folder"] = record.maildir_folder;
  return row;
}

Result<AdminResult> show_account(Admin& admin, std::string_view address) {
  TRY_ASSIGN(const Account account, admin.directory().account(address));
  TRY_ASSIGN(const UsageRecord usage, admin.directory().usage(account.record.id));
  return AdminResult{dump(account_row(account, usage)), Fd()};
}

Result<AdminResult> account_add(Admin& admin, const Arguments& arguments, const Hash& hash) {
  TRY_ASSIGN(const AccountChange change, account_change(arguments, hash));
  const auto added = admin.directory().add_account(arguments.text("address"), change);
  if (!added) return of_command("account add", added.error());
  return show_account(admin, arguments.text("address"));
}
Result<AdminResult> account_set(Admin& admin, const Arguments& arguments, const Hash& hash) {
  TRY_ASSIGN(const AccountChange change, account_change(arguments, hash));
  const auto set = admin.directory().set_account(arguments.text("address"), change);
  if (!set) return of_command("account", set.error());
  return show_account(admin, arguments.text("address"));
}
Result<AdminResult> account_remove(Admin& admin, const Arguments& arguments, const Hash&) {
  const auto removed = admin.directory().remove_account(arguments.text("address"));
  if (!removed) return of_command("account remove", removed.error());
  return done(removed, {{"address", arguments.text("address")}});
}
Result<AdminResult> account_list(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const auto limit, arguments.number("limit", limits::kListRows, limits::kListRows));
  TRY_ASSIGN(const auto accounts, admin.directory().accounts(arguments.text("domain"), arguments.text("after"), limit));
  std::vector<json> rows;
  for (const auto& account : accounts) {
    TRY_ASSIGN(const UsageRecord usage, admin.directory().usage(account.record.id));
    rows.push_back(account_row(account, usage));
  }
  return rows_answer("accounts", rows, "address", accounts.size() == limit);
}

// ---- aliases -------------------------------------------------------------------------------------------------------

Result<AdminResult> alias_add(Admin& admin, const Arguments& arguments, const Hash&) {
  const auto targets = arguments.all("target");
  const auto added = admin.directory().add_alias(arguments.text("address"), targets);
  if (!added) return of_command("alias add", added.error());
  return done(added, {{"address", arguments.text("address")}, {"targets", targets}});
}
Result<AdminResult> alias_set(Admin& admin, const Arguments& arguments, const Hash&) {
  const auto targets = arguments.all("target");
  const auto set = admin.directory().set_alias(arguments.text("address"), targets);
  if (!set) return of_command("alias set", set.error());
  return done(set, {{"address", arguments.text("address")}, {"targets", targets}});
}
Result<AdminResult> alias_remove(Admin& admin, const Arguments& arguments, const Hash&) {
  const auto removed = admin.directory().remove_alias(arguments.text("address"));
  if (!removed) return of_command("alias remove", removed.error());
  return done(removed, {{"address", arguments.text("address")}});
}
Result<AdminResult> alias_list(Admin& admin, const Arguments& arguments, const Hash&) {
  TRY_ASSIGN(const auto limit, arguments.number("limit", limits::kListRows, limits::kListRows));
  TRY_ASSIGN(const auto aliases, admin.directory().aliases(arguments.text("domain"), arguments.text("after"), limit));
  std::vector<json> rows;
  for (const auto& [address, record] : aliases) rows.push_back({{"address", address}, {"targets", record.targets}});
  return rows_answer("aliases", rows, "address", aliases.size() == limit);
}

constexpr Admin::Command kCommands[] = {
    {"domain add", "!domain delivery catch-all postmaster lmtp-accept-all enabled", domain_add},
    {"domain set", "!domain delivery catch-all postmaster lmtp-accept-all enabled", domain_set},
    {"domain remove", "!domain", domain_remove},
    {"domain list", "", domain_list},
    {"account add", "!address password quota delivery maildir-folder enabled", account_add},
    {"account set", "!address password quota delivery maildir-folder enabled", account_set},
    {"account password", "!address !password", account_set},
    {"account quota", "!address !quota", account_set},
    {"account remove", "!address", account_remove},
    {"account list", "domain after limit", account_list},
    {"alias add", "!address !target", alias_add},
    {"alias set", "!address !target", alias_set},
    {"alias remove", "!address", alias_remove},
    {"alias list", "domain after limit", alias_list},
};

}  // namespace

std::span<const Admin::Command> directory_commands() { return kCommands; }

}  // namespace postern::mailbox
