#include "deliver/mailbox/lmdb_store.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <set>

#include "deliver/mailbox/folders.h"
#include "deliver/mailbox/limits.h"
#include "deliver/mailbox/test_support.h"

namespace postern::mailbox {
namespace {

constexpr char kMessage[] =
    "From: Anna <anna@sender.example>\r\nTo: b@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n from here\r\n"
    "Message-ID: <1@sender.example>\r\n\r\nHello\r\n";

Incoming incoming(const Account& account, std::uint64_t number, MessageBytesPtr bytes) {
  Incoming message;
  message.key = {7, number, account.address};
  message.account = account.record.id;
  message.quota_bytes = account.record.quota_bytes;
  message.trace = trace_fields("anna@sender.example", account.address).value();
  message.bytes = std::move(bytes);
  message.received = WallTime(std::chrono::milliseconds(1'000 * static_cast<std::int64_t>(number)));
  return message;
}

Stored deliver_one(House& house, const Incoming& message) { return house.store.deliver(std::span(&message, 1)).value().at(0); }

TEST(Store, KeepsAMessageWithItsTraceAndIndexRow) {
  House house;
  const auto account = house.add_account("b@example.org");
  ASSERT_EQ(deliver_one(house, incoming(account, 1, message_of(kMessage, "Received: x\r\n"))), Stored::stored);
  const auto list = house.store.list(account.record.id, FolderId::inbox, {}).value();
  ASSERT_EQ(list.messages.size(), 1U);
  EXPECT_EQ(list.messages[0].record.index.subject, "Gr\xc3\xbc\xc3\x9f" "e from here");
  EXPECT_EQ(list.messages[0].record.index.from, "Anna <anna@sender.example>");
  EXPECT_EQ(list.messages[0].record.index.message_id, "<1@sender.example>");
  EXPECT_EQ(read_message(house.store, account.record.id, FolderId::inbox, list.messages[0].uid),
            "Return-Path: <anna@sender.example>\r\nDelivered-To: b@example.org\r\nReceived: x\r\n" + std::string(kMessage));
}

TEST(Store, DeliversTheSameNumberOnce) {
  House house;
  const auto account = house.add_account("b@example.org");
  const auto other = house.add_account("c@example.org");
  const auto bytes = message_of(kMessage);
  EXPECT_EQ(deliver_one(house, incoming(account, 1, bytes)), Stored::stored);
  EXPECT_EQ(deliver_one(house, incoming(account, 1, bytes)), Stored::repeated);
  EXPECT_EQ(deliver_one(house, incoming(other, 1, bytes)), Stored::stored);    // another recipient of it
  EXPECT_EQ(deliver_one(house, incoming(account, 2, bytes)), Stored::stored);  // another message
  auto newer = incoming(account, 1, bytes);
  newer.key.epoch = 8;  // the spool was made anew: its numbers begin again
  EXPECT_EQ(deliver_one(house, newer), Stored::stored);
  const std::vector<Incoming> twice{incoming(account, 3, bytes), incoming(account, 3, bytes)};  // within one batch
  EXPECT_THAT(house.store.deliver(twice).value(), testing::ElementsAre(Stored::stored, Stored::repeated));
  EXPECT_EQ(house.store.list(account.record.id, FolderId::inbox, {}).value().messages.size(), 4U);
}

TEST(Store, RemembersDeliveriesForTenDaysAndForgetsThemThen) {
  House house;
  const auto account = house.add_account("b@example.org");
  ASSERT_EQ(deliver_one(house, incoming(account, 1, message_of(kMessage))), Stored::stored);
  ASSERT_TRUE(house.store.remember(std::vector<DeliveryKey>{{9, 5, "x@y.example"}}));
  house.clock.advance(std::chrono::days(10) - std::chrono::minutes(1));
  ASSERT_EQ(deliver_one(house, incoming(account, 2, message_of(kMessage))), Stored::stored);
  EXPECT_EQ(house.store.forget_old().value(), 0U);
  EXPECT_TRUE(house.store.was_delivered({9, 5, "x@y.example"}).value());
  house.clock.advance(std::chrono::minutes(2));
  EXPECT_EQ(house.store.forget_old().value(), 2U);  // number 1 of epoch 7, and behind the young number 2 that of epoch 9
  EXPECT_FALSE(house.store.was_delivered({9, 5, "x@y.example"}).value());
  EXPECT_FALSE(house.store.was_delivered({7, 1, "b@example.org"}).value());
  EXPECT_TRUE(house.store.was_delivered({7, 2, "b@example.org"}).value());
}

TEST(Store, CountsTheQuotaToTheByte) {
  House house;
  const auto bytes = message_of(kMessage);
  auto account = house.add_account("b@example.org");
  const std::uint64_t size = bytes->size() + trace_fields("anna@sender.example", account.address).value().size();
  account.record.quota_bytes = 2 * size;
  const std::vector<Incoming> batch{incoming(account, 1, bytes), incoming(account, 2, bytes), incoming(account, 3, bytes)};
  EXPECT_THAT(house.store.deliver(batch).value(), testing::ElementsAre(Stored::stored, Stored::stored, Stored::over_quota));
  EXPECT_EQ(house.directory.usage(account.record.id).value().bytes, 2 * size);
  ASSERT_TRUE(house.store.remove(account.record.id, FolderId::inbox, 1));
  EXPECT_EQ(house.directory.usage(account.record.id).value().bytes, size);
  EXPECT_EQ(deliver_one(house, incoming(account, 3, bytes)), Stored::stored);  // refused before, so not "repeated"
  account.record.quota_bytes = 2 * size - 1;
  ASSERT_TRUE(house.store.remove(account.record.id, FolderId::inbox, 2));
  EXPECT_EQ(deliver_one(house, incoming(account, 4, bytes)), Stored::over_quota);  // one byte short
}

TEST(Store, SharesOneBodyAmongRecipientsUntilTheLastIsGone) {
  House house;
  const auto a = house.add_account("a@example.org"), b = house.add_account("b@example.org");
  const auto bytes = message_of(std::string(kMessage) + std::string(200'000, 'x'));
  ASSERT_TRUE(house.store.deliver(std::vector<Incoming>{incoming(a, 1, bytes), incoming(b, 1, bytes)}));
  const auto chunks = [&] {
    std::uint64_t count = 0;
    EXPECT_TRUE(house.database->read([&](Txn& txn) -> Result<void> {
      TRY_ASSIGN(count, txn.count(house.database->tables().body));
      return {};
    }));
    return count;
  };
  EXPECT_EQ(chunks(), 4U);  // 200 KB in chunks of 65,504, once
  ASSERT_TRUE(house.store.remove(a.record.id, FolderId::inbox, 1));
  EXPECT_EQ(read_message(house.store, b.record.id, FolderId::inbox, 1).size(), bytes->size() + house.store.message(b.record.id, FolderId::inbox, 1).value().trace.size());
  ASSERT_TRUE(house.store.remove(b.record.id, FolderId::inbox, 1));
  EXPECT_EQ(chunks(), 0U);
}

TEST(Store, BodiesOfEveryLengthAroundAChunkComeBackWhole) {
  House house;
  const auto account = house.add_account("b@example.org");
  Uid uid = 0;
  for (const std::size_t size : {0UL, 1UL, io::lmdb::kChunkBytes - 1, io::lmdb::kChunkBytes, io::lmdb::kChunkBytes + 1, 3 * io::lmdb::kChunkBytes}) {
    std::string text(size, 'a');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
    ASSERT_EQ(deliver_one(house, incoming(account, ++uid, message_of(text, "P: q\r\n"))), Stored::stored);
    EXPECT_TRUE(read_message(house.store, account.record.id, FolderId::inbox, uid).ends_with("P: q\r\n" + text)) << size;
  }
}

TEST(Store, LeavesOutWhatWasCutAndRefusesCutsOutOfPlace) {
  privsep::Content content;
  content.prefix = "A: b\r\n";
  content.cuts = {{2, 3}, {5, 1}, {8, 2}};
  const auto bytes = MessageBytes::of(content, to_bytes("0123456789")).value();
  EXPECT_EQ(bytes->head(100), "A: b\r\n0167");
  EXPECT_EQ(bytes->head(7), "A: b\r\n0");
  EXPECT_EQ(bytes->size(), 10U);
  for (const auto& cuts : std::vector<std::vector<privsep::Cut>>{{{5, 6}}, {{11, 0}}, {{3, 2}, {4, 1}}, {{UINT64_MAX, 1}}, {{1, UINT64_MAX}}}) {
    content.cuts = cuts;
    EXPECT_FALSE(MessageBytes::of(content, to_bytes("0123456789")));
  }
}

TEST(Store, ListsByDateInPages) {
  House house;
  const auto account = house.add_account("b@example.org");
  const auto neighbour = house.add_account("c@example.org");
  const auto bytes = message_of(kMessage);
  for (const std::uint64_t second : {5U, 1U, 4U, 2U, 3U}) {
    ASSERT_EQ(deliver_one(house, incoming(account, second, bytes)), Stored::stored);
    ASSERT_EQ(deliver_one(house, incoming(neighbour, second, bytes)), Stored::stored);
  }
  const auto seconds = [](const MessageList& list) {
    std::vector<long> found;
    for (const auto& m : list.messages) found.push_back(m.record.received.time_since_epoch().count() / 1000);
    return found;
  };
  for (const bool newest_first : {true, false}) {
    ListQuery query{newest_first, {}, 2, {}};
    const auto first = house.store.list(account.record.id, FolderId::inbox, query).value();
    EXPECT_EQ(seconds(first), newest_first ? (std::vector<long>{5, 4}) : (std::vector<long>{1, 2}));
    ASSERT_TRUE(first.more);
    query.after = first.next;
    const auto second = house.store.list(account.record.id, FolderId::inbox, query).value();
    EXPECT_EQ(seconds(second), newest_first ? (std::vector<long>{3, 2}) : (std::vector<long>{3, 4}));
    query.after = second.next;
    const auto third = house.store.list(account.record.id, FolderId::inbox, query).value();
    EXPECT_EQ(seconds(third), newest_first ? (std::vector<long>{1}) : (std::vector<long>{5}));
    EXPECT_FALSE(third.more);
  }
}

TEST(Store, FindsByHeaderWithoutCase) {
  House house;
  const auto account = house.add_account("b@example.org");
  ASSERT_EQ(deliver_one(house, incoming(account, 1, message_of(kMessage))), Stored::stored);
  ASSERT_EQ(deliver_one(house, incoming(account, 2, message_of("From: x@y.example\r\nSubject: other\r\n\r\n"))), Stored::stored);
  const auto found = [&](Search search) {
    return house.store.list(account.record.id, FolderId::inbox, {true, {}, 10, std::move(search)}).value().messages.size();
  };
  EXPECT_EQ(found({"ANNA", "", "", ""}), 1U);
  EXPECT_EQ(found({"", "", "FROM HERE", ""}), 1U);
  EXPECT_EQ(found({"", "b@example.org", "", "1@sender"}), 1U);
  EXPECT_EQ(found({"anna", "", "other", ""}), 0U);
  EXPECT_EQ(found({"", "", "", ""}), 2U);
}

TEST(Store, MovesFlagsAndFoldersKeepTheirCounts) {
  House house;
  const auto account = house.add_account("b@example.org");
  const AccountId id = account.record.id;
  ASSERT_EQ(deliver_one(house, incoming(account, 1, message_of(kMessage))), Stored::stored);
  ASSERT_EQ(deliver_one(house, incoming(account, 2, message_of(kMessage))), Stored::stored);
  const FolderId own = house.store.add_folder(id, "Work/2026").value();
  EXPECT_FALSE(house.store.add_folder(id, "Work/2026"));
  EXPECT_FALSE(house.store.add_folder(id, "a//b"));
  EXPECT_FALSE(house.store.add_folder(id, "../x"));
  ASSERT_TRUE(house.store.set_flags(id, FolderId::inbox, 1, Flags{Flags::kSeen}));
  ASSERT_EQ(house.store.move(id, FolderId::inbox, 1, own).value(), 1U);
  ASSERT_EQ(house.store.move(id, FolderId::inbox, 2, own).value(), 2U);
  EXPECT_FALSE(house.store.move(id, FolderId::inbox, 2, own));
  const auto counts = [&](FolderId folder) {
    const auto all = house.store.folders(id).value();
    for (const auto& f : all)
      if (f.id == folder) return std::pair(f.record.messages, f.record.unseen);
    return std::pair<std::uint64_t, std::uint64_t>(99, 99);
  };
  EXPECT_EQ(counts(own), (std::pair<std::uint64_t, std::uint64_t>(2, 1)));
  EXPECT_EQ(counts(FolderId::inbox), (std::pair<std::uint64_t, std::uint64_t>(0, 0)));
  EXPECT_FALSE(house.store.remove_folder(id, own));
  ASSERT_TRUE(house.store.remove(id, own, 1));
  ASSERT_TRUE(house.store.remove(id, own, 2));
  EXPECT_TRUE(house.store.remove_folder(id, own));
  EXPECT_FALSE(house.store.remove_folder(id, FolderId::inbox));
  EXPECT_FALSE(house.store.rename_folder(id, FolderId::inbox, "x"));
  EXPECT_EQ(house.directory.usage(id).value().messages, 0U);
}

TEST(Store, PurgesARemovedAccountAndNothingElse) {
  House house;
  const auto a = house.add_account("a@example.org"), b = house.add_account("b@example.org");
  for (std::uint64_t n = 1; n <= limits::kPurgePerRun + 5; ++n)
    ASSERT_TRUE(house.store.deliver(std::vector<Incoming>{incoming(a, n, message_of(kMessage)), incoming(b, n, message_of(kMessage))}));
  ASSERT_TRUE(house.directory.remove_account("a@example.org"));
  int runs = 0;
  while (house.store.purge().value()) ASSERT_LT(++runs, 10);
  EXPECT_EQ(runs, 3);  // two of messages, one of the rest
  EXPECT_FALSE(house.store.folders(a.record.id));
  EXPECT_EQ(deliver_one(house, incoming(a, 999, message_of(kMessage))), Stored::no_account);
  EXPECT_EQ(house.store.folders(b.record.id).value().at(0).record.messages, limits::kPurgePerRun + 5);
  // The address can be used again and shows nothing of the old mail.
  const auto again = house.add_account("a@example.org");
  EXPECT_NE(again.record.id, a.record.id);
  EXPECT_TRUE(house.store.list(again.record.id, FolderId::inbox, {}).value().messages.empty());
}

TEST(Store, AFullMapRefusesAndLosesNothing) {
  TemporaryFolder folder;
  FakeClock clock;
  const auto database = Database::open(folder.path() + "/store", 4UL << 20).value();
  Directory directory(*database, clock);
  LmdbStore store(*database, clock);
  ASSERT_TRUE(directory.add_domain("example.org", {}));
  ASSERT_TRUE(directory.add_account("b@example.org", {}));
  const auto account = directory.account("b@example.org").value();
  const auto bytes = message_of(std::string(300'000, 'x'));
  std::uint64_t stored = 0;
  std::string_view code;
  while (code.empty() && stored < 100) {
    const auto message = incoming(account, stored + 1, bytes);
    const auto result = store.deliver(std::span(&message, 1));
    if (result) ++stored;
    else code = result.error().code;
  }
  EXPECT_EQ(code, "lmdb.full");
  EXPECT_FALSE(store.space().value().accepting);
  EXPECT_EQ(store.folders(account.record.id).value().at(0).record.messages, stored);
  ASSERT_TRUE(store.remove(account.record.id, FolderId::inbox, 1));  // removing still works
  ASSERT_TRUE(store.remove(account.record.id, FolderId::inbox, 2));
  const auto message = incoming(account, 1000, bytes);
  EXPECT_TRUE(store.deliver(std::span(&message, 1)));
}

TEST(Store, AKillLosesNothingThatWasAnsweredAndTearsNothing) {
  TemporaryFolder folder;
  std::mt19937 random(4711);
  std::uint64_t next = 1, answered = 0;
  for (int round = 0; round < 8; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(::pipe(pipe_fds), 0);
    const pid_t child = ::fork();  // no environment is open here
    if (child == 0) {
      FakeClock clock;
      auto database = Database::open(folder.path() + "/store", 256UL << 20);
      if (!database) ::_exit(3);
      Directory directory(**database, clock);
      LmdbStore store(**database, clock);
      (void)directory.add_domain("example.org", {});
      (void)directory.add_account("b@example.org", {});
      const auto account = directory.account("b@example.org").value();
      for (std::uint64_t number = next;; number += 5) {
        std::vector<Incoming> batch;
        for (std::uint64_t i = 0; i < 5; ++i)
          batch.push_back(incoming(account, number + i, message_of("N: " + std::to_string(number + i) + "\r\n\r\n" + std::string(9'000, 'x'))));
        if (!store.deliver(batch)) ::_exit(4);
        const std::uint64_t last = number + 4;
        if (::write(pipe_fds[1], &last, sizeof(last)) != sizeof(last)) ::_exit(5);
      }
    }
    ::close(pipe_fds[1]);
    const auto kill_after = 3 + random() % 30;
    std::uint64_t last = 0;
    for (unsigned long i = 0; i < kill_after && ::read(pipe_fds[0], &last, sizeof(last)) == sizeof(last); ++i) answered = last;
    ::kill(child, SIGKILL);
    while (::read(pipe_fds[0], &last, sizeof(last)) == sizeof(last)) answered = last;
    ::close(pipe_fds[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
    next = answered + 1;  // the sender tries again what was not answered: some of it may be there already
  }
  FakeClock clock;
  const auto database = Database::open(folder.path() + "/store", 256UL << 20).value();
  Directory directory(*database, clock);
  LmdbStore store(*database, clock);
  const auto account = directory.account("b@example.org").value();
  ASSERT_GE(answered, 100U);
  const auto list = store.list(account.record.id, FolderId::inbox, {false, {}, 100'000, {}}).value();
  EXPECT_GE(list.messages.size(), answered);
  EXPECT_LE(list.messages.size(), answered + 5);
  std::set<WallTime> numbers;
  for (const auto& message : list.messages) {
    EXPECT_TRUE(numbers.insert(message.record.received).second);  // none twice
    EXPECT_EQ(read_message(store, account.record.id, FolderId::inbox, message.uid).size(), message.record.size);
  }
  EXPECT_EQ(directory.usage(account.record.id).value().messages, list.messages.size());
}

TEST(Store, ADamagedRecordIsAnErrorOfThatRecord) {
  EXPECT_EQ(read_record<MessageRecord>({}).error().code, "store.corrupt");
  const std::string good = write_record(FolderRecord{"Inbox", 1, 2, 3, 4, 5});
  EXPECT_EQ(read_record<FolderRecord>(bytes_of(good)).value().bytes, 5U);
  for (std::size_t size = 1; size < good.size(); ++size)
    EXPECT_EQ(read_record<FolderRecord>(bytes_of(good.substr(0, size))).error().code, "store.corrupt") << size;
  EXPECT_EQ(read_record<FolderRecord>(bytes_of(good + "x")).error().code, "store.corrupt");
  std::string later = good;
  later[0] = 2;
  EXPECT_EQ(read_record<FolderRecord>(bytes_of(later)).error().code, "store.version");
}

TEST(Store, AStoreOfAnotherSchemaIsNotOpened) {
  TemporaryFolder folder;
  {
    const auto database = Database::open(folder.path() + "/store", 4UL << 20).value();
    ASSERT_TRUE(database->write([&](Txn& txn) { return database->set_meta(txn, "schema", "2"); }));
  }
  EXPECT_EQ(Database::open(folder.path() + "/store", 4UL << 20).error().code, "store.version");
}

}  // namespace
}  // namespace postern::mailbox
