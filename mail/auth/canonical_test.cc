#include "mail/auth/canonical.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace postern::mail::dkim {
namespace {

std::string field(Canon canon, std::string_view raw) {
  std::string out;
  append_canonical_field(canon, raw, out);
  return out;
}

std::string body(Canon canon, std::string_view text) {
  std::string out;
  canonical_body(canon, bytes_of(text), [&](std::string_view piece) { out += piece; });
  return out;
}

TEST(Canonical, ExampleOfRfc6376Section345) {
  EXPECT_EQ(field(Canon::relaxed, "A: X\r\n"), "a:X\r\n");
  EXPECT_EQ(field(Canon::relaxed, "B : Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
  EXPECT_EQ(field(Canon::simple, "B : Y\t\r\n\tZ  \r\n"), "B : Y\t\r\n\tZ  \r\n");
  const std::string_view text = " C \r\nD \t E\r\n\r\n\r\n";
  EXPECT_EQ(body(Canon::relaxed, text), " C\r\nD E\r\n");
  EXPECT_EQ(body(Canon::simple, text), " C \r\nD \t E\r\n");
}

TEST(Canonical, FieldEdges) {
  EXPECT_EQ(field(Canon::relaxed, "A:\r\n"), "a:\r\n");
  EXPECT_EQ(field(Canon::relaxed, "A:\r\n \r\n \r\n"), "a:\r\n");
  EXPECT_EQ(field(Canon::relaxed, "A:x\ry\r\n"), "a:x\ry\r\n");  // a bare CR is data
  EXPECT_EQ(field(Canon::relaxed, "A: x"), "a:x\r\n");          // the message was cut
  EXPECT_EQ(field(Canon::simple, "A: x"), "A: x\r\n");
}

TEST(Canonical, BodyEdges) {
  const struct {
    std::string_view in, simple, relaxed;
  } cases[] = {
      {"", "\r\n", ""},
      {"\r\n", "\r\n", ""},
      {"\r\n\r\n", "\r\n", ""},
      {" \t", " \t\r\n", ""},
      {" \r\n\t\r\n", " \r\n\t\r\n", ""},
      {"x", "x\r\n", "x\r\n"},
      {"x\r\n\r\n\r\ny\r\n\r\n", "x\r\n\r\n\r\ny\r\n", "x\r\n\r\n\r\ny\r\n"},
      {"a  b\tc \r\n", "a  b\tc \r\n", "a b c\r\n"},
      {"a\nb \n c\r\n", "a\nb \n c\r\n", "a\nb \n c\r\n"},  // a bare LF is data
      {"a\r\r\n", "a\r\r\n", "a\r\r\n"},
      {"a \r", "a \r\r\n", "a \r\r\n"},
      {"\n", "\n\r\n", "\n\r\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(testing::PrintToString(c.in));
    EXPECT_EQ(body(Canon::simple, c.in), c.simple);
    EXPECT_EQ(body(Canon::relaxed, c.in), c.relaxed);
  }
}

TEST(Canonical, LargeBodyIsTheSameAsItsLinesOneByOne) {
  std::string text, expected;
  for (int i = 0; i < 5000; ++i) {
    text += "line  of\tmany words \r\n" + std::string(static_cast<std::size_t>(i % 40), 'x') + "\r\n";
    expected += "line of many words\r\n" + std::string(static_cast<std::size_t>(i % 40), 'x') + "\r\n";
  }
  text += std::string(40'000, 'y') + "\r\n\r\n";  // a line longer than the buffer
  expected += std::string(40'000, 'y') + "\r\n";
  EXPECT_EQ(body(Canon::relaxed, text), expected);
}

TEST(Canonical, IsIdempotent) {
  std::mt19937 random(6376);
  const std::string_view alphabet[] = {"a", "B", " ", "  ", "\t", "\r\n", "\r\n\r\n", "\r", "\n", ":", "\r\n ", "\0"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto n = random() % 24; n > 0; --n) text += alphabet[random() % std::size(alphabet)];
    for (const Canon canon : {Canon::simple, Canon::relaxed}) {
      const std::string once = body(canon, text);
      ASSERT_EQ(body(canon, once), once) << testing::PrintToString(text);
      std::string folded = "Name: " + text;  // as in a message: a blank follows every CRLF of a field
      for (auto at = folded.find("\r\n"); at != std::string::npos; at = folded.find("\r\n", at + 2)) folded.insert(at + 2, " ");
      const std::string field_once = field(canon, folded);
      ASSERT_EQ(field(canon, field_once), field_once) << testing::PrintToString(folded);
    }
  }
}

TEST(Canonical, DigestsOfEveryLengthComeFromOneBody) {
  const std::string text = "Hello  World \r\n second\tline\r\n\r\n";
  BodyDigests digests(bytes_of(text));
  for (const Canon canon : {Canon::simple, Canon::relaxed}) {
    const std::string whole = body(canon, text);
    for (std::uint64_t length = 0; length <= whole.size() + 2; ++length) digests.want(canon, length);
    for (std::uint64_t length = 0; length <= whole.size() + 2; ++length) {
      const auto digest = digests.digest(canon, length);
      const auto part = std::string_view(whole).substr(0, static_cast<std::size_t>(length));
      EXPECT_EQ(digest.hash, crypto::sha256(bytes_of(part))) << length;
      EXPECT_EQ(digest.covered, part.size());
      EXPECT_EQ(digest.total, whole.size());
    }
    EXPECT_EQ(digests.digest(canon, std::nullopt).hash, crypto::sha256(bytes_of(whole)));
  }
}

// Source: mailgun/flanker, tests/fixtures/messages/dkim (see NOTICE.md there).
TEST(Canonical, FlankerCorpus) {
  namespace fs = std::filesystem;
  const auto read = [](const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  const fs::path folder = fs::path(POSTERN_SOURCE_DIR) / "tests/vectors/dkim-canon-flanker";
  int cases = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().stem() != "email") continue;
    std::string message;
    for (const char c : read(entry.path())) message += c == '\n' ? "\r\n" : std::string(1, c);
    const auto header = parse_header(bytes_of(message));
    ASSERT_TRUE(header.has_value());
    for (const Canon canon : {Canon::simple, Canon::relaxed}) {
      std::string out;
      for (const auto& f : header->fields) append_canonical_field(canon, f.raw, out);
      out += "\r\n" + body(canon, std::string_view(message).substr(header->body));
      const auto expected =
          folder / (std::string(name_of(canon)) + ".expected" + entry.path().extension().string());
      EXPECT_EQ(out, read(expected)) << expected;
    }
    ++cases;
  }
  EXPECT_GE(cases, 8);
}

}  // namespace
}  // namespace postern::mail::dkim
