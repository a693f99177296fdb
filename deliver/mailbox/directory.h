/// Who has mail here: domains, accounts, aliases. Changed by administrators, asked for every recipient.
///
/// Trust: addresses and names come from strangers (RCPT) or administrators; both are parsed again here and become canonical
/// before they are looked up. An address is a key of bytes; no part of it is a path, a pattern or a command.
///
/// Canonical: the domain as A-labels in lower case; the local part with ASCII letters in lower case (our accounts do not tell
/// "User" from "user"; RFC 5321 §2.4 leaves that to the receiving side), other bytes as they are; quotes only where they must be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "deliver/mailbox/database.h"
#include "mail/address.h"

namespace postern::mailbox {

/// `text` as a canonical address. Errors: those of mail::parse_mailbox().
Result<mail::Mailbox> canonical_address(std::string_view text);
/// `text` as the name of a domain: at least one dot or a single label, no literal. Errors: "directory.domain".
Result<std::string> canonical_domain(std::string_view text);
/// A folder name for `address` that is a single path component on any file system, different for different addresses.
std::string maildir_name_for(std::string_view address);

struct Domain {
  std::string name;
  DomainRecord record;
};
struct Account {
  std::string address;
  AccountRecord record;
};
struct Alias {
  std::string address;
  AliasRecord record;
};

/// What to set; what is absent stays.
struct DomainChange {
  std::optional<bool> enabled = {};
  std::optional<std::string> delivery = {};    ///< "store" or "lmtp:NAME"
  std::optional<std::string> catch_all = {};   ///< an address; "" takes it away
  std::optional<std::string> postmaster = {};  ///< an address; "" takes it away
  std::optional<bool> lmtp_accept_all = {};
};
struct AccountChange {
  std::optional<bool> enabled = {};
  std::optional<std::string> delivery = {};        ///< "store" or "maildir"
  std::optional<std::string> maildir_folder = {};  ///< one path component; "" means the default
  std::optional<std::uint64_t> quota_bytes = {};
  std::optional<std::string> password_hash = {};
};

class Directory {
 public:
  /// `lmtp_names`: what "lmtp:NAME" may name. All must outlive it.
  Directory(Database& database, const Clock& clock) : database_(database), clock_(clock) {}
  void configure(std::vector<std::string> lmtp_names, bool has_maildir) {
    lmtp_names_ = std::move(lmtp_names);
    has_maildir_ = has_maildir;
  }

  // Errors of the changes: "directory.exists", "directory.absent", "directory.value", "directory.domain", "directory.in-use",
  // those of the database. Words are for the administrator who asked.
  Result<void> add_domain(std::string_view name, const DomainChange& change);
  Result<void> set_domain(std::string_view name, const DomainChange& change);
  Result<void> remove_domain(std::string_view name);  ///< "directory.in-use" while it has accounts or aliases
  Result<void> add_account(std::string_view address, const AccountChange& change);
  Result<void> set_account(std::string_view address, const AccountChange& change);
  /// Its mail is removed in the background (Store::purge()).
  Result<void> remove_account(std::string_view address);
  Result<void> add_alias(std::string_view address, const std::vector<std::string>& targets);
  Result<void> set_alias(std::string_view address, const std::vector<std::string>& targets);
  Result<void> remove_alias(std::string_view address);

  Result<Account> account(std::string_view address);  ///< "directory.absent" when there is none
  Result<std::vector<Domain>> domains();
  /// Those of `domain` (empty: all) whose address is greater than `after`, at most `most`.
  Result<std::vector<Account>> accounts(std::string_view domain, std::string_view after, std::size_t most);
  Result<std::vector<Alias>> aliases(std::string_view domain, std::string_view after, std::size_t most);
  Result<UsageRecord> usage(AccountId account);

  // For resolve.h, inside its transaction.
  Result<std::optional<DomainRecord>> find_domain(const Txn& txn, std::string_view name) const;
  Result<std::optional<AccountRecord>> find_account(const Txn& txn, std::string_view address) const;
  Result<std::optional<AliasRecord>> find_alias(const Txn& txn, std::string_view address) const;
  Result<UsageRecord> find_usage(const Txn& txn, AccountId account) const;
  /// The account that gets mail for postmaster where nobody else does: the oldest one that is enabled. "": there is none.
  Result<std::string> default_postmaster(const Txn& txn) const;

  Database& database() { return database_; }

 private:
  Result<void> apply(const DomainChange& change, DomainRecord& record) const;
  Result<void> apply(const AccountChange& change, std::string_view address, AccountRecord& record) const;
  Result<void> require_free(const Txn& txn, const mail::Mailbox& address) const;
  Result<void> check_folder_is_free(const Txn& txn, std::string_view address, const AccountRecord& record) const;
  Result<AliasRecord> make_alias(const std::vector<std::string>& targets) const;

  Database& database_;
  const Clock& clock_;
  std::vector<std::string> lmtp_names_;
  bool has_maildir_ = false;
};

}  // namespace postern::mailbox
