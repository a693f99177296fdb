/// The commands of an administrator: domains, accounts, aliases, and the mail in our own store.
///
/// Trust: posternctl runs as a local user whose rights the control process checked; what it sends is still parsed here, key by key, and an
/// unknown or missing argument is an error that names it. Passwords leave the request into a Secret and are wiped; no value but
/// the address or domain a command is about reaches the log.
///
/// The commands with their arguments stand in one table (admin_commands.cc) and in README.md.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/log.h"
#include "deliver/mailbox/directory.h"
#include "deliver/mailbox/store.h"
#include "io/loop.h"
#include "privsep/messages.h"

namespace postern::mailbox {

/// The arguments of one command, checked against its row.
class Arguments {
 public:
  explicit Arguments(const privsep::AdminRequest& request) : request_(request) {}
  bool has(std::string_view key) const;
  std::string text(std::string_view key, std::string_view fallback = {}) const { return request_.get(key, fallback); }
  std::vector<std::string> all(std::string_view key) const;
  // Errors: "admin.value", naming key and what is expected.
  Result<bool> flag(std::string_view key, std::string_view fallback) const;          ///< yes or no
  Result<std::uint64_t> number(std::string_view key, std::uint64_t fallback, std::uint64_t most) const;
  Result<std::uint64_t> size(std::string_view key) const;                            ///< "500MiB", "2GB", bytes; "none" is 0
 private:
  const privsep::AdminRequest& request_;
};

/// A command's end: `error` is one line for the administrator, or `json` one JSON value; `descriptor` a sealed memfd with raw mail.
struct AdminResult {
  std::string json;
  Fd descriptor;
};

class Admin {
 public:
  using Answer = std::function<void(Result<AdminResult>)>;
  struct Parts {  ///< all outlive it
    io::Loop& loop;
    Directory& directory;
    Store& store;
    crypto::Entropy& entropy;
    const Log& log;
  };
  explicit Admin(const Parts& parts) : parts_(parts) {}

  /// Runs one command; `answer` is called once, now or later (passwords are hashed on a pool thread).
  void run(const privsep::AdminRequest& request, Answer answer);

  struct Command;  ///< a row of the table
  Directory& directory() { return parts_.directory; }
  Store& store() { return parts_.store; }

 private:
  Parts parts_;
};

}  // namespace postern::mailbox
