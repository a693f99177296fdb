#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/check.h"
#include "queue/limits.h"
#include "queue/lmdb_spool.h"
#include "queue/memory_spool.h"

namespace postern::queue {
namespace {

using namespace std::chrono_literals;

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-spool-XXXXXX").string();
    POSTERN_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string spool() const { return path_ + "/spool.lmdb"; }

 private:
  std::string path_;
};

NewMessage message_named(const std::string& id, std::uint64_t size) {
  NewMessage made;
  made.message.id = id;
  made.message.reverse_path = "a@example.org";
  made.message.content.prefix = "Received: x\r\n";
  made.message.content.size = size;
  made.message.content.cuts = {{3, 4}};
  made.message.chunks = chunks_of(size);
  made.schedule.received = WallTime{1000ms};
  made.schedule.expires = WallTime{2000ms};
  for (int i = 0; i < 3; ++i) {
    RecipientRecord r;
    r.recipient = r.target = "r" + std::to_string(i) + "@example.net";
    r.route = Route::remote;
    r.destination = "example.net";
    made.recipients.push_back(r);
  }
  made.evidence = R"({"spf":"pass"})";
  return made;
}

std::string body_of(Spool& spool, Number number) {
  std::string body;
  const auto good = spool.read_body(number, UINT64_MAX, [&](ByteView chunk) {
    body += text_of(chunk);
    return Result<void>{};
  });
  EXPECT_TRUE(good.has_value());
  return body;
}

std::string patterned(std::size_t size) {
  std::string body(size, '\0');
  for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + (i * 31 + i / 251) % 26);
  return body;
}

template <class S>
class SpoolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if constexpr (std::is_same_v<S, LmdbSpool>) {
      auto opened = LmdbSpool::open(folder.spool(), 256U << 20, 99);
      ASSERT_TRUE(opened.has_value()) << opened.error().message;
      spool = *std::move(opened);
    } else {
      spool = std::make_unique<S>();
    }
  }
  Number store(const std::string& id, const std::string& body) {
    const Number number = spool->take_number();
    auto batch = spool->begin();
    EXPECT_TRUE(batch.has_value());
    const TextBody source(body);
    EXPECT_TRUE((*batch)->add(number, message_named(id, body.size()), &source).has_value());
    EXPECT_TRUE((*batch)->commit().has_value());
    return number;
  }
  TempFolder folder;
  std::unique_ptr<Spool> spool;
};
using Kinds = ::testing::Types<LmdbSpool, MemorySpool>;
TYPED_TEST_SUITE(SpoolTest, Kinds);

TYPED_TEST(SpoolTest, CountsWhatWasObservedTheLatestDayFirst) {
  auto batch = this->spool->begin();
  ASSERT_TRUE(batch.has_value());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE((*batch)->observe(20'000, "a.example sts success", 2).has_value());
  EXPECT_TRUE((*batch)->observe(20'001, "a.example sts success", 1).has_value());
  EXPECT_TRUE((*batch)->observe(20'001, "b.example tlsa validation-failure mx.b.example", 1).has_value());
  ASSERT_TRUE((*batch)->commit().has_value());
  const auto rows = this->spool->observations(10);
  ASSERT_TRUE(rows.has_value());
  std::string shown;
  for (const Observation& row : *rows) shown += std::to_string(row.day) + " " + row.what + " " + std::to_string(row.times) + "\n";
  EXPECT_EQ(shown, "20001 b.example tlsa validation-failure mx.b.example 1\n20001 a.example sts success 1\n20000 a.example sts success 4\n");
  EXPECT_EQ(this->spool->observations(1)->size(), 1U);
}

TYPED_TEST(SpoolTest, GivesBackWhatWasCommitted) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, io::lmdb::kChunkBytes, io::lmdb::kChunkBytes + 1, std::size_t{300'000}}) {
    const std::string id = "ID" + std::to_string(size), body = patterned(size);
    const Number number = this->store(id, body);
    EXPECT_EQ(body_of(*this->spool, number), body);
    const auto message = this->spool->message(number);
    ASSERT_TRUE(message.has_value());
    EXPECT_EQ(message->id, id);
    EXPECT_EQ(message->content.cuts.at(0).length, 4U);
    EXPECT_EQ(this->spool->recipients(number)->size(), 3U);
    EXPECT_EQ(*this->spool->find(id), number);
    EXPECT_EQ(*this->spool->evidence(number), R"({"spf":"pass"})");
  }
}

TYPED_TEST(SpoolTest, WhatIsNotCommittedNeverWas) {
  const Number number = this->spool->take_number();
  {
    auto batch = this->spool->begin();
    const std::string body = "hello";
    const TextBody source(body);
    ASSERT_TRUE((*batch)->add(number, message_named("LOST", 5), &source).has_value());
  }
  EXPECT_EQ(this->spool->message(number).error().code, "spool.absent");
  EXPECT_FALSE(this->spool->find("LOST")->has_value());
}

TYPED_TEST(SpoolTest, AnErasedMessageLeavesItsHistoryUntilItIsForgotten) {
  const Number number = this->store("GONE", "body");
  HistoryRecord history;
  history.id = "GONE";
  history.finished = history.received = WallTime{5000ms};
  auto batch = this->spool->begin();
  ASSERT_TRUE((*batch)->note(number, AttemptRecord{WallTime{1ms}, "deferred", "d", {}, {}, {}, {}, {}}).has_value());
  ASSERT_TRUE((*batch)->erase(number, history).has_value());
  ASSERT_TRUE((*batch)->commit().has_value());
  EXPECT_FALSE(this->spool->message(number).has_value());
  EXPECT_TRUE(this->spool->recipients(number)->empty());
  EXPECT_EQ((*this->spool->history(number))->id, "GONE");
  EXPECT_EQ(this->spool->attempts(number)->size(), 1U);
  std::size_t loaded = 0;
  ASSERT_TRUE(this->spool->load([&](LoadedMessage&) { return ++loaded, true; }).has_value());
  EXPECT_EQ(loaded, 0U);

  batch = this->spool->begin();
  EXPECT_EQ(*(*batch)->forget(WallTime{5000ms}, 10), 0U) << "not older than that";
  EXPECT_EQ(*(*batch)->forget(WallTime{5001ms}, 10), 1U);
  ASSERT_TRUE((*batch)->commit().has_value());
  EXPECT_FALSE(this->spool->history(number)->has_value());
  EXPECT_FALSE(this->spool->find("GONE")->has_value());
  EXPECT_TRUE(this->spool->attempts(number)->empty());
}

TYPED_TEST(SpoolTest, ALargeBodyIsStagedInPiecesAndThenThere) {
  const std::string body = patterned(3 * io::lmdb::kChunkBytes + 17);
  const TextBody source(body);
  const Number number = this->spool->take_number();
  ASSERT_TRUE(this->spool->stage(number, source, 0, 2 * io::lmdb::kChunkBytes).has_value());
  ASSERT_TRUE(this->spool->stage(number, source, 2 * io::lmdb::kChunkBytes, body.size()).has_value());
  EXPECT_FALSE(this->spool->message(number).has_value());
  auto batch = this->spool->begin();
  ASSERT_TRUE((*batch)->add(number, message_named("LARGE", body.size()), nullptr).has_value());
  ASSERT_TRUE((*batch)->commit().has_value());
  EXPECT_EQ(body_of(*this->spool, number), body);
}

TYPED_TEST(SpoolTest, LoadsEveryMessageWithItsRecipientsInOrder) {
  for (int i = 0; i < 20; ++i) this->store("M" + std::to_string(i), "x");
  Number before = 0;
  std::size_t loaded = 0;
  const auto spoiled = this->spool->load([&](LoadedMessage& m) {
    EXPECT_GT(m.number, before);
    EXPECT_EQ(m.open.size(), 3U);
    for (const auto& r : m.open) EXPECT_EQ(r.destination, "example.net");
    before = m.number;
    return ++loaded, true;
  });
  EXPECT_EQ(*spoiled, 0U);
  EXPECT_EQ(loaded, 20U);
}

TYPED_TEST(SpoolTest, RemembersHolds) {
  auto batch = this->spool->begin();
  ASSERT_TRUE((*batch)->put_hold("a.example", "maintenance").has_value());
  ASSERT_TRUE((*batch)->put_hold("b.example", "x").has_value());
  ASSERT_TRUE((*batch)->remove_hold("b.example").has_value());
  ASSERT_TRUE((*batch)->commit().has_value());
  const auto holds = this->spool->holds();
  ASSERT_EQ(holds->size(), 1U);
  EXPECT_EQ(holds->at(0).second, "maintenance");
}

TYPED_TEST(SpoolTest, KeepsWhatWasFirstUnderAName) {
  EXPECT_EQ(*this->spool->keep("a key", "first"), "first");
  EXPECT_EQ(*this->spool->keep("a key", "second"), "first");
  EXPECT_EQ(*this->spool->keep("another", "second"), "second");
}

TEST(LmdbSpool, NumbersAndEpochOutliveAReopening) {
  const TempFolder folder;
  Number first = 0;
  {
    auto spool = LmdbSpool::open(folder.spool(), 64U << 20, 42);
    ASSERT_TRUE(spool.has_value());
    first = (*spool)->take_number();
    auto batch = (*spool)->begin();
    const TextBody body("x");
    ASSERT_TRUE((*batch)->add(first, message_named("ONE", 1), &body).has_value());
    ASSERT_TRUE((*batch)->commit().has_value());
  }
  auto spool = LmdbSpool::open(folder.spool(), 64U << 20, 43);
  ASSERT_TRUE(spool.has_value());
  EXPECT_EQ((*spool)->epoch(), 42U);
  EXPECT_GT((*spool)->take_number(), first);
  EXPECT_TRUE((*spool)->message(first).has_value());
}

TEST(LmdbSpool, SweepsAnIncompleteBodyAtTheStart) {
  const TempFolder folder;
  const std::string body = patterned(2 * io::lmdb::kChunkBytes);
  const TextBody source(body);
  Number number = 0;
  {
    auto spool = LmdbSpool::open(folder.spool(), 64U << 20, 42);
    number = (*spool)->take_number();
    ASSERT_TRUE((*spool)->stage(number, source, 0, body.size()).has_value());
    EXPECT_EQ(body_of(**spool, number).size(), body.size());
  }
  auto spool = LmdbSpool::open(folder.spool(), 64U << 20, 43);
  EXPECT_TRUE(body_of(**spool, number).empty());
  EXPECT_NE((*spool)->take_number(), number) << "a number that reached the disk is not used again";
}

TEST(LmdbSpool, AFullMapRefusesTheBatchKeepsTheRestAndDeletesStillWork) {
  const TempFolder folder;
  auto spool = LmdbSpool::open(folder.spool(), 16U << 20, 42);
  ASSERT_TRUE(spool.has_value());
  const std::string body = patterned(1U << 20);
  const TextBody source(body);
  std::vector<Number> stored;
  std::string_view code;
  for (int i = 0; i < 64 && code.empty(); ++i) {
    auto batch = (*spool)->begin();
    const Number number = (*spool)->take_number();
    auto good = (*batch)->add(number, message_named("F" + std::to_string(i), body.size()), &source);
    if (good) good = (*batch)->commit();
    if (good) stored.push_back(number);
    else code = good.error().code;
  }
  EXPECT_EQ(code, "spool.full");
  ASSERT_GE(stored.size(), 8U);
  for (const Number number : stored) ASSERT_EQ(body_of(**spool, number), body);
  for (const Number number : stored) {
    auto batch = (*spool)->begin();
    ASSERT_TRUE((*batch)->erase(number, {}).has_value());
    ASSERT_TRUE((*batch)->commit().has_value());
  }
  (*spool)->set_limit(32U << 20);
  EXPECT_TRUE(*(*spool)->grow());
  EXPECT_FALSE(*(*spool)->grow()) << "as far as the configuration allows, and no further";
}

TEST(LmdbSpool, KeepsWhatItAcknowledgedWhenItIsKilled) {
  const TempFolder folder;
  const std::string body = patterned(10'000);
  std::vector<Number> acknowledged;
  for (int round = 0; round < 5; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe_ends[0]);
      auto spool = LmdbSpool::open(folder.spool(), 256U << 20, 42);
      if (!spool) ::_exit(1);
      const TextBody source(body);
      for (;;) {
        auto batch = (*spool)->begin();
        std::vector<Number> numbers;
        for (int i = 0; i < 5; ++i) {
          numbers.push_back((*spool)->take_number());
          if (!(*batch)->add(numbers.back(), message_named("K" + std::to_string(numbers.back()), body.size()), &source)) ::_exit(1);
        }
        if (!(*batch)->commit()) ::_exit(1);
        if (::write(pipe_ends[1], numbers.data(), numbers.size() * sizeof(Number)) < 0) ::_exit(1);
      }
    }
    ::close(pipe_ends[1]);
    Number number = 0;
    for (int seen = 0; seen < 100 + round * 37 && ::read(pipe_ends[0], &number, sizeof number) == sizeof number; ++seen) acknowledged.push_back(number);
    ::kill(child, SIGKILL);
    while (::read(pipe_ends[0], &number, sizeof number) == sizeof number) acknowledged.push_back(number);
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
  }
  auto spool = LmdbSpool::open(folder.spool(), 256U << 20, 42);
  ASSERT_TRUE(spool.has_value());
  ASSERT_GE(acknowledged.size(), 500U);
  for (const Number number : acknowledged) {
    ASSERT_TRUE((*spool)->message(number).has_value()) << "message " << number << " was acknowledged and is lost";
    ASSERT_EQ((*spool)->recipients(number)->size(), 3U);
    ASSERT_EQ(body_of(**spool, number), body) << number;
  }
}

TEST(LmdbSpool, RefusesAnotherSchemaAndChangesNothing) {
  const TempFolder folder;
  {
    auto env = io::lmdb::Env::open(folder.spool());
    auto meta = (*env)->table("meta");
    auto txn = (*env)->begin(io::lmdb::Mode::write);
    io::lmdb::Key schema, seven;
    ASSERT_TRUE(txn->put(*meta, schema.text("schema"), seven.u64(7)).has_value());
    ASSERT_TRUE(txn->commit().has_value());
  }
  const auto spool = LmdbSpool::open(folder.spool(), 64U << 20, 42);
  ASSERT_FALSE(spool.has_value());
  EXPECT_EQ(spool.error().code, "spool.version");
}

TEST(Schema, RefusesOtherVersionsAndEveryCutOffRow) {
  const std::string row = encode_row(message_named("A1", 10).message);
  ASSERT_TRUE(decode_row<MessageRecord>(row).has_value());
  for (std::size_t length = 0; length < row.size(); ++length) EXPECT_FALSE(decode_row<MessageRecord>(row.substr(0, length)).has_value()) << length;
  EXPECT_FALSE(decode_row<MessageRecord>(row + "x").has_value()) << "trailing bytes";
  std::string other = row;
  other[0] = static_cast<char>(kRowVersion + 1);
  EXPECT_EQ(decode_row<MessageRecord>(other).error().code, "spool.version");
}

TEST(Schema, RefusesUnknownStates) {
  RecipientRecord r;
  const std::string good = encode_row(r);
  std::size_t refused = 0;
  for (std::size_t i = 1; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(0xEE);
    if (!decode_row<RecipientRecord>(bad)) ++refused;
  }
  EXPECT_GT(refused, 10U);
}

TEST(Schema, SkimmingARecipientAgreesWithDecodingIt) {
  RecipientRecord r;
  r.recipient = r.target = "someone@example.net";
  r.route = Route::remote;
  r.destination = "example.net";
  r.orcpt = "rfc822;someone@example.net";
  r.attempts = 7;
  r.due = WallTime{12345ms};
  r.reply = {451, "4.7.1", "come back in a while"};
  RecipientRecord scratch;
  OpenRecipient open;
  const std::string row = encode_row(r);
  ASSERT_EQ(skim_recipient(row, scratch, open), Skim::open);
  EXPECT_EQ(open.destination, "example.net");
  EXPECT_EQ(open.route, Route::remote);
  EXPECT_EQ(open.due, r.due);
  EXPECT_EQ(open.attempts, 7);
  for (const auto state : {RecipientState::delivered, RecipientState::failed, RecipientState::dropped}) {
    r.state = state;
    EXPECT_EQ(skim_recipient(encode_row(r), scratch, open), Skim::ended);
  }
  for (std::size_t length = 0; length < row.size(); ++length)
    EXPECT_EQ(skim_recipient(row.substr(0, length), scratch, open), Skim::spoiled) << length;
  EXPECT_EQ(skim_recipient(row + "x", scratch, open), Skim::spoiled);
  for (std::size_t i = 0; i < row.size(); ++i) {
    std::string bad = row;
    bad[i] = static_cast<char>(0xEE);
    EXPECT_EQ(skim_recipient(bad, scratch, open) == Skim::spoiled, !decode_row<RecipientRecord>(bad).has_value()) << i;
  }
}

TEST(Schema, DomainOfAnAddress) {
  EXPECT_EQ(domain_of("a@Example.ORG"), "example.org");
  EXPECT_EQ(domain_of("\"a@b\"@example.org."), "example.org");
  EXPECT_EQ(domain_of("nobody"), "");
}

}  // namespace
}  // namespace postern::queue
