#include "mail/lex.h"

#include <gtest/gtest.h>

#include "mail/limits.h"

namespace postern::mail::lex {
namespace {

TEST(Lex, CfwsPassesNestedCommentsAndFolding) {
  Cursor cursor("\r\n (a (b \\) c) d)\t(e)x");
  EXPECT_TRUE(cursor.skip_cfws());
  EXPECT_EQ(cursor.rest(), "x");
}

TEST(Lex, CfwsRefusesCommentThatDoesNotEnd) {
  for (const char* text : {"(a", "((a)", "(a\\)", "(\\"}) {
    SCOPED_TRACE(text);
    EXPECT_FALSE(Cursor(text).skip_cfws());
  }
}

TEST(Lex, CommentDepthIsBounded) {
  const auto nested = [](std::size_t n) { return std::string(n, '(') + std::string(n, ')') + "x"; };
  const std::string at = nested(limits::kCommentDepth), past = nested(limits::kCommentDepth + 1);
  EXPECT_TRUE(Cursor(at).skip_cfws());
  EXPECT_FALSE(Cursor(past).skip_cfws());
}

TEST(Lex, DotAtomHasNoDotAtItsEnds) {
  const struct {
    const char* text;
    const char* atom;
  } cases[] = {{"a.b c", "a.b"}, {".a", ""}, {"a.", ""}, {"a..b", ""}, {"", ""}, {"(c)a", ""}, {"b\xc3\xa9.de@x", "b\xc3\xa9.de"}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Cursor cursor(c.text);
    EXPECT_EQ(cursor.dot_atom(), c.atom);
    EXPECT_EQ(cursor.at(), std::string_view(c.atom).size());
  }
}

TEST(Lex, QuotedStringIsUnquoted) {
  Cursor cursor("\"a \\\"b\\\\ \r\n c\" rest");
  EXPECT_EQ(cursor.quoted_string(), "a \"b\\  c");
  EXPECT_EQ(cursor.rest(), " rest");
  Cursor open("\"a");
  EXPECT_EQ(open.quoted_string(), std::nullopt);
  EXPECT_EQ(open.at(), 0U);
  Cursor pair("\"a\\\"");
  EXPECT_EQ(pair.quoted_string(), std::nullopt);
}

TEST(Lex, TokenStopsAtSpecials) {
  Cursor cursor("x-a/b");
  EXPECT_EQ(cursor.token(), "x-a");
  EXPECT_TRUE(cursor.take('/'));
  EXPECT_EQ(cursor.until(";"), "b");
  EXPECT_TRUE(cursor.done());
  EXPECT_EQ(cursor.peek(), '\0');
}

}  // namespace
}  // namespace postern::mail::lex
