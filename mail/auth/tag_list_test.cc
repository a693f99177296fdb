#include "mail/auth/tag_list.h"

#include <gtest/gtest.h>

#include "mail/limits.h"

namespace postern::mail {
namespace {

TEST(TagList, ValuesLoseOuterWhiteSpaceAndKeepInner) {
  const auto list = TagListView::parse(" v=1; h = from :\r\n to ;\r\n b=\tab\r\n cd ; x_1=\r\n");
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->find("v"), "1");
  EXPECT_EQ(list->find("h"), "from :\r\n to");
  EXPECT_EQ(list->find("b"), "ab\r\n cd");
  EXPECT_EQ(list->tag("b")->raw, "\tab\r\n cd ");
  EXPECT_EQ(list->find("x_1"), "");
  EXPECT_EQ(list->find("V"), std::nullopt);  // names are case-sensitive
  EXPECT_EQ(without_fws(*list->find("b")), "abcd");
  EXPECT_EQ(colon_list(*list->find("h")), (std::vector<std::string_view>{"from", "to"}));
}

TEST(TagList, FaultSpoilsTheWholeList) {
  using namespace std::string_view_literals;
  const struct {
    std::string_view text;
    std::string_view code;
  } cases[] = {
      {"a=1", "ok"},
      {"a=1;", "ok"},
      {"a=1; ", "ok"},
      {"a==;b=c=d", "ok"},
      {"a=\xc3\xa9", "ok"},
      {"", "tag_list.syntax"},
      {";", "tag_list.syntax"},
      {"a=1;;", "tag_list.syntax"},
      {"a=1;;b=2", "tag_list.syntax"},
      {"; a=1", "tag_list.syntax"},
      {"a", "tag_list.syntax"},
      {"a=1; b", "tag_list.syntax"},
      {"=1", "tag_list.syntax"},
      {"1a=1", "tag_list.syntax"},
      {"a b=1", "tag_list.syntax"},
      {"a-b=1", "tag_list.syntax"},
      {"a=\0x"sv, "tag_list.syntax"},
      {"a=x\x7f", "tag_list.syntax"},
      {"a=1; a=1", "tag_list.duplicate"},
      {"a=1; A=1", "ok"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto list = TagListView::parse(c.text);
    EXPECT_EQ(list ? "ok" : list.error().code, c.code);
  }
}

TEST(TagList, NumberOfTagsIsBounded) {
  std::string text = "t0=1";
  for (std::size_t i = 1; i < limits::kTagListTags; ++i) text += ";t" + std::to_string(i) + "=";
  EXPECT_TRUE(TagListView::parse(text).has_value());
  EXPECT_EQ(TagListView::parse(text + ";z=1").error().code, "tag_list.too_many");
}

}  // namespace
}  // namespace postern::mail
