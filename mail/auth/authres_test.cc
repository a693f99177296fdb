#include "mail/auth/authres.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::authres {
namespace {

TEST(Authres, WritesWhatItReads) {
  const MethodResult results[] = {
      {"spf", "pass", "192.0.2.1 is allowed", "", {{"smtp", "mailfrom", "a@example.com"}}},
      {"dkim", "fail", "", "body hash did not verify", {{"header", "d", "example.com"}, {"header", "i", "@example.com"}, {"header", "b", "ab+/="}}},
      {"iprev", "pass", "", "", {{"policy", "iprev", "2001:db8::1"}}},
  };
  const std::string text = write("mx.example", results);
  EXPECT_EQ(text,
            "mx.example;\r\n\tspf=pass (192.0.2.1 is allowed) smtp.mailfrom=a@example.com;\r\n"
            "\tdkim=fail reason=\"body hash did not verify\" header.d=example.com\r\n\theader.i=@example.com header.b=\"ab+/=\";\r\n"
            "\tiprev=pass policy.iprev=\"2001:db8::1\"");
  const auto parsed = parse(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->authserv_id, "mx.example");
  ASSERT_EQ(parsed->results.size(), 3U);
  EXPECT_EQ(parsed->results[1].reason, "body hash did not verify");
  EXPECT_EQ(parsed->results[1].find("header", "b"), "ab+/=");
  EXPECT_EQ(parsed->results[2].find("policy", "iprev"), "2001:db8::1");
  EXPECT_EQ(write("mx.example", {}), "mx.example; none");
}

TEST(Authres, StrangersBytesStayInTheirPlace) {
  const std::string hostile[] = {"a\r\nBcc: x@y", "x; dkim=pass", "\"; dkim=pass header.d=\"x", "\\", "(", ")", "a) ; dkim=pass (", std::string("a\0b", 3), "\xff\xfe", "b\xc3\xbc" "cher@x",
                                 "", " ", "\"a b\"@example.com", std::string(5000, 'x'), std::string(200, '(')};
  for (const auto& bad : hostile) {
    const MethodResult result{"spf", "fail", bad, bad, {{"smtp", "mailfrom", bad}, {"b;ad", "x", "y"}}};
    const std::string text = write("mx.example", {&result, 1});
    const std::string field = "Authentication-Results: " + text + "\r\n";
    const auto block = parse_header(bytes_of(field));
    ASSERT_TRUE(block);
    EXPECT_EQ(block->fields.size(), 1U);
    const auto parsed = parse(text);
    ASSERT_TRUE(parsed) << text::printable(text, 9999) << parsed.error().message;
    ASSERT_EQ(parsed->results.size(), 1U) << text;
    EXPECT_EQ(parsed->results[0].method, "spf");
    EXPECT_EQ(parsed->results[0].properties.size(), 1U);
    for (auto line : text::split(text, '\n')) EXPECT_LE(line.size(), 998U);
  }
}

TEST(Authres, ReadsTheExamplesOfRfc8601) {
  const auto fancy = parse(" foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n      policy (A dot can go here) . (like that) expired\r\n"
                           "      (this surprised me) = (as I wasn't expecting it) 1362471462");  // B.7
  ASSERT_TRUE(fancy) << fancy.error().message;
  EXPECT_EQ(fancy->authserv_id, "foo.example.net");
  ASSERT_EQ(fancy->results.size(), 1U);
  EXPECT_EQ(fancy->results[0].result, "fail");
  EXPECT_EQ(fancy->results[0].find("policy", "expired"), "1362471462");
  EXPECT_TRUE(parse("example.org 1; none")->results.empty());  // B.2
  const auto several = parse("example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net");  // B.4
  ASSERT_EQ(several->results.size(), 2U);
  EXPECT_EQ(several->results[0].find("smtp", "auth"), "sender@example.net");
  for (const char* bad : {"", ";spf=pass", "x; spf", "x; spf=", "x; spf=pass smtp", "x; spf=pass (open", "x (open; spf=pass", "x; =pass", "\"open; spf=pass"}) EXPECT_FALSE(parse(bad)) << bad;
  std::string many = "x", properties = "x; spf=pass";
  for (std::size_t i = 0; i < limits::kAuthresResults; ++i) many += "; spf=pass";
  EXPECT_TRUE(parse(many));
  EXPECT_EQ(parse(many + "; spf=pass").error().code, "authres.too-many");
  for (std::size_t i = 0; i < limits::kAuthresProperties; ++i) properties += " a.b=c";
  EXPECT_TRUE(parse(properties));
  EXPECT_EQ(parse(properties + " a.b=c").error().code, "authres.too-many");
}

bool strips(const std::string& field, const char* id = "mx.test.invalid") {
  const auto block = parse_header(bytes_of(field));
  return !to_strip(*block, id).empty();
}

TEST(Authres, StripsTheVectorsAsTheySay) {  // tests/vectors/authres-strip
  std::ifstream file(POSTERN_SOURCE_DIR "/tests/vectors/authres-strip/cases.json");
  const auto vectors = nlohmann::json::parse(file);
  std::size_t judged = 0;
  for (const auto& one : vectors["cases"]) {
    if (one["strip"].is_null()) continue;
    ++judged;
    EXPECT_EQ(strips(one["field"].get<std::string>() + "\r\n\r\n", vectors["authserv_id"].get<std::string>().c_str()), one["strip"].get<bool>()) << one["name"];
  }
  EXPECT_GE(judged, 3U);
}

TEST(Authres, StripsWhateverClaimsToBeUs) {  // RFC 8601 §5
  const char* ours[] = {
      "mx.test.invalid; spf=pass", "MX.Test.INVALID; spf=pass", "mx.test.invalid 1; spf=pass", "mx.test.invalid", "mx.test.invalid;none", "\tmx.test.invalid\r\n\t; spf=pass",
      "\r\n mx.test.invalid; dkim=pass", "(c) mx.test.invalid (d); dkim=pass", "(a (b) c) mx.test.invalid;", "\"mx.test.invalid\"; dkim=pass", "\"mx.\\test.invalid\"; dkim=pass",
      "mx.test.invalid.; dkim=pass", "mx.test.invalid/1; dkim=pass", "mx.test.invalid(x); dkim=pass",
      // What cannot be read is not kept.
      "", ";", "(mx.test.invalid", "\"mx.test.invalid; dkim=pass", "\xff; dkim=pass",
  };
  for (const char* value : ours) {
    EXPECT_TRUE(strips(std::string("Authentication-Results:") + value + "\r\n\r\n")) << value;
    EXPECT_TRUE(strips(std::string("authentication-RESULTS : ") + value + "\r\n\r\n")) << value;
  }
  const char* others[] = {"mx.test.invalid.example; spf=pass", "x-mx.test.invalid; spf=pass", "sub.mx.test.invalid; spf=pass", "other.example (mx.test.invalid); spf=pass",
                          "\"other.example\"; reason=\"mx.test.invalid\""};
  for (const char* value : others) EXPECT_FALSE(strips(std::string("Authentication-Results: ") + value + "\r\n\r\n")) << value;
  EXPECT_TRUE(strips("Authentication-Results: b\xc3\xbc" "cher.example; spf=pass\r\n\r\n", "xn--bcher-kva.example"));
  EXPECT_FALSE(strips("ARC-Authentication-Results: i=1; mx.test.invalid; spf=pass\r\n\r\n"));
}

TEST(Authres, ForgedFieldsAreThoseOnlyWeMayAdd) {
  const std::string text = "Return-Path: <x@y>\r\nFrom: a@b\r\nX-Spam-Flag: NO\r\nAuthentication-Results: mx.example; spf=pass\r\nAuthentication-Results: other.example; spf=pass\r\nBIMI-Location: x\r\n\r\n";
  EXPECT_EQ(forged_fields(*parse_header(bytes_of(text)), "mx.example"), (std::vector<std::size_t>{0, 2, 3, 5}));
}

}  // namespace
}  // namespace postern::mail::authres
