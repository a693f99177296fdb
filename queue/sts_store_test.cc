#include "queue/sts_store.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "queue/limits.h"

namespace postern::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using namespace std::chrono_literals;

class Store : public ::testing::Test {
 protected:
  Store() { open(); }
  ~Store() override { std::filesystem::remove_all(folder); }
  void open() {
    store.reset();
    env.reset();
    env = *io::lmdb::Env::open(folder + "/spool.lmdb", {.map_bytes = 64U << 20});
    store.emplace(*StsStore::open(*env));
  }
  privsep::StsPolicy policy(const std::string& domain, std::chrono::seconds life = 10 * 86'400s) const { return {domain, "a1", "text of " + domain, now, now + life}; }
  std::string found(const std::string& domain) {
    const auto row = store->find(domain, now);
    return !row ? std::string(row.error().code) : *row ? (*row)->text : "none";
  }

  static std::string make_folder() {
    std::string name = testing::TempDir() + "stsXXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    return name;
  }
  std::string folder = make_folder();
  std::unique_ptr<io::lmdb::Env> env;
  std::optional<StsStore> store;
  WallTime now = WallTime{} + std::chrono::hours{500'000};
};

TEST_F(Store, KeepsAPolicyOverARestartUntilItExpires) {
  ASSERT_TRUE(store->keep(policy("a.example", 1000s), now));
  open();
  EXPECT_EQ(found("a.example"), "text of a.example");
  EXPECT_EQ(found("b.example"), "none");
  now += 999s;
  EXPECT_EQ(found("a.example"), "text of a.example");
  now += 1s;
  EXPECT_EQ(found("a.example"), "none");
}

TEST_F(Store, TheLaterPolicyReplacesTheEarlier) {
  ASSERT_TRUE(store->keep(policy("a.example"), now));
  auto later = policy("a.example");
  later.text = "later";
  ASSERT_TRUE(store->keep(later, now));
  EXPECT_EQ(found("a.example"), "later");
}

TEST_F(Store, TakesOnlyWhatIsAPolicysShape) {
  const auto good = policy("a.example");
  auto p = good;
  p.domain = "A.example";
  EXPECT_EQ(store->keep(p, now).error().code, "sts.refused");
  p = good, p.domain = "";
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.id = "a-1";
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.id = std::string(limits::kStsIdBytes + 1, 'a');
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.text = std::string(limits::kStsTextBytes + 1, 'a');
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.expires = now;
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.fetched = now + 1s;
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.expires = p.fetched + limits::kStsLife + 1s;
  EXPECT_FALSE(store->keep(p, now));
  p = good, p.text = std::string(limits::kStsTextBytes, 'a');
  EXPECT_TRUE(store->keep(p, now));
}

TEST_F(Store, SweepsWhatHasExpired) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store->keep(policy("short" + std::to_string(i) + ".example", 100s), now));
  ASSERT_TRUE(store->keep(policy("long.example"), now));
  now += 100s;
  EXPECT_EQ(*store->sweep(now, 3), 3U);
  EXPECT_EQ(*store->sweep(now, 3), 2U);
  EXPECT_EQ(*store->sweep(now, 3), 0U);
  EXPECT_EQ(found("long.example"), "text of long.example");
}

TEST_F(Store, NamesPoliciesThatGetOldAFewAtATime) {
  ASSERT_TRUE(store->keep(policy("short.example", 1000s), now));
  for (const char* domain : {"a.example", "b.example", "c.example"}) ASSERT_TRUE(store->keep(policy(domain), now));
  EXPECT_THAT(*store->old_ones(now, 10), IsEmpty());
  now += 500s;
  EXPECT_THAT(*store->old_ones(now, 10), ElementsAre("short.example")) << "half of its life";
  now += 24h - 500s;
  EXPECT_THAT(*store->old_ones(now, 2), ElementsAre("a.example", "b.example"));
  EXPECT_THAT(*store->old_ones(now, 2), ElementsAre("c.example"));
  EXPECT_THAT(*store->old_ones(now, 2), ElementsAre("a.example", "b.example")) << "from the start again";
  ASSERT_TRUE(store->keep(policy("a.example"), now));
  EXPECT_THAT(*store->old_ones(now, 10), UnorderedElementsAre("c.example"));
  EXPECT_THAT(*store->old_ones(now, 10), UnorderedElementsAre("b.example", "c.example"));
}

TEST_F(Store, LeavesAPolicyThatNobodySendsByToExpire) {
  ASSERT_TRUE(store->keep(policy("used.example", 300 * 86'400s), now));
  ASSERT_TRUE(store->keep(policy("unused.example", 300 * 86'400s), now));
  now += 20 * 24h;
  EXPECT_EQ(found("used.example"), "text of used.example");
  now += 15 * 24h;
  EXPECT_THAT(*store->old_ones(now, 10), ElementsAre("used.example"));
}

}  // namespace
}  // namespace postern::queue
