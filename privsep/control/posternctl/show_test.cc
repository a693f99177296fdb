#include "privsep/control/posternctl/show.h"

#include <gtest/gtest.h>

namespace postern::posternctl {
namespace {

constexpr Column kColumns[] = {{"address", "ADDRESS"}, {"used", "USED", Shown::bytes}, {"quota", "QUOTA", Shown::quota}, {"enabled", "ENABLED"}};

TEST(ShowRows, AlignsColumnsByCharactersAndNotByBytes) {
  const auto shown = show_rows(
      R"({"accounts":[{"address":"jürgen@example.org","used":1536,"quota":0,"enabled":true},{"address":"b@example.org","used":0,"quota":1048576,"enabled":false}]})",
      "accounts", kColumns);
  ASSERT_TRUE(shown);
  EXPECT_EQ(*shown,
            "ADDRESS             USED     QUOTA    ENABLED\n"
            "jürgen@example.org  1.5 KiB  none     yes\n"
            "b@example.org       0 B      1.0 MiB  no\n");
}

TEST(ShowRows, EscapesWhatATerminalWouldObey) {
  const auto shown = show_rows(R"([{"address":"\u001b]0;owned\u0007"}])", "", std::span(kColumns).first(1));
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->find('\x1b'), std::string::npos);
  EXPECT_EQ(shown->find('\x07'), std::string::npos);
  EXPECT_NE(shown->find("\\x1b]0;owned\\x07"), std::string::npos);
}

TEST(ShowRows, SaysNoneAndShowsAbsentValuesAsADash) {
  EXPECT_EQ(show_rows(R"({"accounts":[]})", "accounts", kColumns).value_or(""), "none\n");
  EXPECT_EQ(show_rows(R"([{}])", "", std::span(kColumns).first(1)).value_or(""), "ADDRESS\n-\n");
}

TEST(ShowRows, RefusesAnotherShape) {
  for (const char* answer : {"", "{", "{}", "1", R"({"accounts":{}})", R"({"accounts":[1]})"})
    EXPECT_FALSE(show_rows(answer, "accounts", kColumns)) << answer;
}

TEST(ShowRows, SaysWhereAQueuedMessageGoes) {
  constexpr Column kDeliveries[] = {{"deliveries", "DELIVERIES", Shown::deliveries}};
  EXPECT_EQ(show_rows(R"([{"deliveries":[{"destination":"local","state":"ready","attempts":0},{"destination":"example.net","state":"deferred","attempts":3}]}])",
                      "", kDeliveries)
                .value_or(""),
            "DELIVERIES\nlocal ready, example.net deferred (3 tried)\n");
}

TEST(ShowRows, PutsTheElementsOfALongListBelowEachOther) {
  constexpr Column kLines[] = {{"name", "NAME"}, {"missing", "MISSING", Shown::lines}};
  EXPECT_EQ(show_rows(R"([{"name":"a","missing":["one","two"]},{"name":"bb","missing":[]}])", "", kLines).value_or(""),
            "NAME  MISSING\na     one\n      two\nbb    -\n");
}

TEST(ShowTree, IndentsAndKnowsTimesAndSizesByTheirKey) {
  EXPECT_EQ(show_tree(R"({"id":"x","received":1700000000,"size":2048,"recipients":[{"recipient":"a@b","tls":true}],"sets":[],"field":"a;\r\n\tb"})").value_or(""),
            "field:\n  a;\n  b\nid: x\nreceived: 2023-11-14 22:13:20\nrecipients:\n  -:\n    recipient: a@b\n    tls: yes\nsets: none\nsize: 2.0 KiB\n");
}

TEST(ShowTree, DoesNotRecurseIntoADeepAnswer) {
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "{\"a\":";
  deep += "1" + std::string(5000, '}');
  const auto shown = show_tree(deep);
  ASSERT_TRUE(shown);
  EXPECT_LT(shown->size(), 10'000U);
  EXPECT_NE(shown->find("deeper than is shown"), std::string::npos);
}

TEST(ShowText, CountsAsPeopleDo) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1024), "1.0 KiB");
  EXPECT_EQ(size_text(UINT64_MAX), "16777216.0 TiB");
  EXPECT_EQ(time_text(0), "-");
  EXPECT_EQ(time_text(-5), "-");
  EXPECT_EQ(time_text(INT64_MAX), "-");
  EXPECT_EQ(age_text(59), "59s");
  EXPECT_EQ(age_text(3599), "59m 59s");
  EXPECT_EQ(age_text(3600), "1h 0m");
  EXPECT_EQ(age_text(90000), "1d 1h");
}

TEST(Pages, AreJoinedUntilTheLast) {
  const char* first = R"({"accounts":[{"address":"a"}],"more":true,"next":"a"})";
  const char* last = R"({"accounts":[{"address":"b"}],"more":false})";
  EXPECT_EQ(next_page(first), "a");
  EXPECT_EQ(next_page(last), "");
  const auto joined = join_pages(first, last, "accounts");
  ASSERT_TRUE(joined);
  EXPECT_EQ(*joined, R"({"accounts":[{"address":"a"},{"address":"b"}],"more":false})");
  EXPECT_EQ(next_page(*joined), "");
  EXPECT_FALSE(join_pages(first, "{}", "accounts"));
}

TEST(Audit, IsCleanOnlyWhereItSaysSo) {
  EXPECT_TRUE(says_no(R"({"clean":false})", "clean"));
  EXPECT_FALSE(says_no(R"({"clean":true})", "clean"));
}

}  // namespace
}  // namespace postern::posternctl
