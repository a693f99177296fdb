#include "privsep/parent/log_allowance.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kText = 1024 - LogAllowance::kLineBytes;  // a line that costs 1 KiB

std::uint64_t admitted(LogAllowance& allowance, SteadyTime now, std::uint64_t tries) {
  std::uint64_t count = 0;
  for (std::uint64_t i = 0; i < tries; ++i) count += allowance.admits(kText, now) ? 1 : 0;
  return count;
}

TEST(LogAllowance, TakesABurstThenDropsAndCounts) {
  LogAllowance allowance;
  const SteadyTime now{1h};
  EXPECT_EQ(admitted(allowance, now, 10'000), LogAllowance::kBurstBytes / 1024);
  EXPECT_EQ(allowance.take_dropped(), 10'000 - LogAllowance::kBurstBytes / 1024);
  EXPECT_EQ(allowance.take_dropped(), 0U);
  EXPECT_EQ(allowance.dropped_ever(), 10'000 - LogAllowance::kBurstBytes / 1024);
}

TEST(LogAllowance, FillsWithTimeUpToTheBurst) {
  LogAllowance allowance;
  SteadyTime now{1h};
  admitted(allowance, now, 10'000);
  now += 1s;
  EXPECT_EQ(admitted(allowance, now, 10'000), LogAllowance::kBytesPerSecond / 1024);
  now += 24h;
  EXPECT_EQ(admitted(allowance, now, 10'000), LogAllowance::kBurstBytes / 1024);
}

TEST(LogAllowance, EmptyLinesCostToo) {
  LogAllowance allowance;
  std::uint64_t count = 0;
  while (allowance.admits(0, SteadyTime{1h})) ++count;
  EXPECT_EQ(count, LogAllowance::kBurstBytes / LogAllowance::kLineBytes);
}

TEST(LogAllowance, TimeThatGoesInSmallStepsFillsAsMuch) {
  LogAllowance allowance;
  SteadyTime now{1h};
  admitted(allowance, now, 10'000);
  std::uint64_t count = 0;
  for (int i = 0; i < 1000; ++i) {
    now += 1ms;
    count += admitted(allowance, now, 8);
  }
  EXPECT_NEAR(static_cast<double>(count), static_cast<double>(LogAllowance::kBytesPerSecond / 1024), 8);
}

}  // namespace
}  // namespace postern::privsep
