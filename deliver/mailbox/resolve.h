/// From a recipient to what is done with its mail: aliases, plus-addresses, catch-all and postmaster followed to the end.
///
/// Trust: the recipient is a stranger's; aliases are an administrator's and may loop. The walk keeps a list of what it has seen and is
/// bounded by limits::kAliasDepth, kResolveSteps and kAliasTargets; it does not recurse.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "deliver/mailbox/directory.h"

namespace postern::mailbox {

enum class RouteKind : std::uint8_t { store = 1, maildir = 2, lmtp = 3, relay = 4 };

struct Route {
  RouteKind kind = RouteKind::store;
  std::string target = {};  ///< store, maildir: the account's address; lmtp, relay: the address to name
  AccountRecord account = {};  ///< store, maildir
  std::string lmtp_name = {};  ///< lmtp
};

/// Why a recipient has no route.
enum class Refusal : std::uint8_t {
  none = 0,
  not_ours = 1,          ///< its domain is not one of ours
  malformed = 2,         ///< not an address
  unknown = 3,           ///< no such account or alias
  domain_disabled = 4,
  account_disabled = 5,
  loop = 6,              ///< its aliases lead to each other, or too deep
};

struct Resolution {
  std::vector<Route> routes;
  Refusal refusal = Refusal::unknown;  ///< none exactly when there are routes
};

/// What becomes of mail for `recipient` ("postmaster" may stand without a domain, RFC 5321 §4.1.1.3), looked up in `txn`.
/// Targets of an alias that lead nowhere are left out while others remain. Errors: those of the database.
///
/// In this order: the account; the alias; account or alias without the detail behind `plus_separator`; in an LMTP domain that
/// accepts all, the LMTP server; for postmaster the domain's own choice; the domain's catch-all; for postmaster the oldest
/// account (RFC 5321 §4.5.1: postmaster is always there).
Result<Resolution> resolve(const Directory& directory, const Txn& txn, std::string_view recipient, std::string_view plus_separator);

}  // namespace postern::mailbox
