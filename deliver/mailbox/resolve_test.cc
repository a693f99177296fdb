#include "deliver/mailbox/resolve.h"

#include <gmock/gmock.h>

#include "deliver/mailbox/test_support.h"

namespace postern::mailbox {
namespace {

/// "store a@x, relay b@y" or the refusal, for comparing.
std::string shown(const Resolution& found) {
  std::string text;
  for (const auto& route : found.routes) {
    const char* kind = route.kind == RouteKind::store ? "store " : route.kind == RouteKind::maildir ? "maildir " : route.kind == RouteKind::lmtp ? "lmtp " : "relay ";
    text += (text.empty() ? "" : ", ") + std::string(kind) + route.target;
  }
  if (!text.empty()) return text;
  switch (found.refusal) {
    case Refusal::none: return "none";
    case Refusal::not_ours: return "not ours";
    case Refusal::malformed: return "malformed";
    case Refusal::unknown: return "unknown";
    case Refusal::domain_disabled: return "domain disabled";
    case Refusal::account_disabled: return "account disabled";
    case Refusal::loop: return "loop";
  }
  return "?";
}

class Resolve : public testing::Test {
 protected:
  std::string to(std::string_view recipient, std::string_view plus = "+") {
    std::string text;
    const auto read = house_.database->read([&](Txn& txn) -> Result<void> {
      TRY_ASSIGN(const auto found, resolve(house_.directory, txn, recipient, plus));
      text = shown(found);
      return {};
    });
    return read ? text : read.error().message;
  }
  void alias(std::string_view address, std::vector<std::string> targets) {
    const auto added = house_.directory.add_alias(address, targets);
    ASSERT_TRUE(added) << added.error().message;
  }
  void domain(std::string_view name, const DomainChange& change) { ASSERT_TRUE(house_.directory.add_domain(name, change)); }
  House house_;
};

TEST_F(Resolve, AnswersAsTheTableSays) {
  house_.add_account("admin@example.org");
  house_.add_account("Anna.Maier@Example.ORG");
  house_.add_account("files@example.org", {.delivery = "maildir"});
  house_.add_account("gone@example.org", {.enabled = false});
  house_.add_account("b\xc3\xbc" "cher@example.org");
  alias("office@example.org", {"anna.maier@example.org", "Boss@Elsewhere.example"});
  alias("all@example.org", {"office@example.org", "files@example.org", "anna.maier@example.org"});
  alias("dead@example.org", {"nobody@example.org", "gone@example.org"});
  alias("half@example.org", {"nobody@example.org", "admin@example.org"});
  alias("info+spam@example.org", {"admin@example.org"});
  domain("b\xc3\xbc" "cher.example", {.catch_all = "admin@example.org"});
  domain("closed.example", {.enabled = false});
  domain("dovecot.example", {.delivery = "lmtp:dovecot", .lmtp_accept_all = true});
  domain("listed.example", {.delivery = "lmtp:dovecot"});
  house_.add_account("carl@listed.example");
  domain("post.example", {.postmaster = "files@example.org"});

  const struct {
    const char* recipient;
    const char* expected;
  } cases[] = {
      {"anna.maier@example.org", "store anna.maier@example.org"},
      {"ANNA.MAIER@EXAMPLE.ORG", "store anna.maier@example.org"},
      {"\"anna.maier\"@example.org", "store anna.maier@example.org"},            // quotes carry no meaning, RFC 5321 §4.1.2
      {"anna.maier+shop@example.org", "store anna.maier@example.org"},
      {"anna.maier+a+b@example.org", "store anna.maier@example.org"},
      {"+anna.maier@example.org", "unknown"},                                       // no account before the separator
      {"files@example.org", "maildir files@example.org"},
      {"b\xc3\xbc" "cher@example.org", "store b\xc3\xbc" "cher@example.org"},       // RFC 6531
      {"gone@example.org", "account disabled"},
      {"nobody@example.org", "unknown"},
      {"office@example.org", "store anna.maier@example.org, relay Boss@elsewhere.example"},
      {"office+x@example.org", "store anna.maier@example.org, relay Boss@elsewhere.example"},
      {"all@example.org", "maildir files@example.org, store anna.maier@example.org, relay Boss@elsewhere.example"},
      {"dead@example.org", "unknown"},
      {"half@example.org", "store admin@example.org"},
      {"info+spam@example.org", "store admin@example.org"},                        // the whole address comes before its base
      {"info@example.org", "unknown"},
      {"anyone@xn--bcher-kva.example", "store admin@example.org"},                 // catch-all, by the A-label …
      {"anyone@B\xc3\x9c" "CHER.example", "store admin@example.org"},               // … and by the U-label
      {"anyone@closed.example", "domain disabled"},
      {"Any.One+x@dovecot.example", "lmtp Any.One+x@dovecot.example"},
      {"carl@listed.example", "lmtp carl@listed.example"},
      {"carl+x@listed.example", "lmtp carl+x@listed.example"},
      {"other@listed.example", "unknown"},
      {"someone@elsewhere.example", "not ours"},
      {"someone@sub.example.org", "not ours"},
      {"someone@[127.0.0.1]", "not ours"},
      {"postmaster@example.org", "store admin@example.org"},                       // RFC 5321 §4.5.1: the oldest account
      {"Postmaster@EXAMPLE.org", "store admin@example.org"},
      {"postmaster", "store admin@example.org"},                                   // RFC 5321 §4.1.1.3
      {"postmaster@post.example", "maildir files@example.org"},
      {"postmaster@listed.example", "store admin@example.org"},
      {"", "malformed"},
      {"anna.maier", "malformed"},
      {"anna.maier@", "malformed"},
      {"@example.org", "malformed"},
      {"anna.maier@example.org\n", "malformed"},                                   // THREATS: newline in lookup protocols
      {"anna.maier\n@example.org", "malformed"},
      {"anna.maier@example.org|x", "malformed"},
      {"$(touch x)@example.org", "malformed"},                                     // THREATS: OpenSMTPD CVE-2020-7247
      {"; rm -rf /;@example.org", "malformed"},
      {"`id`@example.org", "unknown"},                                             // grammar allows it; it is data
      {"|id@example.org", "unknown"},
      {"\"; id\"@example.org", "unknown"},
      {"../../etc/passwd@example.org", "malformed"},
      {"\"../files\"@example.org", "unknown"},
  };
  for (const auto& c : cases) EXPECT_EQ(to(c.recipient), c.expected) << c.recipient;
  EXPECT_EQ(to(std::string("anna.maier\0@example.org", 23)), "malformed");
}

TEST_F(Resolve, PlusSeparatorCanBeAnotherOrNone) {
  house_.add_account("a@example.org");
  EXPECT_EQ(to("a-x@example.org", "-"), "store a@example.org");
  EXPECT_EQ(to("a+x@example.org", "-"), "unknown");
  EXPECT_EQ(to("a+x@example.org", ""), "unknown");
}

TEST_F(Resolve, LoopsEndAndAreNamed) {
  alias("a@example.org", {"b@example.org"});
  alias("b@example.org", {"a@example.org"});
  alias("self@example.org", {"self@example.org"});
  EXPECT_EQ(to("a@example.org"), "loop");
  EXPECT_EQ(to("self@example.org"), "loop");
  ASSERT_TRUE(house_.directory.set_domain("example.org", {.catch_all = "nowhere@example.org"}));
  EXPECT_EQ(to("x@example.org"), "loop");  // a catch-all that catches itself
}

TEST_F(Resolve, AliasesMayLeadOnToTheLimitAndNoFurther) {
  house_.add_account("end@example.org");
  // a0 → a1 → … → end: kAliasDepth steps from a0 for the chain of that length.
  for (std::size_t i = 0; i < limits::kAliasDepth; ++i)
    alias("a" + std::to_string(i) + "@example.org",
          {i + 1 == limits::kAliasDepth ? "end@example.org" : "a" + std::to_string(i + 1) + "@example.org"});
  alias("before@example.org", {"a0@example.org"});
  EXPECT_EQ(to("a0@example.org"), "store end@example.org");
  EXPECT_EQ(to("before@example.org"), "loop");
}

TEST_F(Resolve, OneRecipientBecomesAtMostTheLimitOfTargets) {
  std::vector<std::string> many;
  for (std::size_t i = 0; i < limits::kAliasTargets; ++i) many.push_back("u" + std::to_string(i) + "@elsewhere.example");
  alias("full@example.org", many);
  for (auto& address : many) address = "x" + address;
  alias("more@example.org", many);
  alias("both@example.org", {"full@example.org", "more@example.org"});
  const auto count = [&](std::string_view recipient) { return std::ranges::count(to(recipient), '@'); };
  EXPECT_EQ(count("full@example.org"), static_cast<long>(limits::kAliasTargets));
  EXPECT_EQ(count("both@example.org"), static_cast<long>(limits::kAliasTargets));
  many.push_back("one.more@elsewhere.example");
  EXPECT_FALSE(house_.directory.add_alias("toomany@example.org", many));
}

TEST_F(Resolve, AliasBombIsBounded) {  // each alias names the next level's hundred: 100^n without a bound
  for (int level = 0; level < 5; ++level) {
    std::vector<std::string> targets;
    for (int i = 0; i < 100; ++i) targets.push_back("l" + std::to_string(level + 1) + "n" + std::to_string(i) + "@example.org");
    for (int i = 0; i < 100; ++i) alias("l" + std::to_string(level) + "n" + std::to_string(i) + "@example.org", targets);
  }
  EXPECT_EQ(to("l0n0@example.org"), "loop");
}

TEST(Directory, SaysWhatIsWrong) {
  House house;
  house.add_account("a@example.org");
  const auto words = [](const Result<void>& result) { return result ? "done" : result.error().message; };
  auto& d = house.directory;
  using testing::HasSubstr;
  EXPECT_THAT(words(d.add_domain("no domain", {})), HasSubstr("\"no domain\" is not a domain name"));
  EXPECT_THAT(words(d.add_domain("[192.0.2.1]", {})), HasSubstr("is not a domain name"));
  EXPECT_THAT(words(d.add_domain("-a.example", {})), HasSubstr("is not a domain name"));
  EXPECT_THAT(words(d.add_domain("EXAMPLE.org", {})), HasSubstr("there already"));
  EXPECT_THAT(words(d.add_domain("x.example", {.delivery = "lmtp:cyrus"})), HasSubstr("names no server \"cyrus\""));
  EXPECT_THAT(words(d.add_domain("x.example", {.delivery = "pipe:/bin/sh"})), HasSubstr("neither store nor lmtp:NAME"));
  EXPECT_THAT(words(d.add_domain("x.example", {.catch_all = "x"})), HasSubstr("catch-all: \"x\" is not an address"));
  EXPECT_THAT(words(d.remove_domain("example.org")), HasSubstr("still has 1 accounts"));
  EXPECT_THAT(words(d.remove_domain("y.example")), HasSubstr("there is no domain \"y.example\""));
  EXPECT_THAT(words(d.add_account("a@example.org", {})), HasSubstr("is an account already"));
  EXPECT_THAT(words(d.add_account("a@other.example", {})), HasSubstr("is not one of ours"));
  EXPECT_THAT(words(d.add_account("b\x1b[2J@example.org", {})), HasSubstr("\\x1b"));  // escaped for the terminal
  EXPECT_THAT(words(d.add_alias("A@example.org", {"x@y.example"})), HasSubstr("is an account already"));
  EXPECT_THAT(words(d.add_alias("c@example.org", {})), HasSubstr("needs a target"));
  EXPECT_THAT(words(d.add_alias("c@example.org", {"|/bin/sh"})), HasSubstr("is not an address"));
  EXPECT_THAT(words(d.add_alias("c@example.org", {"/etc/passwd"})), HasSubstr("is not an address"));
  EXPECT_EQ(words(d.add_alias("c@example.org", {"a@example.org"})), "done");
  EXPECT_EQ(words(d.remove_alias("c@example.org")), "done");
  EXPECT_EQ(words(d.remove_account("a@example.org")), "done");
  EXPECT_EQ(words(d.remove_domain("example.org")), "done");
}

TEST(Directory, MaildirFoldersAreOneComponentAndNobodysElse) {
  House house;
  auto& d = house.directory;
  for (const char* bad : {"../x", "a/b", ".", "..", ".hidden", "a b", "-rf", "a\n", "a|b"})
    EXPECT_FALSE(d.add_account("x@example.org", {.delivery = "maildir", .maildir_folder = bad})) << bad;
  ASSERT_TRUE(d.add_account("x@example.org", {.delivery = "maildir", .maildir_folder = "shared"}));
  EXPECT_FALSE(d.add_account("y@example.org", {.delivery = "maildir", .maildir_folder = "shared"}));
  EXPECT_FALSE(d.add_account("y@example.org", {.delivery = "maildir", .maildir_folder = "SHARED"}));
  // The default follows from the address and can be no path.
  ASSERT_TRUE(d.add_account("\"../../etc\"@example.org", {.delivery = "maildir"}));
  const auto folder = d.account("\"../../etc\"@example.org").value().record.maildir_folder;
  EXPECT_EQ(folder.find('/'), std::string::npos);
  EXPECT_NE(folder.front(), '.');
}

TEST(Directory, DefaultMaildirNamesDifferForDifferentAddresses) {
  EXPECT_EQ(maildir_name_for("anna.maier@example.org"), "anna.maier@example.org");
  EXPECT_EQ(maildir_name_for("a/b@example.org"), "a%2fb@example.org");
  EXPECT_NE(maildir_name_for("a/b@example.org"), maildir_name_for("a%2fb@example.org"));
  EXPECT_EQ(maildir_name_for(".a@example.org").front(), '%');
  EXPECT_LE(maildir_name_for(std::string(64, '/') + "@" + std::string(180, 'x')).size(), limits::kMaildirNameBytes);
}

}  // namespace
}  // namespace postern::mailbox
