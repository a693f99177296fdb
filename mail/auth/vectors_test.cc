// DKIM and ARC against the vectors of tests/vectors: RFC 6376 A.2, RFC 8463 A, dkimpy, chasquid, stalwart and the ARC suite of
// ValiMail. Each folder's NOTICE.md names source and licence; cases.json is made from cases.yml by cases_to_json.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "mail/auth/arc.h"
#include "mail/auth/dkim.h"

namespace postern::mail {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const fs::path kVectors = fs::path(POSTERN_SOURCE_DIR) / "tests" / "vectors";

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

/// With CRLF wherever a line ends.
std::string with_crlf(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r')) out.push_back('\r');
    out.push_back(text[i]);
  }
  return out;
}

dns::Answer answer_of(const json& zone, const std::string& name) {
  dns::Answer answer{.status = dns::Status::none, .nxdomain = true, .records = {}, .canonical_name = name};
  for (const auto& [key, records] : zone.items()) {
    if (dns::canonical(key) != name) continue;
    answer.nxdomain = false;
    if (records.is_string()) {
      answer.status = dns::Status::failure;
    } else {
      answer.status = records.empty() ? dns::Status::none : dns::Status::found;
      for (const auto& record : records) answer.records.emplace_back(dns::Text{record.get<std::string>()});
    }
  }
  return answer;
}

/// Asks until there is a verdict; no question twice.
template <class Judge>
auto drive(Judge& judge, const json& zone, WallTime now) {
  dns::Facts facts;
  for (int round = 0;; ++round) {
    auto result = judge.evaluate(facts, now);
    if (result.index() == 0) return std::get<0>(result);
    EXPECT_LT(round, 20);
    for (const dns::Question& question : std::get<1>(result)) {
      EXPECT_FALSE(facts.has(question)) << question.name;
      facts.add(question, answer_of(zone, dns::canonical(question.name)));
    }
  }
}

bool allows(const json& expected, std::string_view result) {
  if (expected.is_string()) return expected.get<std::string>() == result;
  for (const auto& one : expected)
    if (one.get<std::string>() == result) return true;
  return false;
}

void check_dkim(const json& expect, const std::vector<dkim::SignatureResult>& results) {
  std::string all;
  std::vector<std::string_view> names;
  for (const auto& r : results) {
    names.push_back(dkim::name_of(r.result));
    all += r.domain + "/" + r.selector + "=" + std::string(names.back()) + " (" + r.reason + ") ";
  }
  SCOPED_TRACE(all);
  if (expect.contains("dkim_not")) {
    for (const auto name : names) EXPECT_FALSE(allows(expect["dkim_not"], name));
  }
  if (expect.contains("dkim_best")) {
    const bool pass = std::ranges::count(names, "pass") > 0;
    const bool any = std::ranges::any_of(names, [&](auto name) { return allows(expect["dkim_best"], name); });
    EXPECT_TRUE(any || (names.empty() && allows(expect["dkim_best"], "none")));
    EXPECT_EQ(pass, allows(expect["dkim_best"], "pass"));
  }
  for (const auto& one : expect.value("dkim", json::array())) {
    const bool found = std::ranges::any_of(results, [&](const dkim::SignatureResult& r) {
      return (!one.contains("domain") || one["domain"] == r.domain) &&
             (!one.contains("selector") || one["selector"] == r.selector) && allows(one["result"], dkim::name_of(r.result));
    });
    EXPECT_TRUE(found) << one.dump();
  }
}

void run_case(const fs::path& folder, const json& zone, const json& test) {
  SCOPED_TRACE(test["name"].get<std::string>());
  const std::string message =
      with_crlf(test.contains("file") ? read_file(folder / test["file"].get<std::string>()) : test["message"].get<std::string>());
  const WallTime now{std::chrono::seconds(test.value("at", std::int64_t{1'790'000'000}))};
  const auto header = parse_header(bytes_of(message));
  ASSERT_TRUE(header.has_value());
  const auto whole = std::make_shared<dkim::SignedMessage>(*header, bytes_of(message).subspan(header->body));
  dkim::Verifier verifier(whole);
  check_dkim(test["expect"], drive(verifier, zone, now));
  if (test["expect"].contains("arc")) {
    arc::Validator validator(whole);
    const auto verdict = drive(validator, zone, now);
    EXPECT_TRUE(allows(test["expect"]["arc"], arc::name_of(verdict.status)))
        << arc::name_of(verdict.status) << ": " << verdict.reason;
  }
}

class Vectors : public testing::TestWithParam<const char*> {};

TEST_P(Vectors, AreJudgedAsTheirSourceSays) {
  std::size_t cases = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kVectors / GetParam())) {
    if (entry.path().filename() != "cases.json") continue;
    for (const auto& document : json::parse(read_file(entry.path()))) {
      for (const auto& test : document["tests"]) {
        run_case(entry.path().parent_path(), document["zone"], test);
        ++cases;
      }
    }
  }
  EXPECT_GT(cases, 0U);
}

INSTANTIATE_TEST_SUITE_P(Auth, Vectors, testing::Values("dkim-rfc", "dkim-chasquid", "dkim-stalwart", "arc-valimail"));

}  // namespace
}  // namespace postern::mail
