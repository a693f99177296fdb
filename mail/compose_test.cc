#include "mail/compose.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "mail/encoded_word.h"
#include "mail/header.h"

namespace postern::mail::compose {
namespace {

class CountingEntropy final : public crypto::Entropy {
 public:
  void fill(std::span<std::byte> out) override {
    for (auto& byte : out) byte = static_cast<std::byte>(next_++);
  }

 private:
  unsigned next_ = 0;
};

TEST(Compose, WritesWhatReadsBack) {
  Charsets charsets;
  Header header;
  ASSERT_TRUE(header.add_text("Subject", "Gr\xc3\xbc\xc3\x9f" "e aus K\xc3\xb6ln"));
  const NamedMailbox people[] = {{"M\xc3\xbcller, Hans", {"hans", "example.com"}, ""}, {"John Q. Public", {"john q", "example.com"}, ""},
                                 {"", {"x", "[192.0.2.1]"}, ""}};
  ASSERT_TRUE(header.add_mailboxes("To", people));
  const mime::Parameter name[] = {{"filename", "\xc3\xbc\"b\\er.txt"}, {"size", "12"}, {"x", "a b"}};
  ASSERT_TRUE(header.add_parameterized("Content-Disposition", "attachment", name));
  const auto block = parse_header(bytes_of(header.text()));
  ASSERT_TRUE(block);
  ASSERT_EQ(block->fields.size(), 3U);
  EXPECT_EQ(decode_words(block->fields[0].value, charsets), "Gr\xc3\xbc\xc3\x9f" "e aus K\xc3\xb6ln");
  const auto list = parse_address_list(block->fields[1].value);
  ASSERT_EQ(list.mailboxes.size(), 3U);
  EXPECT_EQ(list.malformed, 0U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(decode_words(list.mailboxes[i].display_name, charsets), people[i].display_name);
    EXPECT_EQ(list.mailboxes[i].mailbox, people[i].mailbox);
  }
  const auto field = mime::parse_field(block->fields[2].value, charsets);
  EXPECT_EQ(field.value, "attachment");
  EXPECT_EQ(*field.find("filename"), name[0].value);
  EXPECT_EQ(*field.find("x"), "a b");
}

TEST(Compose, RefusesEveryControlInEveryPlace) {
  for (const std::string& bad : {std::string("a\r\nBcc: x@y"), std::string("a\nb"), std::string("a\rb"), std::string("a\0b", 3), std::string("a\x7f"), std::string("\x1b[0m")}) {
    Header header;
    EXPECT_EQ(header.add_text("Subject", bad).error().code, "compose.control");
    EXPECT_EQ(header.add_structured("X", bad).error().code, "compose.control");
    const NamedMailbox display{bad, {"a", "b.example"}, ""}, local{"", {bad, "b.example"}, ""}, domain{"", {"a", bad}, ""};
    for (const auto* named : {&display, &local, &domain}) EXPECT_FALSE(header.add_mailboxes("To", {named, 1}));
    const mime::Parameter value{"filename", bad}, name{bad, "x"};
    EXPECT_FALSE(header.add_parameterized("Content-Disposition", "attachment", {&value, 1}));
    EXPECT_FALSE(header.add_parameterized("Content-Disposition", "attachment", {&name, 1}));
    EXPECT_FALSE(header.add_parameterized("Content-Disposition", bad, {}));
    EXPECT_FALSE(header.add_text(bad, "x"));
    EXPECT_EQ(header.text(), "");
    EXPECT_FALSE(make_leaf({bad, "text", ""}));
    EXPECT_FALSE(make_leaf({"image/png", "x", bad}));
  }
  Header header;
  EXPECT_FALSE(header.add_text("Sub ject", "x"));
  EXPECT_FALSE(header.add_text("Subject:", "x"));
  EXPECT_FALSE(header.add_text("", "x"));
  EXPECT_EQ(header.add_text("Subject", "\xff").error().code, "compose.utf8");
}

TEST(Compose, NoInputYieldsAnExtraFieldOrAnOverlongLine) {  // THREATS: header injection
  std::mt19937 random(11);
  static const std::string kPieces[] = {"a", " ", "\t", "\r\n", "\n", "\r", std::string(1, '\0'), ":", "Bcc: x@y", "\"", "\\", "=?", "?=", "=?utf-8?q?=0D=0A?=",
                                        "\xc3\xbc", "\xf0\x9f\x98\x80", "\xff", ",", "<", ">", "(", ")", ";", "%0d%0a", "'", "*", std::string(90, 'x'), std::string(1100, 'y')};
  const auto any = [&] {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    return text;
  };
  std::size_t written = 0;
  for (int round = 0; round < 20'000; ++round) {
    Header header(Utf8::allowed);
    Result<void> done;
    const NamedMailbox named{any(), {any(), random() % 2 ? any() : "b.example"}, ""};
    const mime::Parameter parameter{random() % 2 ? any() : "filename", any()};
    switch (random() % 4) {
      case 0: done = header.add_text("Subject", any()); break;
      case 1: done = header.add_structured("Subject", any()); break;
      case 2: done = header.add_mailboxes("Subject", {&named, 1}); break;
      case 3: done = header.add_parameterized("Subject", "text/plain", {&parameter, 1}); break;
    }
    const auto block = parse_header(bytes_of(header.text()));
    ASSERT_TRUE(block);
    ASSERT_EQ(block->fields.size(), done ? 1U : 0U) << text::printable(header.text(), 2000);
    ASSERT_EQ(block->malformed, 0U);
    if (!done) continue;
    ++written;
    EXPECT_TRUE(block->fields[0].is("Subject"));
    EXPECT_FALSE(block->has_separator);
    for (auto line : text::split(header.text(), '\n')) {
      EXPECT_LE(line.size(), kLineMost + 1);
      EXPECT_TRUE(line.empty() || line.ends_with('\r'));
      EXPECT_FALSE(!line.empty() && text::trim(line).empty()) << "a line of blanks";
    }
  }
  EXPECT_GT(written, 2000U);
}

TEST(Compose, LongTextsFoldAtTheirBlanks) {
  Header header;
  std::string words;
  for (int i = 0; i < 60; ++i) words += (i ? " word" : "word") + std::to_string(i);
  ASSERT_TRUE(header.add_text("Subject", words));
  for (auto line : text::split(header.text(), '\n')) EXPECT_LE(line.size(), kLineWish + 1);
  EXPECT_EQ(unfold(parse_header(bytes_of(header.text()))->fields[0].value), words);
  EXPECT_EQ(Header{}.add_structured("X", std::string(kLineMost, 'x')).error().code, "compose.too-long");
}

TEST(Compose, DatesAndMessageIds) {
  using namespace std::chrono;
  EXPECT_EQ(format_date(WallTime{1'795'511'045s}), "Tue, 24 Nov 2026 09:04:05 +0000");
  EXPECT_EQ(format_date(WallTime{0s}), "Thu, 1 Jan 1970 00:00:00 +0000");
  CountingEntropy entropy;
  EXPECT_EQ(make_message_id(entropy, WallTime{1s}, "mx.example"), "<000102030405060708090a0b.1000@mx.example>");
}

TEST(Compose, MultipartsComeApartAgain) {
  Charsets charsets;
  CountingEntropy entropy;
  const auto text = make_leaf({"text/plain", "Gr\xc3\xbc\xc3\x9f" "e\n.\nFrom me\n", ""});
  const std::string binary("\x00\xff\r\n--x", 7);
  const auto file = make_leaf({"application/octet-stream", binary, "\xc3\xbc.bin"});
  const auto message = make_leaf({"message/rfc822", "Subject: inner\r\n\r\nhi\r\n", ""});
  ASSERT_TRUE(text && file && message);
  const std::string parts[] = {*text, *file, *message};
  const auto whole = make_multipart("mixed", parts, entropy);
  ASSERT_TRUE(whole);
  const auto tree = mime::parse(bytes_of(*whole), charsets);
  ASSERT_EQ(tree.parts.size(), 5U);
  EXPECT_TRUE(tree.problems.empty());
  EXPECT_EQ(mime::text_content(tree.parts[1], bytes_of(*whole), charsets), "Gr\xc3\xbc\xc3\x9f" "e\r\n.\r\nFrom me\r\n");
  EXPECT_EQ(mime::content(tree.parts[2], bytes_of(*whole)), binary);
  EXPECT_EQ(tree.parts[2].filename, "\xc3\xbc.bin");
  EXPECT_EQ(tree.parts[3].type.value, "message/rfc822");
  EXPECT_EQ(tree.parts[4].section, "3.1");
}

}  // namespace
}  // namespace postern::mail::compose
