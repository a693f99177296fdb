// What a large spool costs at the start; the full million is measured by tests/bench/spool_load_bench.cc.
#include <gtest/gtest.h>
#include <malloc.h>

#include <ctime>
#include <filesystem>

#include "base/check.h"
#include "queue/lmdb_spool.h"
#include "queue/test_load.h"

namespace postern::queue {
namespace {

using namespace std::chrono_literals;

#ifdef POSTERN_SANITIZED
constexpr bool kMeasures = false;
#else
constexpr bool kMeasures = true;
#endif

std::size_t heap_bytes() {
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(Load, ALargeSpoolIsScheduledWithinThreeHundredBytesAMessage) {
  std::string folder = (std::filesystem::temp_directory_path() / "postern-load-XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  constexpr std::uint32_t kMessages = 100'000, kDestinations = 2'000;
  FakeClock clock;
  auto spool = LmdbSpool::open(folder + "/spool.lmdb", std::uint64_t{2} << 30, 42);
  ASSERT_TRUE(spool.has_value());
  ASSERT_TRUE(fill(**spool, kMessages, kDestinations, clock.now()).has_value());

  SilentCourier courier;
  crypto::SystemEntropy entropy;
  const Log log([](Severity, std::string_view) {}, Severity::error);
  privsep::Metrics metrics;
  const Secret key{"the key of tests"};
  const std::size_t before = heap_bytes();
  Engine engine(**spool, courier, clock, entropy, log, metrics, key, {});
  const std::clock_t began = std::clock();
  ASSERT_TRUE(engine.load().has_value());
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  EXPECT_EQ(engine.scheduler().messages(), kMessages);
  EXPECT_EQ(engine.scheduler().groups_in(GroupState::ready), kMessages / 2);
  EXPECT_EQ(engine.scheduler().groups_in(GroupState::waiting), kMessages / 2);
  EXPECT_EQ(engine.scheduler().destinations(kDestinations * 2).size(), kDestinations);
  const std::size_t each = (heap_bytes() - before) / kMessages;
  RecordProperty("bytes_each", static_cast<int>(each));
  RecordProperty("microseconds", static_cast<int>(seconds * 1e6));
  if (kMeasures) EXPECT_LE(each, 300U);  // how long it takes is measured by tests/bench/spool_load_bench
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
}

}  // namespace
}  // namespace postern::queue
