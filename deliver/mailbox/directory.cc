#include "deliver/mailbox/directory.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"
#include "deliver/mailbox/folders.h"
#include "deliver/mailbox/limits.h"
#include "mail/idn.h"

namespace postern::mailbox {

namespace {

std::string quoted(std::string_view text) { return "\"" + text::printable(text) + "\""; }

tl::unexpected<Error> absent(std::string_view kind, std::string_view name) {
  return failure("directory.absent", "there is no " + std::string(kind) + " " + quoted(name));
}

bool is_domain_name(std::string_view name) {
  if (name.empty() || name.size() > mail::limits::kAddressDomainBytes) return false;
  for (const auto label : text::split(name, '.')) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    for (const char c : label)
      if (!text::is_alpha(c) && !text::is_digit(c) && c != '-' && c != '_') return false;
  }
  return true;
}

/// One path component that no shell, no tree and no Maildir reader could take for something else.
bool is_folder_component(std::string_view name) {
  if (name.empty() || name.size() > limits::kMaildirNameBytes || name.front() == '.' || name.front() == '-') return false;
  return std::ranges::all_of(name, [](char c) {
    return text::is_alpha(c) || text::is_digit(c) || c == '.' || c == '_' || c == '-' || c == '@' || c == '+' || c == '=' || c == '%';
  });
}

Result<std::string> canonical_or_empty(std::string_view what, const std::string& text) {
  if (text.empty()) return std::string();
  const auto address = canonical_address(text);
  if (!address) return failure("directory.value", std::string(what) + ": " + quoted(text) + " is not an address");
  return address->to_string();
}

std::string_view domain_of(std::string_view address) { return address.substr(address.rfind('@') + 1); }

}  // namespace

Result<mail::Mailbox> canonical_address(std::string_view text) {
  TRY_ASSIGN(mail::Mailbox mailbox, mail::parse_mailbox(text, mail::Utf8::allowed));
  mailbox.local_part = text::to_lower(mailbox.local_part);
  return mailbox;
}

Result<std::string> canonical_domain(std::string_view text) {
  const auto name = mail::idn::to_a_label(text);
  if (!name || !is_domain_name(*name)) return failure("directory.domain", quoted(text) + " is not a domain name");
  return *name;
}

std::string maildir_name_for(std::string_view address) {
  std::string name;
  for (const char c : address) {
    const bool plain = text::is_alpha(c) || text::is_digit(c) || c == '_' || c == '@' || c == '+' || c == '=' ||
                       ((c == '.' || c == '-') && !name.empty());
    if (plain) {
      name += c;
    } else {
      name += '%';
      name += crypto::hex(bytes_of(std::string_view(&c, 1)));
    }
  }
  if (name.size() <= limits::kMaildirNameBytes) return name;
  return "sha256=" + crypto::hex(crypto::sha256(bytes_of(address)));
}

Result<std::optional<DomainRecord>> Directory::find_domain(const Txn& txn, std::string_view name) const {
  return get_record<DomainRecord>(txn, database_.tables().domain, bytes_of(name));
}
Result<std::optional<AccountRecord>> Directory::find_account(const Txn& txn, std::string_view address) const {
  return get_record<AccountRecord>(txn, database_.tables().account, bytes_of(address));
}
Result<std::optional<AliasRecord>> Directory::find_alias(const Txn& txn, std::string_view address) const {
  return get_record<AliasRecord>(txn, database_.tables().alias, bytes_of(address));
}
Result<UsageRecord> Directory::find_usage(const Txn& txn, AccountId account) const {
  TRY_ASSIGN(const auto usage, get_record<UsageRecord>(txn, database_.tables().usage, Key().u64(account)));
  return usage.value_or(UsageRecord{});
}

Result<void> Directory::apply(const DomainChange& change, DomainRecord& record) const {
  if (change.enabled) record.enabled = *change.enabled;
  if (change.lmtp_accept_all) record.lmtp_accept_all = *change.lmtp_accept_all;
  if (change.catch_all) {
    TRY_ASSIGN(record.catch_all, canonical_or_empty("catch-all", *change.catch_all));
  }
  if (change.postmaster) {
    TRY_ASSIGN(record.postmaster, canonical_or_empty("postmaster", *change.postmaster));
  }
  if (!change.delivery) return {};
  if (*change.delivery == "store") {
    record.delivery = DomainDelivery::store;
    record.lmtp_name.clear();
    return {};
  }
  constexpr std::string_view kLmtp = "lmtp:";
  const std::string name = change.delivery->starts_with(kLmtp) ? change.delivery->substr(kLmtp.size()) : "";
  if (name.empty()) return failure("directory.value", "delivery: " + quoted(*change.delivery) + " is neither store nor lmtp:NAME");
  if (std::ranges::find(lmtp_names_, name) == lmtp_names_.end())
    return failure("directory.value", "delivery: mailbox.lmtp_sockets names no server " + quoted(name));
  record.delivery = DomainDelivery::lmtp;
  record.lmtp_name = name;
  return {};
}

Result<void> Directory::add_domain(std::string_view text, const DomainChange& change) {
  TRY_ASSIGN(const std::string name, canonical_domain(text));
  DomainRecord record;
  record.created = clock_.now();
  TRY(apply(change, record));
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const bool added, txn.add(database_.tables().domain, bytes_of(name), bytes_of(write_record(record))));
    if (!added) return failure("directory.exists", "the domain " + quoted(name) + " is there already");
    return {};
  });
}

Result<void> Directory::set_domain(std::string_view text, const DomainChange& change) {
  TRY_ASSIGN(const std::string name, canonical_domain(text));
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(auto record, find_domain(txn, name));
    if (!record) return absent("domain", name);
    TRY(apply(change, *record));
    return put_record(txn, database_.tables().domain, bytes_of(name), *record);
  });
}

Result<void> Directory::remove_domain(std::string_view text) {
  TRY_ASSIGN(const std::string name, canonical_domain(text));
  return database_.write([&](Txn& txn) -> Result<void> {
    std::size_t used = 0;
    const auto count = [&](const io::lmdb::Entry& entry) { return used += domain_of(text_of(entry.key)) == name ? 1U : 0U, true; };
    TRY(txn.scan(database_.tables().account, {}, {}, count));
    TRY(txn.scan(database_.tables().alias, {}, {}, count));
    if (used != 0)
      return failure("directory.in-use", "the domain " + quoted(name) + " still has " + std::to_string(used) + " accounts and aliases");
    TRY_ASSIGN(const bool removed, txn.del(database_.tables().domain, bytes_of(name)));
    if (!removed) return absent("domain", name);
    return {};
  });
}

Result<void> Directory::apply(const AccountChange& change, std::string_view address, AccountRecord& record) const {
  if (change.enabled) record.enabled = *change.enabled;
  if (change.quota_bytes) record.quota_bytes = *change.quota_bytes;
  if (change.password_hash) record.password_hash = *change.password_hash;
  if (change.maildir_folder) {
    if (!change.maildir_folder->empty() && !is_folder_component(*change.maildir_folder))
      return failure("directory.value", "maildir folder: " + quoted(*change.maildir_folder) +
                                            " is not one name of letters, digits and . _ - @ + = %, not beginning with a dot");
    record.maildir_folder = change.maildir_folder->empty() ? maildir_name_for(address) : *change.maildir_folder;
  }
  if (!change.delivery) return {};
  if (*change.delivery == "store") {
    record.delivery = AccountDelivery::store;
  } else if (*change.delivery == "maildir") {
    if (!has_maildir_) return failure("directory.value", "delivery: mailbox.maildir names no folder for Maildirs");
    record.delivery = AccountDelivery::maildir;
    if (record.maildir_folder.empty()) record.maildir_folder = maildir_name_for(address);
  } else {
    return failure("directory.value", "delivery: " + quoted(*change.delivery) + " is neither store nor maildir");
  }
  return {};
}

Result<void> Directory::require_free(const Txn& txn, const mail::Mailbox& address) const {
  TRY_ASSIGN(const auto domain, find_domain(txn, address.domain));
  if (!domain) return failure("directory.absent", "the domain " + quoted(address.domain) + " is not one of ours: add it first");
  TRY_ASSIGN(const auto account, find_account(txn, address.to_string()));
  if (account) return failure("directory.exists", quoted(address.to_string()) + " is an account already");
  TRY_ASSIGN(const auto alias, find_alias(txn, address.to_string()));
  if (alias) return failure("directory.exists", quoted(address.to_string()) + " is an alias already");
  return {};
}

/// Two accounts must not write into one Maildir: one's mail would be shown to the other.
Result<void> Directory::check_folder_is_free(const Txn& txn, std::string_view address, const AccountRecord& record) const {
  if (record.maildir_folder.empty()) return {};
  std::string owner;
  TRY(txn.scan(database_.tables().account, {}, {}, [&](const io::lmdb::Entry& entry) {
    const auto other = read_record<AccountRecord>(entry.value);
    if (other && text_of(entry.key) != address && text::iequals(other->maildir_folder, record.maildir_folder)) owner = text_of(entry.key);
    return owner.empty();
  }));
  if (owner.empty()) return {};
  return failure("directory.value", "maildir folder: " + quoted(record.maildir_folder) + " is that of " + quoted(owner));
}

Result<void> Directory::add_account(std::string_view text, const AccountChange& change) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  const std::string address = parsed->to_string();
  AccountRecord record;
  record.created = clock_.now();
  TRY(apply(change, address, record));
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY(require_free(txn, *parsed));
    TRY(check_folder_is_free(txn, address, record));
    TRY_ASSIGN(record.id, database_.next_number(txn, "account"));
    TRY(put_record(txn, database_.tables().usage, Key().u64(record.id), UsageRecord{}));
    TRY(make_standard_folders(database_, txn, record.id, record.created));
    return put_record(txn, database_.tables().account, bytes_of(address), record);
  });
}

Result<void> Directory::set_account(std::string_view text, const AccountChange& change) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  const std::string address = parsed->to_string();
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(auto record, find_account(txn, address));
    if (!record) return absent("account", address);
    TRY(apply(change, address, *record));
    TRY(check_folder_is_free(txn, address, *record));
    return put_record(txn, database_.tables().account, bytes_of(address), *record);
  });
}

Result<void> Directory::remove_account(std::string_view text) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  const std::string address = parsed->to_string();
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto record, find_account(txn, address));
    if (!record) return absent("account", address);
    TRY_ASSIGN(const bool removed, txn.del(database_.tables().account, bytes_of(address)));
    if (!removed) return absent("account", address);
    return txn.put(database_.tables().purge, Key().u64(record->id), bytes_of("1"));
  });
}

Result<AliasRecord> Directory::make_alias(const std::vector<std::string>& targets) const {
  if (targets.empty()) return failure("directory.value", "an alias needs a target");
  if (targets.size() > limits::kAliasTargets)
    return failure("directory.value", "an alias has at most " + std::to_string(limits::kAliasTargets) + " targets");
  AliasRecord record;
  record.created = clock_.now();
  for (const auto& target : targets) {
    const auto parsed = canonical_address(target);
    if (!parsed) return failure("directory.value", "target: " + quoted(target) + " is not an address");
    // The local part of an address elsewhere is that server's to read: its case stays.
    const auto as_given = mail::parse_mailbox(target, mail::Utf8::allowed);
    record.targets.push_back(as_given ? as_given->to_string() : parsed->to_string());
  }
  return record;
}

Result<void> Directory::add_alias(std::string_view text, const std::vector<std::string>& targets) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  TRY_ASSIGN(const AliasRecord record, make_alias(targets));
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY(require_free(txn, *parsed));
    return put_record(txn, database_.tables().alias, bytes_of(parsed->to_string()), record);
  });
}

Result<void> Directory::set_alias(std::string_view text, const std::vector<std::string>& targets) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  TRY_ASSIGN(AliasRecord record, make_alias(targets));
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto old, find_alias(txn, parsed->to_string()));
    if (!old) return absent("alias", parsed->to_string());
    record.created = old->created;
    return put_record(txn, database_.tables().alias, bytes_of(parsed->to_string()), record);
  });
}

Result<void> Directory::remove_alias(std::string_view text) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  return database_.write([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const bool removed, txn.del(database_.tables().alias, bytes_of(parsed->to_string())));
    if (!removed) return absent("alias", parsed->to_string());
    return {};
  });
}

Result<Account> Directory::account(std::string_view text) {
  const auto parsed = canonical_address(text);
  if (!parsed) return failure("directory.value", quoted(text) + " is not an address");
  Account account{parsed->to_string(), {}};
  const Result<void> ran = database_.read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(const auto record, find_account(txn, account.address));
    if (!record) return absent("account", account.address);
    account.record = *record;
    return {};
  });
  TRY(ran);
  return account;
}

Result<std::vector<Domain>> Directory::domains() {
  std::vector<Domain> found;
  Result<void> bad;
  TRY(database_.read([&](Txn& txn) {
    return txn.scan(database_.tables().domain, {}, {}, [&](const io::lmdb::Entry& entry) {
      auto record = read_record<DomainRecord>(entry.value);
      if (!record) bad = tl::unexpected<Error>(record.error());
      if (record) found.push_back({std::string(text_of(entry.key)), *std::move(record)});
      return bad.has_value();
    });
  }));
  if (!bad) return tl::unexpected<Error>(bad.error());
  return found;
}

namespace {
/// Rows of `table` behind `after` whose address is of `domain` (empty: any).
template <class Row, class Record>
Result<std::vector<Row>> list_addresses(Database& database, Table table, std::string_view domain, std::string_view after, std::size_t most) {
  std::vector<Row> found;
  Result<void> bad;
  TRY(database.read([&](Txn& txn) {
    return txn.scan(table, bytes_of(after), {}, [&](const io::lmdb::Entry& entry) {
      const auto address = text_of(entry.key);
      if (address == after || (!domain.empty() && domain_of(address) != domain)) return true;
      auto record = read_record<Record>(entry.value);
      if (!record) bad = tl::unexpected<Error>(record.error());
      if (record) found.push_back({std::string(address), *std::move(record)});
      return bad.has_value() && found.size() < most;
    });
  }));
  if (!bad) return tl::unexpected<Error>(bad.error());
  return found;
}
}  // namespace

Result<std::vector<Account>> Directory::accounts(std::string_view domain, std::string_view after, std::size_t most) {
  return list_addresses<Account, AccountRecord>(database_, database_.tables().account, domain, after, most);
}

Result<std::vector<Alias>> Directory::aliases(std::string_view domain, std::string_view after, std::size_t most) {
  return list_addresses<Alias, AliasRecord>(database_, database_.tables().alias, domain, after, most);
}

Result<UsageRecord> Directory::usage(AccountId account) {
  UsageRecord usage;
  const Result<void> ran = database_.read([&](Txn& txn) -> Result<void> {
    TRY_ASSIGN(usage, find_usage(txn, account));
    return {};
  });
  TRY(ran);
  return usage;
}

Result<std::string> Directory::default_postmaster(const Txn& txn) const {
  std::string oldest;
  AccountId least = UINT64_MAX;
  TRY(txn.scan(database_.tables().account, {}, {}, [&](const io::lmdb::Entry& entry) {
    const auto record = read_record<AccountRecord>(entry.value);
    if (record && record->enabled && record->id < least) {
      least = record->id;
      oldest = text_of(entry.key);
    }
    return true;
  }));
  return oldest;
}

}  // namespace postern::mailbox
