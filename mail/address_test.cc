#include "mail/address.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "mail/idn.h"

namespace postern::mail {
namespace {

std::string x(std::size_t count) { return std::string(count, 'x'); }

TEST(Address, SmtpAcceptsAndRefusesAsIsemailSays) {  // tests/vectors/addresses-isemail
  std::ifstream file(POSTERN_SOURCE_DIR "/tests/vectors/addresses-isemail/cases.json");
  const auto cases = nlohmann::json::parse(file);
  ASSERT_GT(cases.size(), 50U);
  for (const auto& one : cases) {
    const std::string address = one["address"], category = one["category"];
    const bool smtp = category == "ISEMAIL_VALID_CATEGORY" || category == "ISEMAIL_DNSWARN" || category == "ISEMAIL_RFC5321";
    const auto parsed = parse_mailbox(address, Utf8::refused);
    EXPECT_EQ(parsed.has_value(), smtp) << address << " " << one["diagnosis"];
    EXPECT_EQ(parse_path("<" + address + ">", Utf8::refused).has_value(), smtp) << address;
    const auto list = parse_address_list(address);
    // We go further than RFC 5322 §4.1 allows: NUL and line ends behind a backslash, and controls in literals, are refused.
    const std::string diagnosis = one["diagnosis"];
    const bool stricter = diagnosis == "ISEMAIL_RFC5322_DOMLIT_OBSDTEXT" ||
                          (diagnosis == "ISEMAIL_DEPREC_QP" && address.find('\x7f') == std::string::npos);
    // RFC 6532 §3.2 adds UTF-8 to VCHAR, and so to what a backslash may quote; the vectors are older.
    const bool later = diagnosis == "ISEMAIL_ERR_EXPECTING_QPAIR" && address.find("\\\xc2") != std::string::npos;
    const bool header = (category != "ISEMAIL_ERR" && !stricter) || later;
    EXPECT_EQ(list.malformed == 0 && list.mailboxes.size() == 1, header) << address << " " << diagnosis;
  }
}

struct PathCase {
  const char* text;
  const char* local_part;
  const char* domain;
};

TEST(Address, PathsGiveTheirMeaning) {
  const PathCase cases[] = {
      {"<User@EXAMPLE.com>", "User", "example.com"},
      {"<@relay.example:user@example.com>", "user", "example.com"},                    // RFC 5321 Appendix C
      {"<@a.example,@b.example:user@example.com>", "user", "example.com"},
      {"<\"a b\"@example.com>", "a b", "example.com"},
      {"<\"user\"@example.com>", "user", "example.com"},                               // the same mailbox as user@
      {"<\"a\\\"b\\\\\"@example.com>", "a\"b\\", "example.com"},
      {"<\"@\"@example.com>", "@", "example.com"},
      {"<u@[192.0.2.1]>", "u", "[192.0.2.1]"},
      {"<u@[ipv6:2001:DB8:0::1]>", "u", "[IPv6:2001:db8::1]"},
      {"<b\xc3\xbc" "cher@b\xc3\xbc" "cher.example>", "b\xc3\xbc" "cher", "xn--bcher-kva.example"},  // RFC 6531
      {"<u@B\xc3\x9c" "CHER.example>", "u", "xn--bcher-kva.example"},
  };
  for (const auto& c : cases) {
    const auto mailbox = parse_path(c.text, Utf8::allowed);
    ASSERT_TRUE(mailbox) << c.text << " " << mailbox.error().message;
    EXPECT_EQ(mailbox->local_part, c.local_part) << c.text;
    EXPECT_EQ(mailbox->domain, c.domain) << c.text;
    EXPECT_EQ(*parse_mailbox(mailbox->to_string(), Utf8::allowed), *mailbox) << c.text;
  }
}

TEST(Address, RefusesWhatIsNoPath) {
  const std::string cases[] = {
      "", "<", ">", "<>x", "user@example.com", "<user@example.com", "user@example.com>", "<user>", "<@example.com>", "<user@>",
      "<user@example..com>", "<user@.com>", "<user@com.>", "<user@-a.com>", "<user@a-.com>", "<user@a_b.com>", "<a@b@c.com>",
      "<user@example.com>>", "<<user@example.com>", "< user@example.com>", "<user@example.com >", "<us er@example.com>",
      "<.user@example.com>", "<user.@example.com>", "<us..er@example.com>", "<\"user@example.com>", "<\"us\"er@example.com>",
      "<@a.example user@example.com>", "<@a.example,user@example.com>", "<@a.example,:user@example.com>", "<@:user@example.com>",
      "<user@[192.0.2]>", "<user@[192.0.2.256]>", "<user@[01.2.3.4]>", "<user@[2001:db8::1]>", "<user@[IPv6:192.0.2.1]>",
      "<user@[IPv6:fe80::1%eth0]>", "<user@[x-tag:abc]>", "<user@[192.0.2.1]x>", "<user@[]>", "<user@[>",
      // What has reached a shell or a log elsewhere (CVE-2020-7247 class).
      "<;id;@example.com>", "<a;b@example.com>", "<$(id)@example.com>", "<a@example.com;id>", "<a@$(id).example>",
      "<a@|id>", "<a\n@example.com>", "<a@example.com\n>", "<\"a\nb\"@example.com>", "<\"a\r\nRCPT\"@example.com>",
      "<a@exa\nmple.com>", "<\"\\\n\"@example.com>", "<a b|c@example.com>", std::string("<a\0b@example.com>", 17),
      std::string("<\"a\0b\"@example.com>", 19), "<a@exam ple.com>", "<(c)a@example.com>",
  };
  for (const auto& text : cases) {
    EXPECT_FALSE(parse_path(text, Utf8::allowed)) << text;
    EXPECT_FALSE(parse_forward_path(text, Utf8::allowed)) << text;
    EXPECT_FALSE(parse_reverse_path(text, Utf8::allowed)) << text;
  }
}

TEST(Address, AtextThatLooksLikeShellStaysData) {  // RFC 5322 §3.2.3 has these characters in atext
  for (const char* local : {"|id", "`id`", "a|b", "$HOME", "{a,b}"}) {
    const std::string path = std::string("<") + quote_local_part(local) + "@example.com>";
    const auto mailbox = parse_path(path, Utf8::refused);
    ASSERT_TRUE(mailbox) << path;
    EXPECT_EQ(mailbox->local_part, local);
    EXPECT_EQ("<" + mailbox->to_string() + ">", path);
  }
}

TEST(Address, LimitsHoldAtAndPastThem) {
  EXPECT_TRUE(parse_mailbox(x(64) + "@example.com", Utf8::refused));
  EXPECT_EQ(parse_mailbox(x(65) + "@example.com", Utf8::refused).error().code, "address.too-long");
  EXPECT_TRUE(parse_mailbox("\"" + x(62) + "\"@example.com", Utf8::refused));
  EXPECT_FALSE(parse_mailbox("\"" + x(63) + "\"@example.com", Utf8::refused));
  EXPECT_TRUE(parse_mailbox("a@" + x(63) + ".com", Utf8::refused));
  EXPECT_FALSE(parse_mailbox("a@" + x(64) + ".com", Utf8::refused));
  const std::string long_domain = x(63) + "." + x(63) + "." + x(63);
  const std::string fits = x(62) + "@" + long_domain;
  ASSERT_EQ(fits.size(), limits::kMailboxBytes);
  EXPECT_TRUE(parse_path("<" + fits + ">", Utf8::refused));
  EXPECT_FALSE(parse_path("<x" + fits + ">", Utf8::refused));
  std::string route;
  while (route.size() + 40 < limits::kPathBytes) route += (route.empty() ? "@r.example" : ",@r.example");
  EXPECT_TRUE(parse_path("<" + route + ":a@b.example>", Utf8::refused));
  EXPECT_FALSE(parse_path("<" + route + ",@" + x(40) + ".example:a@b.example>", Utf8::refused));
}

TEST(Address, Utf8NeedsLeave) {
  EXPECT_EQ(parse_path("<\xc3\xbc@example.com>", Utf8::refused).error().code, "address.utf8");
  EXPECT_EQ(parse_path("<a@\xc3\xbc.example>", Utf8::refused).error().code, "address.utf8");
  EXPECT_FALSE(parse_path("<\xc3@example.com>", Utf8::allowed));       // not well-formed
  EXPECT_FALSE(parse_path("<\xed\xa0\x80@example.com>", Utf8::allowed));  // a surrogate
}

TEST(Address, NullPathAndPostmasterOnlyWhereTheyBelong) {
  ASSERT_TRUE(parse_reverse_path("<>", Utf8::refused));
  EXPECT_TRUE(parse_reverse_path("<>", Utf8::refused)->is_null());
  EXPECT_FALSE(parse_forward_path("<>", Utf8::refused));
  EXPECT_FALSE(parse_path("<>", Utf8::refused));
  EXPECT_EQ(parse_forward_path("<PostMaster>", Utf8::refused)->local_part, "postmaster");
  EXPECT_FALSE(parse_reverse_path("<postmaster>", Utf8::refused));
  EXPECT_FALSE(parse_forward_path("<root>", Utf8::refused));
}

struct ListCase {
  const char* value;
  std::vector<std::string> found;  // "display|address|group"
  std::size_t malformed;
};

TEST(AddressList, ReadsWhatPeopleWrite) {
  const ListCase cases[] = {
      {"a@b.example", {"|a@b.example|"}, 0},
      {"", {}, 0},
      {"John Q. Public <j@b.example>", {"John Q. Public|j@b.example|"}, 0},
      {"\"Doe, \\\"J\\\"\" <j@b.example>, k@c.example", {"Doe, \"J\"|j@b.example|", "|k@c.example|"}, 0},
      {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", {"Pete|pete@silly.test|"}, 0},      // RFC 5322 A.5
      {"A Group(Some people):Chris Jones <c@(Chris's host.)public.example>, joe@example.org,\r\n John <jdoe@one.test> (my dear friend); (the end)",
       {"Chris Jones|c@public.example|A Group", "|joe@example.org|A Group", "John|jdoe@one.test|A Group"}, 0},
      {"Undisclosed recipients:;", {}, 0},
      {"Joe Q. Public <john.q.public@example.com>, Mary Smith <@node.test:mary@example.net>, , jdoe@test . example",  // A.6.1
       {"Joe Q. Public|john.q.public@example.com|", "Mary Smith|mary@example.net|", "|jdoe@test.example|"}, 0},
      {"=?utf-8?q?a=40b=2Eexample?= <x@y.example>", {"=?utf-8?q?a=40b=2Eexample?=|x@y.example|"}, 0},
      {"a@good.example <b@evil.example>", {"a@good.example|b@evil.example|"}, 0},
      {"\"x@evil.example\"@b.example", {"|\"x@evil.example\"@b.example|"}, 0},
      {"x@b\xc3\xbc" "cher.example", {"|x@xn--bcher-kva.example|"}, 0},
      {"a@[1.2.3.4], b@[IPV6:::1]", {"|a@[1.2.3.4]|", "|b@[IPv6:::1]|"}, 0},
      {"A\r\n <a@b.example>", {"A|a@b.example|"}, 0},
      // Not of the grammar: counted, never guessed.
      {"a@b.example, c d, e@f.example", {"|a@b.example|", "|e@f.example|"}, 1},
      {"root", {}, 1},
      {"a@b.example>", {}, 1},
      {"<a@b.example> c", {}, 1},
      {"<a@b.example", {}, 1},
      {"a@b@c.example", {}, 1},
      {"a@b.example (open", {}, 1},
      {"\"open <a@b.example>", {}, 1},
      {"G: a@b.example", {"|a@b.example|G"}, 1},
      {"a@b.example;", {"|a@b.example|"}, 1},
      {"a@b.example\r\nc@d.example", {}, 1},
      {"<@a@b.example>", {}, 1},
      {"a@\xe2\x84\x80.example", {}, 1},  // U+2100 maps to "a/c"
      {"a@b.example)", {}, 1},
      {")a@b.example", {}, 1},
  };
  for (const auto& c : cases) {
    const auto list = parse_address_list(c.value);
    std::vector<std::string> found;
    for (const auto& named : list.mailboxes) found.push_back(named.display_name + "|" + named.mailbox.to_string() + "|" + named.group);
    EXPECT_EQ(found, c.found) << c.value;
    EXPECT_EQ(list.malformed, c.malformed) << c.value;
  }
}

TEST(AddressList, MailboxesAndNestingAreBounded) {
  std::string many;
  for (std::size_t i = 0; i <= limits::kHeaderMailboxes; ++i) many += "a@b,";
  EXPECT_EQ(parse_address_list(many).mailboxes.size(), limits::kHeaderMailboxes);
  EXPECT_EQ(parse_address_list(many).malformed, 1U);
  EXPECT_EQ(parse_address_list(std::string(100'000, '(') + "a@b").mailboxes.size(), 0U);
}

TEST(Idn, LabelsBothWays) {
  EXPECT_EQ(*idn::to_a_label("B\xc3\xbc" "cher.Example."), "xn--bcher-kva.example");
  EXPECT_EQ(*idn::to_a_label("fa\xc3\x9f.de"), "xn--fa-hia.de");  // non-transitional
  EXPECT_EQ(*idn::to_a_label("a\xe3\x80\x82" "example"), "a.example");  // the ideographic full stop
  EXPECT_EQ(*idn::to_a_label("_dmarc.example"), "_dmarc.example");
  EXPECT_EQ(idn::to_u_label("xn--bcher-kva.example"), "b\xc3\xbc" "cher.example");
  EXPECT_EQ(idn::to_u_label("xn--\x80"), "xn--\x80");
  for (const char* bad : {"", ".", "a..b", "\xef\xbc\xa0.example", "\xe2\x84\x80.example", "\xff.example"}) EXPECT_FALSE(idn::to_a_label(bad)) << bad;
  EXPECT_TRUE(idn::to_a_label(x(63) + ".x"));
  EXPECT_FALSE(idn::to_a_label(x(64) + ".x"));
}

}  // namespace
}  // namespace postern::mail
