#include "base/log.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern {
namespace {

struct Lines {
  std::vector<std::pair<Severity, std::string>> all;
  Log log(Severity least) {
    return Log([this](Severity severity, std::string_view line) { all.emplace_back(severity, line); }, least);
  }
};

TEST(Log, WritesAnEventAndItsFactsAsLogfmt) {
  Lines lines;
  lines.log(Severity::info).notice("message accepted", {{"id", "abc"}, {"bytes", 512}, {"ratio", 0.5}, {"from", std::string("a b")}});
  ASSERT_EQ(lines.all.size(), 1U);
  EXPECT_EQ(lines.all[0].first, Severity::notice);
  EXPECT_EQ(lines.all[0].second, "event=\"message accepted\" id=abc bytes=512 ratio=0.500000 from=\"a b\"");
}

TEST(Log, DropsWhatIsBelowItsSeverity) {
  Lines lines;
  const Log log = lines.log(Severity::warning);
  log.debug("x");
  log.info("x");
  log.notice("x");
  log.warning("kept");
  log.error("kept too");
  ASSERT_EQ(lines.all.size(), 2U);
  EXPECT_EQ(lines.all[0].second, "event=kept");
  EXPECT_EQ(lines.all[1].first, Severity::error);
}

TEST(Log, NoValueBreaksOutOfItsLineOrItsQuotes) {
  EXPECT_EQ(logfmt_value("plain"), "plain");
  EXPECT_EQ(logfmt_value(""), "\"\"");
  EXPECT_EQ(logfmt_value("a b"), "\"a b\"");
  EXPECT_EQ(logfmt_value("a=b"), "\"a=b\"");
  EXPECT_EQ(logfmt_value("say \"hi\""), "\"say \\\"hi\\\"\"");
  EXPECT_EQ(logfmt_value("x\r\nevent=forged"), "\"x\\x0d\\x0aevent=forged\"");
  EXPECT_EQ(logfmt_value("\x1B[2J"), "\\x1b[2J");
  EXPECT_EQ(logfmt_value("end\\\" a=\""), "\"end\\x5c\\\" a=\\\"\"");  // the backslash is no escape of theirs
}

TEST(Log, CutsLongValues) {
  EXPECT_EQ(logfmt_value(std::string(512, 'a')), std::string(512, 'a'));
  EXPECT_EQ(logfmt_value(std::string(513, 'a')), std::string(512, 'a') + "...");
}

TEST(Log, SeveritiesHaveNames) {
  EXPECT_EQ(name_of(Severity::debug), "debug");
  EXPECT_EQ(name_of(Severity::error), "error");
}

}  // namespace
}  // namespace postern
