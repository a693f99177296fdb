// Which policy holds for a domain: by its record, its file, what was kept, and time.
#include "deliver/remote/sts_cache.h"

#include <gtest/gtest.h>

#include "deliver/remote/limits.h"
#include "deliver/remote/sts_test.h"
#include "deliver/remote/test_server.h"

namespace postern::remote::test {
namespace {

using mail::dns::Text;
using mail::dns::Type;
using namespace std::chrono_literals;

constexpr const char* kDomain = "to.test";

class FixedClock final : public Clock {
 public:
  WallTime at = WallTime{} + std::chrono::hours{500'000};
  WallTime now() const override { return at; }
  SteadyTime steady() const override { return SteadyTime{} + (at.time_since_epoch()); }
};

class Sts : public ::testing::Test {
 protected:
  void record(const std::string& text) { resolver.table[{"_mta-sts.to.test", Type::txt}] = answer({Text{text}}); }
  void announce(const std::string& id) { record("v=STSv1; id=" + id + ";"); }
  void no_record() { resolver.table.clear(); }
  void serve(const std::string& mode, const std::string& max_age = "604800") { policies.served[kDomain] = FakePolicies::text(mode, "mx.to.test", max_age); }
  /// "MODE/ID failure", "none failure", or the error's code.
  std::string find(const std::string& domain = kDomain) {
    std::string shown = "not answered";
    cache->find(domain, [&](const Result<StsFinding>& found) { shown = show(found); });
    return shown;
  }
  static std::string show(const Result<StsFinding>& found) {
    if (!found) return std::string(found.error().code);
    std::string out = found->entry ? std::string(name_of(found->entry->policy.mode)) + "/" + found->entry->id : "none";
    return found->failure.empty() ? out : out + " " + found->failure;
  }
  void restart() { cache = std::make_unique<StsCache>(resolver, policies, policies, clock, log, metrics); }

  TestResolver resolver;
  FakePolicies policies;
  FixedClock clock;
  Log log{[](Severity, std::string_view) {}, Severity::debug};
  privsep::Metrics metrics;
  std::unique_ptr<StsCache> cache = std::make_unique<StsCache>(resolver, policies, policies, clock, log, metrics);
};

TEST_F(Sts, WithoutARecordNothingIsFetched) {
  serve("enforce");
  EXPECT_EQ(find(), "none");
  for (const char* bad : {"v=STSv1;", "v=STSv2; id=1", "hello"}) {
    record(bad);
    EXPECT_EQ(find(), "none") << bad;
  }
  resolver.table[{"_mta-sts.to.test", Type::txt}] = answer({Text{"v=STSv1; id=1"}, Text{"v=STSv1; id=2"}});
  EXPECT_EQ(find(), "none");
  resolver.table[{"_mta-sts.to.test", Type::txt}] = failed_answer();
  EXPECT_EQ(find(), "none");
  EXPECT_EQ(policies.fetches, 0U);
}

TEST_F(Sts, AnAnnouncedPolicyIsFetchedOnceAndKept) {
  announce("a1");
  serve("enforce");
  EXPECT_EQ(find(), "enforce/a1");
  EXPECT_EQ(find("TO.test."), "enforce/a1");
  EXPECT_EQ(policies.fetches, 1U);
  EXPECT_EQ(policies.loads, 1U);
  ASSERT_EQ(policies.disk.count(kDomain), 1U);
  EXPECT_EQ(policies.disk[kDomain].expires, clock.at + 604'800s);
}

TEST_F(Sts, ANewIdBringsTheNewPolicy) {
  announce("a1");
  serve("enforce");
  find();
  serve("testing");
  EXPECT_EQ(find(), "enforce/a1") << "the id has not changed";
  announce("a2");
  EXPECT_EQ(find(), "testing/a2");
  EXPECT_EQ(policies.disk[kDomain].id, "a2");
  serve("none");
  announce("a3");
  EXPECT_EQ(find(), "none/a3");
}

TEST_F(Sts, TheLastGoodPolicyHoldsWhateverHappensToRecordAndServer) {  // RFC 8461 §5.1
  announce("a1");
  serve("enforce");
  find();
  policies.served.clear();
  announce("a2");
  EXPECT_EQ(find(), "enforce/a1 sts-policy-fetch-error");
  policies.served[kDomain] = "<html>";
  announce("a3");
  EXPECT_EQ(find(), "enforce/a1 sts-policy-invalid");
  no_record();
  EXPECT_EQ(find(), "enforce/a1");
  resolver.table[{"_mta-sts.to.test", Type::txt}] = failed_answer(mail::dns::Security::bogus);
  EXPECT_EQ(find(), "enforce/a1");
  restart();
  EXPECT_EQ(find(), "enforce/a1") << "it lies on the disk";
  clock.at += 604'799s;
  EXPECT_EQ(find(), "enforce/a1");
  clock.at += 1s;
  EXPECT_EQ(find(), "none") << "and it ends";
}

TEST_F(Sts, AServerThatFailedIsLeftInPeaceForAWhile) {  // RFC 8461 §3.3
  announce("a1");
  policies.failure_code = "https.certificate";
  EXPECT_EQ(find(), "none sts-webpki-invalid");
  serve("enforce");
  clock.at += limits::kStsFailedPause - 1s;
  EXPECT_EQ(find(), "none sts-webpki-invalid");
  EXPECT_EQ(policies.fetches, 1U);
  clock.at += 1s;
  EXPECT_EQ(find(), "enforce/a1");
  EXPECT_EQ(policies.fetches, 2U);
}

TEST_F(Sts, AnotherIdIsTriedAtOnce) {
  announce("a1");
  find();
  serve("enforce");
  announce("a2");
  EXPECT_EQ(find(), "enforce/a2");
}

TEST_F(Sts, APolicyIsFetchedAnewBeforeItEnds) {
  announce("a1");
  serve("enforce");
  find();
  clock.at += 86'399s;
  find();
  EXPECT_EQ(policies.fetches, 1U);
  clock.at += 1s;
  policies.slow = true;
  EXPECT_EQ(find(), "enforce/a1") << "nobody waits for it";
  EXPECT_EQ(find(), "enforce/a1");
  EXPECT_EQ(policies.fetches, 2U) << "once for all";
  policies.finish();
  EXPECT_EQ(policies.disk[kDomain].fetched, clock.at);
}

TEST_F(Sts, AShortMaxAgeDoesNotMeanAFetchForEachMessage) {
  announce("a1");
  serve("enforce", "0");
  EXPECT_EQ(find(), "enforce/a1");
  EXPECT_EQ(find(), "enforce/a1");
  EXPECT_EQ(policies.fetches, 1U);
  clock.at += mail::mta_sts::kLeastKept;
  find();
  EXPECT_EQ(policies.fetches, 2U);
}

TEST_F(Sts, WhoeverAsksMeanwhileWaitsForTheSameFetch) {
  announce("a1");
  serve("enforce");
  policies.slow = true;
  std::vector<std::string> answers;
  for (int i = 0; i < 3; ++i) cache->find(kDomain, [&](const Result<StsFinding>& found) { answers.push_back(show(found)); });
  EXPECT_TRUE(answers.empty());
  policies.finish();
  EXPECT_EQ(answers, std::vector<std::string>(3, "enforce/a1"));
  EXPECT_EQ(policies.fetches, 1U);
}

TEST_F(Sts, WhatIsKeptMustBeLearntBeforeAnythingIsSent) {
  policies.disk_fails = true;
  EXPECT_EQ(find(), "sts.unknown");
  policies.disk_fails = false;
  EXPECT_EQ(find(), "none");
}

TEST_F(Sts, AKeptRowThatIsNoPolicyIsFetchedAnew) {
  policies.disk[kDomain] = {kDomain, "a1", "nonsense", clock.at, clock.at + 1000s};
  announce("a1");
  serve("testing");
  EXPECT_EQ(find(), "testing/a1");
}

TEST_F(Sts, ManyDomainsDoNotFillTheMemory) {
  for (std::size_t i = 0; i < limits::kStsDomains + 50; ++i) find("d" + std::to_string(i) + ".test");
  EXPECT_LE(cache->size(), limits::kStsDomains);
  announce("a1");
  serve("enforce");
  find();
  for (std::size_t i = 0; i < limits::kStsDomains; ++i) find("e" + std::to_string(i) + ".test");
  policies.served.clear();
  EXPECT_EQ(find(), "enforce/a1") << "the disk remembers";
}

}  // namespace
}  // namespace postern::remote::test
