#include "privsep/metrics.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

std::map<std::string, std::uint64_t> by_name(const std::vector<MetricsReport::Sample>& samples) {
  std::map<std::string, std::uint64_t> out;
  for (const auto& s : samples) out[s.labels.empty() ? s.name : s.name + "{" + s.labels + "}"] = s.value;
  return out;
}

TEST(Metrics, SaysAllOfThemOnceAfterAChange) {
  Metrics metrics;
  EXPECT_TRUE(metrics.changed().empty());
  metrics.count("messages_total");
  metrics.count("messages_total", {}, 4);
  metrics.count("refused_total", "reason=\"unknown-user\"");
  metrics.gauge("connections", 3);
  EXPECT_EQ(by_name(metrics.changed()), (std::map<std::string, std::uint64_t>{
                                            {"messages_total", 5}, {"refused_total{reason=\"unknown-user\"}", 1}, {"connections", 3}}));
  EXPECT_TRUE(metrics.changed().empty());
  metrics.count("messages_total");
  const auto again = by_name(metrics.changed());
  EXPECT_EQ(again.at("messages_total"), 6U);
  EXPECT_EQ(again.at("connections"), 3U);
}

TEST(Metrics, AGaugeThatStaysIsNoChange) {
  Metrics metrics;
  metrics.gauge("connections", 0);
  const auto first = metrics.changed();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_TRUE(first[0].gauge);
  metrics.gauge("connections", 0);
  EXPECT_TRUE(metrics.changed().empty());
  metrics.gauge("connections", 1);
  EXPECT_EQ(metrics.changed().size(), 1U);
}

TEST(Metrics, BucketsOfAHistogramAreCumulative) {
  Metrics metrics;
  for (std::uint64_t ms : {0U, 1U, 3U, 10000U, 10001U}) metrics.observe_ms("delivery_ms", ms);
  const auto values = by_name(metrics.changed());
  EXPECT_EQ(values.at("delivery_ms_bucket{le=\"1\"}"), 2U);
  EXPECT_EQ(values.at("delivery_ms_bucket{le=\"2\"}"), 2U);
  EXPECT_EQ(values.at("delivery_ms_bucket{le=\"5\"}"), 3U);
  EXPECT_EQ(values.at("delivery_ms_bucket{le=\"10000\"}"), 4U);
  EXPECT_EQ(values.at("delivery_ms_bucket{le=\"+Inf\"}"), 5U);
  EXPECT_EQ(values.at("delivery_ms_count"), 5U);
  EXPECT_EQ(values.at("delivery_ms_sum"), 20005U);
}

}  // namespace
}  // namespace postern::privsep
