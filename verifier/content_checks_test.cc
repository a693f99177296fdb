#include "verifier/content_checks.h"

#include <gtest/gtest.h>

namespace postern::verifier {
namespace {

struct Case {
  const char* what;
  std::string message;
  bool from_outside;
  unsigned code;
};

class Structure : public testing::TestWithParam<Case> {};

TEST_P(Structure, IsAnsweredByItsRule) {
  const Case& c = GetParam();
  const ByteView bytes = bytes_of(c.message);
  const auto header = mail::parse_header(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(check_structure(bytes, *header, c.from_outside).code, c.code) << c.what;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, Structure,
    testing::Values(Case{"one author", "From: a@b.example\r\n\r\nhi\r\n", true, 250}, Case{"no author", "To: a@b.example\r\n\r\nhi\r\n", true, 550},
                    Case{"two authors", "From: a@b.example\r\nFrom: c@d.example\r\n\r\nhi\r\n", true, 550},
                    Case{"two authors, other case", "From: a@b.example\r\nfROM: c@d.example\r\n\r\nhi\r\n", true, 550},
                    Case{"a From in the body counts not", "From: a@b.example\r\n\r\nFrom: c@d.example\r\n", true, 250},
                    Case{"our own people's mail is mended later", "To: a@b.example\r\n\r\nhi\r\n", false, 250},
                    Case{"NUL in the body", std::string("From: a@b.example\r\n\r\nh\0i\r\n", 27), true, 554},
                    Case{"NUL from our own people", std::string("From: a@b.example\r\n\r\nh\0i\r\n", 27), false, 554}));

TEST(Cuts, LeaveOutForgedFieldsAndNothingElse) {
  const std::string message =
      "Received: from x\r\nAuthentication-Results: mx.ours.example;\r\n spf=pass\r\nAuthentication-Results: other.example; spf=pass\r\n"
      "Return-Path: <a@b.example>\r\nSubject: x\r\n\r\nAuthentication-Results: mx.ours.example; in the body\r\n";
  const auto header = mail::parse_header(bytes_of(message));
  ASSERT_TRUE(header);
  const auto cuts = cuts_of(bytes_of(message), *header, "mx.ours.example");
  std::string left;
  std::size_t at = 0;
  for (const auto& cut : cuts) {
    ASSERT_GE(cut.offset, at);
    left += message.substr(at, cut.offset - at);
    at = cut.offset + cut.length;
  }
  left += message.substr(at);
  EXPECT_EQ(left,
            "Received: from x\r\nAuthentication-Results: other.example; spf=pass\r\nSubject: x\r\n\r\n"
            "Authentication-Results: mx.ours.example; in the body\r\n");
}

}  // namespace
}  // namespace postern::verifier
