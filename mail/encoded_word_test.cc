#include "mail/encoded_word.h"

#include <gtest/gtest.h>

#include <random>

#include "base/text.h"
#include "mail/limits.h"
#include "mail/transfer.h"

namespace postern::mail {
namespace {

struct WordCase {
  const char* value;
  const char* expected;
};

TEST(EncodedWord, DecodesAsRfc2047Says) {
  const WordCase cases[] = {
      // RFC 2047 §8
      {"=?ISO-8859-1?Q?a?=", "a"},
      {"=?ISO-8859-1?Q?a?= b", "a b"},
      {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
      {"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"},
      {"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"},
      {"=?ISO-8859-1?Q?a_b?=", "a b"},
      {"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"},
      {"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
      {"=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xc3\xa9 Pirard"},
      {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
       "If you can read this you understand the example."},
      {"=?utf-8*de?q?M=C3=BCller?=", "M\xc3\xbcller"},                        // RFC 2231 §5
      {"=?utf-8?b?w7w=?=  and =?utf-8?b?w7w=?=", "\xc3\xbc  and \xc3\xbc"},
      {"=?utf-8?b?ww==?= =?utf-8?b?vA==?=", "\xc3\xbc"},                      // a character split over two words
      {"=?iso-2022-jp?b?GyRCJCIbKEI=?=", "\xe3\x81\x82"},
      {"=?gb2312?b?xOO6ww==?=", "\xe4\xbd\xa0\xe5\xa5\xbd"},
      {"=?koi8-r?b?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"},
      {"plain text", "plain text"},
      {"M\xc3\xbcller", "M\xc3\xbcller"},
      {"M\xfcller", "M\xc3\xbcller"},                                          // raw bytes: read as windows-1252
      {"folded\r\n  twice\r\n\tthree", "folded  twice three"},
      {"=?nonsense?q?a=C3=BC?=", "a\xc3\xbc"},                               // unknown charset: the bytes tell
      {"=?utf-8?q?a=0D=0ABcc:_x?=", "a  Bcc: x"},                            // no way to a second line
      {"=?utf-8?q?a=00b=1B[31m?=", "a b [31m"},
      // Not encoded words: left alone.
      {"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
      {"=?utf-8?q?abc", "=?utf-8?q?abc"},
      {"=??q?abc?=", "=??q?abc?="},
      {"=?utf-8?q", "=?utf-8?q"},
      {"=?", "=?"},
      {"a =? b ?= c", "a =? b ?= c"},
      {"", ""},
  };
  Charsets charsets;
  for (const auto& c : cases) EXPECT_EQ(decode_words(c.value, charsets), c.expected) << c.value;
}

TEST(EncodedWord, EncodesWithinItsLengthAndComesBack) {
  Charsets charsets;
  std::mt19937 random(7);
  const std::string alphabet[] = {"a", " ", "=", "?", "_", "\xc3\xbc", "\xe4\xbd\xa0", "\xf0\x9f\x98\x80", "\"", ",", "."};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (auto n = random() % 120; n > 0; --n) text += alphabet[random() % std::size(alphabet)];
    std::string joined;
    for (const auto& word : encode_words(text)) {
      EXPECT_LE(word.size(), kEncodedWordCharacters);
      EXPECT_TRUE(text::is_ascii(word));
      EXPECT_EQ(word.find_first_of(" \r\n\t"), std::string::npos);
      joined += (joined.empty() ? "" : "\r\n ") + word;
    }
    EXPECT_EQ(decode_words(joined, charsets), text);
  }
}

TEST(EncodedWord, LongWordsAndManyOpenOnesCostLittle) {
  Charsets charsets;
  const std::string head = "=?us-ascii?q?";
  const std::string fits = head + std::string(limits::kEncodedWordBytes - head.size() - 2, 'x') + "?=";
  EXPECT_EQ(decode_words(fits, charsets), std::string(limits::kEncodedWordBytes - head.size() - 2, 'x'));
  const std::string over = head + std::string(limits::kEncodedWordBytes - head.size() - 1, 'x') + "?=";
  EXPECT_EQ(decode_words(over, charsets), over);
  std::string open;
  while (open.size() < limits::kHeaderFieldBytes) open += "=?a?q?x ";
  const auto start = std::clock();
  EXPECT_EQ(decode_words(open, charsets), text::trim(open));
  EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC);
}

TEST(Charset, PreloadedKnowsTheSameAndNothingElse) {
  Charsets loaded(Charsets::Load::now), lazy;
  for (const char* name : {"UTF-8", "us-ascii", "iso-8859-15", "Windows-1251", "shift_jis", "big5", "euc-kr"}) {
    EXPECT_TRUE(loaded.knows(name)) << name;
    EXPECT_TRUE(lazy.knows(name)) << name;
  }
  for (const char* name : {"", "x", "iso-2022-cn-ext", "UTF-8//TRANSLIT", "../gconv"}) EXPECT_FALSE(loaded.knows(name)) << name;
  EXPECT_EQ(lazy.to_utf8("\x82\xa0", "Shift_JIS"), "\xe3\x81\x82");
  EXPECT_EQ(lazy.to_utf8("a\xff" "b", "utf-8"), "a\xef\xbf\xbd" "b");
  EXPECT_EQ(lazy.to_utf8("\x1b$B", "iso-2022-jp"), "");                      // an escape and nothing after
  EXPECT_TRUE(text::is_utf8(lazy.to_utf8("\xff\xff\x80", "euc-jp")));
}

TEST(Transfer, Base64ForgivesWhatMailersDo) {
  const WordCase cases[] = {{"YWJj", "abc"}, {"YWI=", "ab"}, {"YQ==", "a"}, {"YQ", "a"}, {"Y W\r\nJj", "abc"}, {"Y*W%Jj", "abc"},
                            {"YQ==YWJj", "a"}, {"", ""}, {"=", ""}, {"=YWJj", "abc"}, {"Y", ""}};
  for (const auto& c : cases) EXPECT_EQ(decode_base64(c.value), c.expected) << c.value;
}

TEST(Transfer, QuotedPrintableForgivesWhatMailersDo) {
  const WordCase cases[] = {{"a=3Db", "a=b"}, {"a=3db", "a=b"}, {"a=\r\nb", "ab"}, {"a= \t\r\nb", "ab"}, {"a=\nb", "ab"},
                            {"a  \r\nb", "a\r\nb"}, {"a=20\r\nb", "a \r\nb"}, {"a=ZZ", "a=ZZ"}, {"a=", "a"}, {"a=4", "a=4"}, {"a ", "a"}};
  for (const auto& c : cases) EXPECT_EQ(decode_quoted_printable(c.value), c.expected) << c.value;
}

TEST(Transfer, QuotedPrintableComesBackInShortLines) {
  std::mt19937 random(9);
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (auto n = random() % 400; n > 0; --n) {
      static constexpr std::string_view kBytes = "aaaaaaFrom .= \t\xc3\xbc\x01";
      text += random() % 40 == 0 ? std::string("\r\n") : std::string(1, kBytes[random() % kBytes.size()]);
    }
    const auto encoded = encode_quoted_printable(text);
    EXPECT_EQ(decode_quoted_printable(encoded), text);
    std::size_t start = 0;
    while (start < encoded.size()) {
      auto end = encoded.find("\r\n", start);
      if (end == std::string::npos) end = encoded.size();
      const auto line = encoded.substr(start, end - start);
      EXPECT_LE(line.size(), 76U);
      EXPECT_FALSE(line.starts_with("From ") || line.starts_with(".")) << line;
      EXPECT_FALSE(line.ends_with(' ')) << line;
      start = end + 2;
    }
  }
}

}  // namespace
}  // namespace postern::mail
