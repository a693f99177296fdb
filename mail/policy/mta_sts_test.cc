#include "mail/policy/mta_sts.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace postern::mail::mta_sts {
namespace {

constexpr std::string_view kGood = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmax_age: 604800\r\n";

TEST(MtaSts, Vectors) {  // tests/vectors/mta-sts: its NOTICE.md names the source
  std::ifstream file(POSTERN_SOURCE_DIR "/tests/vectors/mta-sts/cases.json");
  const auto cases = nlohmann::json::parse(file).at("cases");
  ASSERT_GE(cases.size(), 19U);
  for (const auto& row : cases) {
    SCOPED_TRACE(row.at("name").get<std::string>());
    const std::string kind = row.at("kind");
    if (kind == "mx") {
      EXPECT_EQ(matches(row.at("pattern").get<std::string>(), row.at("host").get<std::string>()), row.at("match").get<bool>());
      continue;
    }
    if (kind == "record") {
      const auto id = policy_id(row.at("txt").get<std::vector<std::string>>());
      EXPECT_EQ(id.has_value(), row.at("valid").get<bool>());
      if (id && row.contains("id")) { EXPECT_EQ(*id, row.at("id").get<std::string>()); }
      continue;
    }
    ASSERT_EQ(kind, "policy");
    const auto policy = parse_policy(row.at("text").get<std::string>());
    if (!row.at("valid").is_null()) { EXPECT_EQ(policy.has_value(), row.at("valid").get<bool>()); }
    if (policy && row.contains("max_age")) { EXPECT_EQ(policy->max_age.count(), row.at("max_age").get<long>()); }
    if (policy) { EXPECT_LE(policy->max_age, kMostMaxAge); }
  }
}

TEST(MtaSts, OnlyOneRecordCounts) {  // RFC 8461 §3.1
  EXPECT_EQ(*policy_id({"v=STSv1; id=abc"}), "abc");
  EXPECT_EQ(*policy_id({"v=STSv1 ;\tid=abc ; "}), "abc");
  EXPECT_EQ(policy_id({"v=STSv1; id=1;", "v=STSv1; id=1;"}).error().code, "mta_sts.several");
  for (const char* other : {"", "v=STSv1", "v=STSv10; id=1", "V=STSv1; id=1", " v=STSv1; id=1", "v=sTSv1; id=1", "id=1; v=STSv1;"})
    EXPECT_EQ(policy_id({other}).error().code, "mta_sts.absent") << other;
  for (const char* bad : {"v=STSv1;", "v=STSv1; id=", "v=STSv1; id", "v=STSv1;; id=1", "v=STSv1; id=1;;", "v=STSv1; id=a b", "v=STSv1; _x=1; id=1",
                          "v=STSv1; id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
    EXPECT_EQ(policy_id({bad}).error().code, "mta_sts.record") << bad;
}

TEST(MtaSts, PolicyIsReadWithEitherLineEndAndUnknownKeys) {  // RFC 8461 §3.2
  for (const char* text : {"version: STSv1\nmode: testing\nmx:a.example\nmx: *.B.example.\nx-y.z: 1: 2\n\nmax_age:86400",
                           "max_age: 86400  \r\nmx: a.example\r\nversion: STSv1\r\nmx:\t*.b.example\r\nmode: testing\r\n"}) {
    const auto policy = parse_policy(text);
    ASSERT_TRUE(policy) << policy.error().message;
    EXPECT_EQ(policy->mode, Mode::testing);
    EXPECT_EQ(policy->max_age, std::chrono::seconds(86400));
    EXPECT_EQ(policy->mx, (std::vector<std::string>{"a.example", "*.b.example"}));
  }
}

TEST(MtaSts, OfAKeyGivenTwiceTheFirstCounts) {
  const auto policy = parse_policy("version: STSv1\nmode: enforce\nmode: none\nmx: a.example\nmax_age: 1\nmax_age: x\nversion: STSv2\n");
  ASSERT_TRUE(policy) << policy.error().message;
  EXPECT_EQ(policy->mode, Mode::enforce);
  EXPECT_EQ(policy->max_age, std::chrono::seconds(1));
}

TEST(MtaSts, OnlyModeNoneDoesWithoutMx) {
  EXPECT_TRUE(parse_policy("version: STSv1\nmode: none\nmax_age: 0\n"));
  EXPECT_FALSE(parse_policy("version: STSv1\nmode: testing\nmax_age: 1\n"));
}

TEST(MtaSts, WhatIsNotOfTheGrammarIsNoPolicy) {
  for (const char* line : {"mode: Enforce", "max_age: -1", "max_age: 1e3", "max_age:", "max_age: 12345678901", "mx: *", "mx: *.", "mx: **.example",
                           "mx: a.*.example", "mx: *a.example", "mx: a..example", "mx: a.example..", "mx: -a.example", "mx: a_b.example", "mx: caf\xc3\xa9.example", " mode: none",
                           "no colon", ": x"}) {
    std::string text(kGood);
    text.insert(0, "version: STSv1\n" + std::string(line) + "\n");
    EXPECT_EQ(parse_policy(text).error().code, "mta_sts.policy") << line;
  }
}

TEST(MtaSts, ALongMaxAgeIsCutToAYear) {
  EXPECT_EQ(parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999")->max_age, kMostMaxAge);
}

TEST(MtaSts, BoundsHoldAtTheLimitAndPastIt) {
  std::string text(kGood);
  while (text.size() < kPolicyBytes) text += "x: " + std::string(std::min<std::size_t>(1000, kPolicyBytes - text.size()), 'y') + "\n";
  text.resize(kPolicyBytes);
  EXPECT_TRUE(parse_policy(text)) << parse_policy(text).error().message;
  EXPECT_FALSE(parse_policy(text + "y"));
  std::string many("version: STSv1\nmode: enforce\nmax_age: 1");
  for (std::size_t i = 0; i < kMxPatterns; ++i) many += "\nmx: a.example";
  EXPECT_TRUE(parse_policy(many));
  EXPECT_FALSE(parse_policy(many + "\nmx: a.example"));
  std::string lines("version: STSv1\nmode: none\nmax_age: 1");
  lines += std::string(kPolicyLines - 3, '\n');
  EXPECT_TRUE(parse_policy(lines));
  EXPECT_FALSE(parse_policy(lines + "\n"));
  EXPECT_TRUE(policy_id({"v=STSv1; id=" + std::string(kIdBytes, '0')}));
  EXPECT_FALSE(policy_id({"v=STSv1; id=" + std::string(kIdBytes + 1, '0')}));
}

TEST(MtaSts, AWildcardIsOneWholeLabelInFront) {  // RFC 8461 §4.1
  EXPECT_TRUE(matches("*.example.com", "MX.example.com."));
  EXPECT_TRUE(matches("mx.example.com", "mx.example.com"));
  for (const char* host : {"example.com", ".example.com", "a.b.example.com", "example.org", "mxexample.com", "", "."})
    EXPECT_FALSE(matches("*.example.com", host)) << host;
  EXPECT_FALSE(matches("", ""));
  const Policy policy{Mode::enforce, {}, {"a.example", "*.b.example"}};
  EXPECT_TRUE(allows(policy, "x.b.example"));
  EXPECT_FALSE(allows(policy, "x.a.example"));
}

TEST(MtaSts, AResponseIsAPolicyOnlyAsPlainTextWithStatus200) {  // RFC 8461 §3.2, §3.3
  struct Row {
    unsigned status;
    std::string_view type, body, code;
  };
  for (const Row& row : {Row{200, "text/plain", kGood, ""}, Row{301, "text/plain", kGood, "mta_sts.fetch"}, Row{302, "text/plain", "", "mta_sts.fetch"},
                         Row{404, "text/plain", kGood, "mta_sts.fetch"}, Row{204, "", "", "mta_sts.fetch"}, Row{500, "text/plain", kGood, "mta_sts.fetch"},
                         Row{200, "text/html", kGood, "mta_sts.policy"}, Row{200, "", kGood, "mta_sts.policy"}, Row{200, "text/plain", "hello", "mta_sts.policy"}}) {
    const auto policy = policy_of_response(row.status, row.type, row.body);
    EXPECT_EQ(policy ? "" : policy.error().code, row.code) << row.status << " " << row.type;
  }
}

TEST(MtaSts, MaxAgeIsBoundedBelowAndAbove) {
  struct Row {
    long max_age, kept, refreshed;
  };
  for (const Row& row : {Row{0, 300, 150}, Row{299, 300, 150}, Row{301, 301, 150}, Row{604'800, 604'800, 86'400}, Row{100'000, 100'000, 50'000}}) {
    Policy policy;
    policy.max_age = std::chrono::seconds(row.max_age);
    EXPECT_EQ(kept_for(policy).count(), row.kept);
    EXPECT_EQ(refresh_after(policy).count(), row.refreshed);
  }
  EXPECT_EQ(kept_for(*parse_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n")), kMostMaxAge);
}

TEST(MtaSts, AComposedPolicyReadsBackAndItsIdChangesWithIt) {
  Policy policy{Mode::enforce, std::chrono::seconds(604'800), {"mx.example", "*.mx.example"}};
  const std::string text = compose(policy);
  const auto back = parse_policy(text);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->mode, policy.mode);
  EXPECT_EQ(back->max_age, policy.max_age);
  EXPECT_EQ(back->mx, policy.mx);
  EXPECT_EQ(*policy_id({record_for(id_for(text))}), id_for(text));
  EXPECT_EQ(id_for(text), id_for(compose(policy)));
  policy.mode = Mode::testing;
  EXPECT_NE(id_for(text), id_for(compose(policy)));
}

TEST(MtaSts, WhatWentWrongHasAReportType) {  // RFC 8460 §4.3.2.2
  EXPECT_EQ(report_type("https.certificate"), "sts-webpki-invalid");
  EXPECT_EQ(report_type("mta_sts.policy"), "sts-policy-invalid");
  EXPECT_EQ(report_type("http.large"), "sts-policy-invalid");
  for (const char* code : {"https.connect", "https.time", "https.address", "http.syntax", "mta_sts.fetch"}) EXPECT_EQ(report_type(code), "sts-policy-fetch-error") << code;
}

}  // namespace
}  // namespace postern::mail::mta_sts
