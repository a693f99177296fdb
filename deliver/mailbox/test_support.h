/// What the tests of this folder share: a database in a folder of its own, messages, a log that keeps its lines.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/clock.h"
#include "deliver/mailbox/content.h"
#include "deliver/mailbox/database.h"
#include "deliver/mailbox/directory.h"
#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/lmdb_store.h"

namespace postern::mailbox {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = std::filesystem::temp_directory_path() / "postern-mailbox-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A store with one domain.
struct House {
  TemporaryFolder folder;
  FakeClock clock;
  std::unique_ptr<Database> database = Database::open(folder.path() + "/store", 64UL << 20).value();
  Directory directory{*database, clock};
  LmdbStore store{*database, clock};

  House() {
    directory.configure({"dovecot"}, true);
    EXPECT_TRUE(directory.add_domain("example.org", {}));
  }
  Account add_account(std::string_view address, const AccountChange& change = {}) {
    const auto added = directory.add_account(address, change);
    EXPECT_TRUE(added) << (added ? "" : added.error().message);
    return directory.account(address).value();
  }
};

inline MessageBytesPtr message_of(std::string_view text, std::string prefix = "") {
  privsep::Content content;
  content.prefix = std::move(prefix);
  content.size = text.size();
  return MessageBytes::of(content, to_bytes(text)).value();
}

inline std::string read_message(Store& store, AccountId account, FolderId folder, Uid uid) {
  std::string all;
  const auto read = store.read(account, folder, uid, [&](ByteView bytes) { return all.append(text_of(bytes)), Result<void>(); });
  return read ? all : "error: " + std::string(read.error().code);
}

}  // namespace postern::mailbox
