#include "deliver/mailbox/admin.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "deliver/mailbox/mbox.h"
#include "deliver/mailbox/password.h"
#include "deliver/mailbox/test_support.h"
#include "io/timer.h"

namespace postern::mailbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class AdminTest : public testing::Test {
 protected:
  AdminTest() { EXPECT_TRUE(loop_.start_threads(2)); }
  /// The JSON of the command's answer, or its error.
  std::string ask(const std::string& command, const std::vector<privsep::KeyValue>& arguments, std::string* raw = nullptr) {
    const privsep::AdminRequest request{1000, command, arguments};
    std::string text;
    bool answered = false, waiting = false;
    admin_.run(request, [&](Result<AdminResult> result) {
      text = result ? result->json : "error: " + result.error().message;
      if (raw != nullptr && result && result->descriptor) {
        raw->resize(1'000'000);
        raw->resize(static_cast<std::size_t>(::pread(result->descriptor.get(), raw->data(), raw->size(), 0)));
      }
      answered = true;
      if (waiting) loop_.stop();
    });
    if (!answered) {
      waiting = true;
      io::Timer guard(loop_);
      guard.start(std::chrono::seconds(20), [&] { loop_.stop(); });
      loop_.run();
    }
    return text;
  }
  void append(const Account& account, std::string_view text, std::int64_t second) {
    Incoming message;
    message.account = account.record.id;
    message.bytes = message_of(text);
    message.received = WallTime(std::chrono::seconds(second));
    ASSERT_TRUE(house_.store.append(message, Flags{}));
  }
  House house_;
  io::Loop loop_;
  crypto::SystemEntropy entropy_;
  std::string logged_;
  Log log_{[this](Severity, std::string_view line) { logged_ += std::string(line) + "\n"; }, Severity::debug};
  Admin admin_{Admin::Parts{loop_, house_.directory, house_.store, entropy_, log_}};
};

TEST_F(AdminTest, DomainsAccountsAndAliasesCanBeMadeShownAndRemoved) {
  EXPECT_THAT(ask("domain add", {{"domain", "B\xc3\xbc" "cher.example"}, {"catch-all", "x@example.org"}}), HasSubstr("xn--bcher-kva.example"));
  const json domains = json::parse(ask("domain list", {}));
  EXPECT_EQ(domains["domains"].size(), 2U);
  EXPECT_THAT(ask("account add", {{"address", "a@example.org"}, {"quota", "2MiB"}, {"password", "correct horse"}}), HasSubstr("\"quota\":2097152"));
  EXPECT_TRUE(verify_password(Secret("correct horse"), house_.directory.account("a@example.org").value().record.password_hash).value());
  EXPECT_THAT(ask("account password", {{"address", "a@example.org"}, {"password", "battery staple"}}), HasSubstr("\"has_password\":true"));
  EXPECT_TRUE(verify_password(Secret("battery staple"), house_.directory.account("a@example.org").value().record.password_hash).value());
  EXPECT_THAT(ask("account quota", {{"address", "a@example.org"}, {"quota", "none"}}), HasSubstr("\"quota\":0"));
  EXPECT_THAT(ask("alias add", {{"address", "b@example.org"}, {"target", "a@example.org"}, {"target", "c@elsewhere.example"}}),
              HasSubstr("c@elsewhere.example"));
  EXPECT_EQ(json::parse(ask("alias list", {}))["aliases"][0]["targets"].size(), 2U);
  const json page = json::parse(ask("account list", {{"limit", "1"}}));
  EXPECT_EQ(page["next"], "a@example.org");
  EXPECT_EQ(json::parse(ask("account list", {{"after", "a@example.org"}}))["accounts"].size(), 0U);
  EXPECT_THAT(ask("alias remove", {{"address", "b@example.org"}}), Not(HasSubstr("error")));
  EXPECT_THAT(ask("account remove", {{"address", "a@example.org"}}), Not(HasSubstr("error")));
}

TEST_F(AdminTest, NoPasswordIsLoggedOrShown) {
  (void)ask("account add", {{"address", "a@example.org"}, {"password", "correct horse"}});
  (void)ask("account add", {{"address", "b@example.org"}, {"password", "short"}});
  (void)ask("account password", {{"address", "nobody@example.org"}, {"password", "correct horse"}});
  EXPECT_THAT(logged_, HasSubstr("account add"));
  EXPECT_THAT(logged_, Not(HasSubstr("horse")));
  EXPECT_THAT(logged_, Not(HasSubstr("short")));
  EXPECT_THAT(ask("account list", {}), Not(HasSubstr("argon2")));
}

TEST_F(AdminTest, ErrorsNameTheArgument) {
  const struct {
    const char* command;
    std::vector<privsep::KeyValue> arguments;
    const char* expected;
  } cases[] = {
      {"reboot", {}, "knows no command \"reboot\""},
      {"domain add", {}, "domain add: domain is missing"},
      {"domain add", {{"domain", "no domain"}}, "domain add: \"no domain\" is not a domain name"},
      {"domain add", {{"domain", "x.example"}, {"colour", "red"}}, "no argument \"colour\""},
      {"domain add", {{"domain", "x.example"}, {"enabled", "maybe"}}, "enabled: \"maybe\" is not yes or no"},
      {"account add", {{"address", "a@example.org"}, {"quota", "-5"}}, "quota: \"-5\" is not a size"},
      {"account add", {{"address", "a@example.org"}, {"quota", "99999999999TiB"}}, "is not a size"},
      {"account add", {{"address", "a@example.org"}, {"password", "short"}}, "at least 8"},
      {"account add", {{"address", "a@example.org"}, {"password", "line\nend in it"}}, "no NUL and no line end"},
      {"account add", {{"address", "\x1b[31m@example.org"}}, "\\x1b"},
      {"account quota", {{"address", "a@example.org"}}, "quota is missing"},
      {"mail list", {{"address", "a@example.org"}}, "there is no account \"a@example.org\""},
      {"mail show", {{"address", "b@example.org"}, {"uid", "x"}}, "uid: \"x\" is not a number"},
      {"mail show", {{"address", "b@example.org"}, {"uid", "7"}}, "no such message"},
      {"mail list", {{"address", "b@example.org"}, {"folder", "Attic"}}, "no folder \"Attic\""},
      {"mail list", {{"address", "b@example.org"}, {"after", "1.2.3"}}, "after: \"1.2.3\""},
      {"mail flag", {{"address", "b@example.org"}, {"uid", "1"}, {"add", "purple"}}, "no such message"},
  };
  house_.add_account("b@example.org");
  for (const auto& c : cases) EXPECT_THAT(ask(c.command, c.arguments), HasSubstr(c.expected)) << c.command;
}

TEST_F(AdminTest, MailIsListedShownFlaggedMovedAndExported) {
  const auto account = house_.add_account("b@example.org");
  append(account, "From: x@y.example\r\nSubject: one\r\n\r\nHi\r\nFrom me\r\n>From you\r\n", 1'700'000'000);
  append(account, "From: z@y.example\r\nSubject: \xff" "two\r\n\r\n", 1'700'000'001);  // not UTF-8: the answer still is
  const json list = json::parse(ask("mail list", {{"address", "b@example.org"}, {"limit", "1"}}));
  ASSERT_EQ(list["messages"].size(), 1U);
  EXPECT_EQ(list["messages"][0]["uid"], 2);
  const json rest = json::parse(ask("mail list", {{"address", "b@example.org"}, {"after", list["next"]}}));
  ASSERT_EQ(rest["messages"].size(), 1U);
  EXPECT_EQ(rest["messages"][0]["subject"], "one");
  EXPECT_EQ(json::parse(ask("mail search", {{"address", "b@example.org"}, {"from", "Z@Y"}}))["messages"].size(), 1U);
  std::string raw;
  (void)ask("mail show", {{"address", "b@example.org"}, {"uid", "1"}}, &raw);
  EXPECT_EQ(raw, "From: x@y.example\r\nSubject: one\r\n\r\nHi\r\nFrom me\r\n>From you\r\n");
  EXPECT_THAT(ask("mail flag", {{"address", "b@example.org"}, {"uid", "1"}, {"add", "seen"}}), HasSubstr("[\"seen\"]"));
  std::string mbox;
  EXPECT_EQ(json::parse(ask("mail export", {{"address", "b@example.org"}}, &mbox))["messages"], 2);
  EXPECT_TRUE(mbox.starts_with("From MAILER-DAEMON Tue Nov 14 22:13:20 2023\nFrom: x@y.example\nSubject: one\n\nHi\n>From me\n>>From you\n\nFrom MAILER-DAEMON"));
  EXPECT_THAT(ask("mail move", {{"address", "b@example.org"}, {"uid", "1"}, {"to-folder", "trash"}}), HasSubstr("\"uid\":1"));
  const json folders = json::parse(ask("mail folders", {{"address", "b@example.org"}}));
  EXPECT_EQ(folders["folders"][4]["folder"], "Trash");
  EXPECT_EQ(folders["folders"][4]["messages"], 1);
  EXPECT_THAT(ask("mail remove", {{"address", "b@example.org"}, {"uid", "1"}, {"folder", "Trash"}}), HasSubstr("1"));
  EXPECT_THAT(ask("mail show", {{"address", "b@example.org"}, {"uid", "1"}, {"folder", "Trash"}}), HasSubstr("no such message"));
}

TEST_F(AdminTest, ALongListFitsTheFrameAndGoesOn) {
  std::vector<std::string> targets;
  for (int i = 0; i < 90; ++i)
    targets.push_back(std::string(55, 'b') + std::to_string(i) + "@" + std::string(60, 'c') + "." + std::string(60, 'd') + ".example");
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(house_.directory.add_alias("a" + std::to_string(100 + i) + "@example.org", targets));
  std::size_t seen = 0;
  std::string after;
  int pages = 0;
  for (; pages < 10; ++pages) {
    const std::string answer = ask("alias list", {{"after", after}});
    ASSERT_LE(answer.size(), privsep::kAdminBytes);
    const json page = json::parse(answer);
    seen += page["aliases"].size();
    if (!page["more"]) break;
    after = page["next"];
  }
  EXPECT_EQ(seen, 40U);
  EXPECT_GT(pages, 1);
}

TEST(Password, VerifiesItsOwnAndNothingElse) {
  crypto::SystemEntropy entropy;
  const PasswordCost cheap{8 * 1024, 1};
  const std::string hash = hash_password(Secret("correct horse"), entropy, cheap).value();
  EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=8192,t=1,p=1$"));
  EXPECT_TRUE(verify_password(Secret("correct horse"), hash).value());
  EXPECT_FALSE(verify_password(Secret("correct horsf"), hash).value());
  EXPECT_FALSE(verify_password(Secret(""), hash).value());
  EXPECT_NE(hash_password(Secret("correct horse"), entropy, cheap).value(), hash);  // salted
}

TEST(Password, CostsOutOfBoundsAreNotPaid) {
  for (const char* bad : {"", "x", "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$AAAA", "$argon2id$v=19$m=1024,t=1,p=1$c2FsdHNhbHQ$AAAA",
                          "$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHQ$AAAA", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$AAAA",
                          "$argon2i$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$AAAA", "$argon2id$v=19$m=65536,t=3,p=1$!$!", "$1$abc$def"})
    EXPECT_EQ(verify_password(Secret("x"), bad).error().code, "password.format") << bad;
}

}  // namespace
}  // namespace postern::mailbox
