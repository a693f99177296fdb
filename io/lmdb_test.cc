#include "io/lmdb.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace postern::io::lmdb {
namespace {

using ::testing::ElementsAre;

class Lmdb : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "postern-lmdb-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    open({});
  }
  void TearDown() override {
    env.reset();
    std::filesystem::remove_all(folder);
  }
  void open(const EnvOptions& options) {
    env.reset();
    auto opened = Env::open(folder + "/data", options);
    ASSERT_TRUE(opened) << opened.error().message;
    env = *std::move(opened);
    auto made = env->table("t");
    ASSERT_TRUE(made) << made.error().message;
    t = *made;
  }
  void fill(std::initializer_list<std::string_view> keys) {
    auto txn = *env->begin(Mode::write);
    for (const auto key : keys) ASSERT_TRUE(txn.put(t, bytes_of(key), bytes_of("v")));
    ASSERT_TRUE(txn.commit());
  }
  std::vector<std::string> keys(std::string_view from, std::string_view until) {
    std::vector<std::string> out;
    auto txn = *env->begin(Mode::read);
    EXPECT_TRUE(txn.scan(t, bytes_of(from), bytes_of(until), [&](const Entry& e) {
      out.emplace_back(text_of(e.key));
      return true;
    }));
    return out;
  }

  std::string folder;
  std::unique_ptr<Env> env;
  Table t;
};

TEST_F(Lmdb, CommittedValuesSurviveReopeningAndAbortedOnesDoNot) {
  {
    auto txn = *env->begin(Mode::write);
    ASSERT_TRUE(txn.put(t, bytes_of("kept"), bytes_of("1")));
    ASSERT_TRUE(txn.commit());
    EXPECT_FALSE(txn.open());
    auto lost = *env->begin(Mode::write);
    ASSERT_TRUE(lost.put(t, bytes_of("lost"), bytes_of("2")));
  }
  open({});
  auto txn = *env->begin(Mode::read);
  const auto kept = txn.get(t, bytes_of("kept"));
  ASSERT_TRUE(kept && *kept);
  EXPECT_EQ(text_of(**kept), "1");
  EXPECT_FALSE(*txn.get(t, bytes_of("lost")));
  EXPECT_EQ(*txn.count(t), 1U);
}

TEST_F(Lmdb, AddKeepsWhatIsThere) {
  auto txn = *env->begin(Mode::write);
  EXPECT_TRUE(*txn.add(t, bytes_of("k"), bytes_of("1")));
  EXPECT_FALSE(*txn.add(t, bytes_of("k"), bytes_of("2")));
  EXPECT_EQ(text_of(**txn.get(t, bytes_of("k"))), "1");
  EXPECT_TRUE(*txn.del(t, bytes_of("k")));
  EXPECT_FALSE(*txn.del(t, bytes_of("k")));
}

TEST_F(Lmdb, AppendRefusesAKeyOutOfOrder) {
  auto txn = *env->begin(Mode::write);
  ASSERT_TRUE(txn.append(t, Key().u64(2), bytes_of("x")));
  EXPECT_EQ(txn.append(t, Key().u64(1), bytes_of("x")).error().code, "lmdb.use");
}

TEST_F(Lmdb, ReservedRoomIsFilledInPlace) {
  {
    auto txn = *env->begin(Mode::write);
    auto room = txn.reserve(t, Key().u64(7).u32(0), kChunkBytes);
    ASSERT_TRUE(room);
    ASSERT_EQ(room->size(), kChunkBytes);
    std::fill(room->begin(), room->end(), std::byte{'b'});
    ASSERT_TRUE(txn.commit());
  }
  auto txn = *env->begin(Mode::read);
  const auto chunk = *txn.get(t, Key().u64(7).u32(0));
  ASSERT_TRUE(chunk);
  EXPECT_EQ(text_of(*chunk), std::string(kChunkBytes, 'b'));
}

TEST_F(Lmdb, NumbersInKeysSortAsNumbers) {
  auto txn = *env->begin(Mode::write);
  for (const std::uint64_t n : {256ULL, 1ULL, 0xffffffffffffffffULL, 255ULL, 65536ULL}) ASSERT_TRUE(txn.put(t, Key().u64(n), {}));
  std::vector<std::uint64_t> order;
  ASSERT_TRUE(txn.scan(t, {}, {}, [&](const Entry& e) {
    order.push_back(*get_u64(e.key, 0));
    return true;
  }));
  EXPECT_THAT(order, ElementsAre(1, 255, 256, 65536, 0xffffffffffffffffULL));
}

TEST_F(Lmdb, KeyPartsReadBack) {
  const Key key = Key().u8(9).u16(0x0102).u32(0xdeadbeef).u64(0x0102030405060708).text("end");
  ASSERT_EQ(key.view().size(), 18U);
  EXPECT_EQ(*get_u32(key, 3), 0xdeadbeefU);
  EXPECT_EQ(*get_u64(key, 7), 0x0102030405060708U);
  EXPECT_FALSE(get_u64(key, 11));
  EXPECT_FALSE(get_u32(key, 15));
  EXPECT_FALSE(get_u32(key, 19));
}

TEST_F(Lmdb, ScansStopWhereTheyShould) {
  fill({"a", "b1", "b2", "b3", "c"});
  EXPECT_THAT(keys("", ""), ElementsAre("a", "b1", "b2", "b3", "c"));
  EXPECT_THAT(keys("b2", "c"), ElementsAre("b2", "b3"));
  EXPECT_THAT(keys("b4", ""), ElementsAre("c"));
  EXPECT_THAT(keys("d", ""), ElementsAre());
  auto txn = *env->begin(Mode::read);
  std::string seen;
  ASSERT_TRUE(txn.scan_prefix(t, bytes_of("b"), [&](const Entry& e) {
    seen += text_of(e.key);
    return seen.size() < 4;
  }));
  EXPECT_EQ(seen, "b1b2");
}

TEST_F(Lmdb, LastFindsTheEndOfAPrefix) {
  fill({"a1", "a2", "b1", "b\xff\xff"});
  auto txn = *env->begin(Mode::read);
  const auto last = [&](std::string_view prefix) {
    const auto entry = *txn.last(t, bytes_of(prefix));
    return entry ? std::string(text_of(entry->key)) : std::string("none");
  };
  EXPECT_EQ(last(""), "b\xff\xff");
  EXPECT_EQ(last("a"), "a2");
  EXPECT_EQ(last("b\xff"), "b\xff\xff");
  EXPECT_EQ(last("aa"), "none");
  EXPECT_EQ(last("\xff"), "none");
  EXPECT_EQ(last("c"), "none");
}

TEST_F(Lmdb, DelRangeRemovesNoMoreThanAsked) {
  fill({"a", "b", "c", "d", "e"});
  auto txn = *env->begin(Mode::write);
  EXPECT_EQ(*txn.del_range(t, bytes_of("b"), bytes_of("e"), 2), 2U);
  EXPECT_EQ(*txn.count(t), 3U);
  EXPECT_EQ(*txn.del_range(t, bytes_of("b"), bytes_of("e"), 100), 1U);
  EXPECT_EQ(*txn.del_range(t, {}, {}, 100), 2U);
  EXPECT_EQ(*txn.count(t), 0U);
}

TEST_F(Lmdb, FullMapIsToldAndGrowingHelps) {
  open({.map_bytes = 256 * 1024});
  const Bytes big(64 * 1024, std::byte{'x'});
  const auto fill_up = [&](std::uint64_t from) -> Result<void> {
    auto txn = *env->begin(Mode::write);
    for (std::uint64_t i = from; i < from + 8; ++i) TRY(txn.put(t, Key().u64(i), big));
    return txn.commit();
  };
  const auto full = fill_up(0);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "lmdb.full");
  ASSERT_TRUE(env->grow(4 * 1024 * 1024));
  EXPECT_TRUE(fill_up(0));
  EXPECT_EQ(env->usage()->map_bytes, 4U * 1024 * 1024);
}

TEST_F(Lmdb, UsageSeesFreedPages) {
  const Bytes big(1024 * 1024, std::byte{'x'});
  {
    auto txn = *env->begin(Mode::write);
    ASSERT_TRUE(txn.put(t, bytes_of("big"), big));
    ASSERT_TRUE(txn.commit());
  }
  EXPECT_GT(env->usage()->used_bytes, big.size());
  EXPECT_LT(env->usage()->free_bytes, big.size());
  {
    auto txn = *env->begin(Mode::write);
    ASSERT_TRUE(*txn.del(t, bytes_of("big")));
    ASSERT_TRUE(txn.commit());
  }
  EXPECT_GE(env->usage()->free_bytes, big.size());
}

TEST_F(Lmdb, CopyIsACompleteEnvironment) {
  fill({"a", "b"});
  {
    const Fd out(::open((folder + "/copy").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    ASSERT_TRUE(env->copy_to(out));
    EXPECT_GT(disk_space(out)->total_bytes, 0U);
  }
  auto copy = Env::open(folder + "/copy");
  ASSERT_TRUE(copy);
  const Table table = *(*copy)->table("t");
  auto txn = *(*copy)->begin(Mode::read);
  EXPECT_EQ(*txn.count(table), 2U);
}

TEST_F(Lmdb, FileOfAnotherKindIsRefused) {
  const std::string path = folder + "/other";
  {
    const Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    const std::string junk(8192, 'j');
    ASSERT_EQ(::write(out.get(), junk.data(), junk.size()), 8192);
  }
  EXPECT_EQ(Env::open(path).error().code, "lmdb.corrupt");
  EXPECT_EQ(Env::open(folder + "/none/data").error().code, "lmdb.io");
}

TEST_F(Lmdb, OverlongKeyIsAnError) {
  auto txn = *env->begin(Mode::write);
  EXPECT_EQ(txn.put(t, bytes_of(std::string(kMaxKeyBytes + 1, 'k')), {}).error().code, "lmdb.use");
}

// A process of its own that runs `life` and is killed at its end, or before. Its number.
int fork_life(const std::function<void()>& life) {
  const int pid = ::fork();
  if (pid != 0) return pid;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  life();
  ::kill(::getpid(), SIGKILL);
  std::abort();
}

// THREATS, "LMDB pitfalls". More lives than LMDB has slots for readers (126); somebody else has the file open all the time, for
// else the first to open it forgets all readers anyway.
TEST_F(Lmdb, KilledReadersHoldNoPagesBack) {
  constexpr int kLives = 250;
  constexpr std::size_t kBytes = 64 * 1024;
  env.reset();
  const std::string path = folder + "/data";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const int watcher = fork_life([&] {
    const auto theirs = Env::open(path, {});
    if (theirs && ::write(ready[1], "r", 1) == 1) ::pause();
  });
  char r = 0;
  ASSERT_EQ(::read(ready[0], &r, 1), 1);
  const auto one_life = [&] {
    auto mine = Env::open(path, {});
    if (!mine) std::_Exit(1);
    const auto table = (*mine)->table("t");
    auto writing = (*mine)->begin(Mode::write);
    if (!table || !writing || !writing->put(*table, bytes_of("k"), Bytes(kBytes, std::byte{1})) || !writing->commit()) std::_Exit(2);
    auto reading = (*mine)->begin(Mode::read);
    if (!reading || !*reading->get(*table, bytes_of("k"))) std::_Exit(3);
    ::kill(::getpid(), SIGKILL);
  };
  for (int i = 0; i < kLives; ++i) {
    int status = 0;
    const int pid = fork_life(one_life);
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "life " << i << " could not go on: step " << WEXITSTATUS(status);
  }
  EXPECT_LT(std::filesystem::file_size(path), 20 * kBytes);
  ::kill(watcher, SIGKILL);
  ASSERT_EQ(::waitpid(watcher, nullptr, 0), watcher);
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace postern::io::lmdb
