#include "deliver/mailbox/deliveries.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "deliver/mailbox/test_support.h"
#include "io/memfd.h"
#include "io/timer.h"

namespace postern::mailbox {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

/// Everything behind the Service, with an LMTP "server" that is not there and a loop that runs until all is answered.
class DeliveriesTest : public testing::Test {
 protected:
  DeliveriesTest() {
    EXPECT_TRUE(loop_.start_threads(4));
    loop_.before_block([this] { deliveries_->flush(); });
    restart();
  }
  void restart() {
    deliveries_ = std::make_unique<Deliveries>(
        Deliveries::Parts{house_.directory, house_.store, &maildir_, lmtp_, metrics_, log_, house_.clock},
        Deliveries::Options{"mx.example", "+"});
  }
  privsep::LocalDelivery delivery(std::uint64_t number, std::vector<std::string> targets) {
    privsep::LocalDelivery d;
    d.spool_number = number;
    d.spool_epoch = 77;
    d.id = "id";
    d.reverse_path = "s@sender.example";
    d.targets = std::move(targets);
    d.content.prefix = "Received: here\r\n";
    d.content.size = body_.size();
    d.received = house_.clock.now();
    return d;
  }
  /// Delivers all in one turn of the loop; the reply codes of each.
  std::vector<std::vector<int>> run(const std::vector<privsep::LocalDelivery>& all) {
    std::vector<std::vector<int>> codes(all.size());
    const Fd body = io::sealed_memfd("body", bytes_of(body_)).value();
    std::size_t left = all.size();
    loop_.post([&] {
      for (std::size_t i = 0; i < all.size(); ++i)
        deliveries_->take(all[i], body, [&, i](const privsep::DeliveryResult& result) {
          for (const auto& outcome : result.outcomes) codes[i].push_back(outcome.reply.code);
          if (--left == 0) loop_.stop();
        });
    });
    io::Timer guard(loop_);
    guard.start(std::chrono::seconds(30), [&] { loop_.stop(); });
    loop_.run();
    EXPECT_EQ(left, 0U);
    return codes;
  }
  std::vector<int> run(const privsep::LocalDelivery& one) { return run(std::vector<privsep::LocalDelivery>{one})[0]; }
  std::size_t inbox(const Account& account, FolderId folder = FolderId::inbox) {
    return house_.store.list(account.record.id, folder, {}).value().messages.size();
  }
  std::size_t files(const std::string& maildir, const char* sub = "new") {
    const auto path = fs::path(root_.path()) / maildir / sub;
    return fs::exists(path) ? static_cast<std::size_t>(std::distance(fs::directory_iterator(path), {})) : 0;
  }

  House house_;
  TemporaryFolder root_;
  io::Loop loop_;
  Log log_{[](Severity, std::string_view) {}, Severity::debug};
  privsep::Metrics metrics_;
  MaildirBatches maildir_{loop_, Fd(::open(root_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 4};
  LmtpClients lmtp_{loop_, log_, [](const std::string&, LmtpClients::Connected c) { c(failure("lmtp.connect", "absent")); }, "mx.example"};
  std::string body_ = "From: s@sender.example\r\nSubject: hi\r\n\r\nHello\r\n";
  std::unique_ptr<Deliveries> deliveries_;
};

TEST_F(DeliveriesTest, EachTargetHasTheOutcomeOfItsRoute) {
  const auto stored = house_.add_account("a@example.org");
  house_.add_account("files@example.org", {.delivery = "maildir"});
  house_.add_account("full@example.org", {.quota_bytes = 10});
  house_.add_account("off@example.org", {.enabled = false});
  ASSERT_TRUE(house_.directory.add_alias("both@example.org", {"a@example.org", "files@example.org"}));
  ASSERT_TRUE(house_.directory.add_alias("out@example.org", {"a@example.org", "x@elsewhere.example"}));
  ASSERT_TRUE(house_.directory.add_alias("mixed@example.org", {"a@example.org", "full@example.org"}));
  ASSERT_TRUE(house_.directory.add_domain("dovecot.example", {.delivery = "lmtp:dovecot", .lmtp_accept_all = true}));
  EXPECT_THAT(run(delivery(1, {"a@example.org", "A+x@example.org", "files@example.org", "full@example.org", "off@example.org", "nobody@example.org",
                               "x@elsewhere.example", "out@example.org", "both@example.org", "mixed@example.org", "x@dovecot.example", "x"})),
              ElementsAre(250, 250, 250, 452, 550, 550, 551, 551, 250, 452, 451, 553));
  EXPECT_EQ(inbox(stored), 1U);  // named five times, delivered once
  EXPECT_EQ(files("files@example.org"), 1U);
  EXPECT_TRUE(deliveries_->idle());
}

TEST_F(DeliveriesTest, ARepeatIsAnsweredAndNotDelivered) {
  const auto stored = house_.add_account("a@example.org");
  house_.add_account("files@example.org", {.delivery = "maildir"});
  const auto once = delivery(1, {"a@example.org", "files@example.org"});
  EXPECT_THAT(run(once), ElementsAre(250, 250));
  EXPECT_THAT(run(once), ElementsAre(250, 250));
  deliveries_->write_memory();
  restart();
  EXPECT_THAT(run(once), ElementsAre(250, 250));
  EXPECT_EQ(inbox(stored), 1U);
  EXPECT_EQ(files("files@example.org"), 1U);
}

TEST_F(DeliveriesTest, ARepeatAfterACrashIsFoundInCur) {
  house_.add_account("files@example.org", {.delivery = "maildir"});
  const auto once = delivery(1, {"files@example.org"});
  EXPECT_THAT(run(once), ElementsAre(250));
  const auto home = fs::path(root_.path()) / "files@example.org";
  const auto file = fs::directory_iterator(home / "new")->path();
  fs::rename(file, home / "cur" / (file.filename().string() + ":2,S"));
  house_.clock.advance(std::chrono::minutes(1));
  restart();  // without write_memory(): what it knew is lost
  EXPECT_THAT(run(once), ElementsAre(250));
  EXPECT_EQ(files("files@example.org", "new"), 0U);
  EXPECT_EQ(files("files@example.org", "cur"), 1U);
}

TEST_F(DeliveriesTest, TheSameMaildirDeliveryTwiceAtOnceIsOneFile) {
  house_.add_account("files@example.org", {.delivery = "maildir"});
  const auto once = delivery(1, {"files@example.org"});
  EXPECT_THAT(run(std::vector<privsep::LocalDelivery>{once, once, once}), ElementsAre(ElementsAre(250), ElementsAre(250), ElementsAre(250)));
  EXPECT_EQ(files("files@example.org"), 1U);
}

TEST_F(DeliveriesTest, JunkGoesToJunk) {
  const auto stored = house_.add_account("a@example.org");
  house_.add_account("files@example.org", {.delivery = "maildir"});
  auto junk = delivery(1, {"a@example.org", "files@example.org"});
  junk.to_junk = true;
  EXPECT_THAT(run(junk), ElementsAre(250, 250));
  EXPECT_EQ(inbox(stored), 0U);
  EXPECT_EQ(inbox(stored, FolderId::junk), 1U);
  EXPECT_EQ(files("files@example.org/.Junk"), 1U);
}

TEST_F(DeliveriesTest, OneTurnIsOneCommit) {
  house_.add_account("a@example.org");
  std::vector<privsep::LocalDelivery> many;
  for (std::uint64_t n = 0; n < 50; ++n) many.push_back(delivery(n, {"a@example.org"}));
  (void)metrics_.changed();
  for (const auto& codes : run(many)) EXPECT_THAT(codes, ElementsAre(250));
  std::uint64_t commits = 0;
  for (const auto& sample : metrics_.changed())
    if (sample.name == "mailbox_commits_total") commits += sample.value;
  EXPECT_EQ(commits, 1U);
}

TEST_F(DeliveriesTest, ABodyThatIsNotSealedOrLiesAboutItsSizeIsDeferred) {
  const auto stored = house_.add_account("a@example.org");
  auto lying = delivery(1, {"a@example.org"});
  lying.content.size += 1;
  EXPECT_THAT(run(lying), ElementsAre(451));
  lying = delivery(2, {"a@example.org"});
  lying.content.cuts = {{5, 1'000'000}};
  EXPECT_THAT(run(lying), ElementsAre(451));
  EXPECT_EQ(inbox(stored), 0U);
}

TEST_F(DeliveriesTest, AnAddressWithALineEndMakesNoField) {
  EXPECT_FALSE(trace_fields("a@b\r\nX-Injected: 1", "c@d"));
  EXPECT_FALSE(trace_fields("a@b", "c@d\n"));
  EXPECT_EQ(trace_fields("", "c@d").value(), "Return-Path: <>\r\nDelivered-To: c@d\r\n");
  const auto stored = house_.add_account("a@example.org");
  auto hostile = delivery(1, {"a@example.org"});
  hostile.reverse_path = "a@b>\r\nBcc: x@y";
  EXPECT_THAT(run(hostile), ElementsAre(553));
  EXPECT_EQ(inbox(stored), 0U);
}

}  // namespace
}  // namespace postern::mailbox
