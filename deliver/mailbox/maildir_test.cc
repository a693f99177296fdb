#include "deliver/mailbox/maildir.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "deliver/mailbox/maildir_batches.h"
#include "deliver/mailbox/test_support.h"

namespace postern::mailbox {
namespace {

namespace fs = std::filesystem;

MaildirMessage message(std::uint64_t number, bool may_be_repeat = false) {
  const DeliveryKey key{0xABCD, number, "b@example.org"};
  return {maildir_file_name(key, WallTime(std::chrono::milliseconds(1'700'000'000'123)), "mx.example"),
          "Return-Path: <>\r\n", message_of("A: b\r\n\r\nline\r\nbare\rcr\nend\r\n"), may_be_repeat};
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Maildir : public testing::Test {
 protected:
  fs::path home() const { return fs::path(folder_.path()) / "b@example.org"; }
  Result<Stored> deliver(const MaildirMessage& m, const std::string& folder = "b@example.org", bool junk = false) {
    TRY_ASSIGN(const auto maildir, MaildirFolder::open(root_, folder, junk));
    if (m.may_be_repeat) {
      TRY_ASSIGN(const bool there, maildir.has(m.name));
      if (there) return Stored::repeated;
    }
    TRY(maildir.write(m));
    TRY_ASSIGN(const bool published, maildir.publish(m.name));
    TRY(maildir.sync());
    return published ? Stored::stored : Stored::repeated;
  }
  TemporaryFolder folder_;
  Fd root_{::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(Maildir, MakesTheFoldersAndLeavesOneFileInNew) {
  ASSERT_EQ(deliver(message(1)).value(), Stored::stored);
  ASSERT_EQ(names_in(home() / "new").size(), 1U);
  EXPECT_TRUE(names_in(home() / "tmp").empty());
  const auto name = names_in(home() / "new")[0];
  EXPECT_EQ(read_file(home() / "new" / name), "Return-Path: <>\nA: b\n\nline\nbare\rcr\nend\n");
  EXPECT_THAT(name, testing::MatchesRegex("1700000000\\.M123E000000000000abcdQ1R[0-9a-f]+\\.mx\\.example"));
  struct stat status {};
  ASSERT_EQ(::stat((home() / "new" / name).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(Maildir, TheSameDeliveryTwiceIsOneFile) {
  ASSERT_EQ(deliver(message(1)).value(), Stored::stored);
  EXPECT_EQ(deliver(message(1)).value(), Stored::repeated);        // still in new: the rename does not replace
  EXPECT_EQ(deliver(message(1, true)).value(), Stored::repeated);
  const auto name = names_in(home() / "new")[0];
  fs::rename(home() / "new" / name, home() / "cur" / (name + ":2,S"));  // a reader has seen it
  EXPECT_EQ(deliver(message(1, true)).value(), Stored::repeated);
  EXPECT_TRUE(names_in(home() / "new").empty());
  EXPECT_TRUE(names_in(home() / "tmp").empty());
  EXPECT_EQ(deliver(message(2, true)).value(), Stored::stored);
  // Another message whose name begins alike is not it.
  EXPECT_EQ(deliver(message(12, true)).value(), Stored::stored);
}

TEST_F(Maildir, JunkGoesToItsSubfolder) {
  ASSERT_EQ(deliver(message(1), "b@example.org", true).value(), Stored::stored);
  EXPECT_EQ(names_in(home() / ".Junk" / "new").size(), 1U);
  EXPECT_TRUE(fs::exists(home() / ".Junk" / "maildirfolder"));
  ASSERT_EQ(deliver(message(2), "b@example.org", true).value(), Stored::stored);
}

TEST_F(Maildir, AFileLeftInTmpByACrashIsReplaced) {
  ASSERT_TRUE(MaildirFolder::open(root_, "b@example.org", false));
  std::ofstream(home() / "tmp" / message(1).name) << "half a mess";
  ASSERT_EQ(deliver(message(1)).value(), Stored::stored);
  EXPECT_TRUE(read_file(home() / "new" / message(1).name).ends_with("end\n"));
}

TEST_F(Maildir, NamesThatAreNoComponentAreRefused) {
  for (const std::string& name : {std::string("../x"), std::string("a/b"), std::string(".."), std::string("."), std::string(""),
                                  std::string("/etc"), std::string("a\0b", 3)})
    EXPECT_EQ(MaildirFolder::open(root_, name, false).error().code, "maildir.name") << name;
}

TEST_F(Maildir, LinksThatLeadOutAreNotFollowed) {
  TemporaryFolder outside;
  for (const char* sub : {"tmp", "new", "cur"}) fs::create_directory(fs::path(outside.path()) / sub);
  // The whole Maildir is a link …
  fs::create_directory_symlink(outside.path(), fs::path(folder_.path()) / "whole");
  EXPECT_EQ(deliver(message(1), "whole").error().code, "maildir.open");
  // … or each of its folders …
  for (const char* sub : {"tmp", "new", "cur", ".Junk"}) {
    const auto attacked = fs::path(folder_.path()) / ("with" + std::string(sub));
    fs::create_directory(attacked);
    fs::create_directory_symlink(fs::path(outside.path()) / "new", attacked / sub);
    EXPECT_EQ(deliver(message(1), attacked.filename(), std::string_view(sub) == ".Junk").error().code, "maildir.open") << sub;
  }
  // … or one with dots, inside and out.
  fs::create_directory_symlink("../" + fs::path(outside.path()).filename().string(), fs::path(folder_.path()) / "dots");
  EXPECT_EQ(deliver(message(1), "dots").error().code, "maildir.open");
  for (const char* sub : {"tmp", "new", "cur"}) EXPECT_TRUE(names_in(fs::path(outside.path()) / sub).empty());
}

TEST_F(Maildir, ALinkInTmpIsRemovedAndNotWrittenThrough) {
  ASSERT_TRUE(MaildirFolder::open(root_, "b@example.org", false));
  const auto victim = fs::path(folder_.path()) / "victim";
  std::ofstream(victim) << "precious";
  fs::create_symlink(victim, home() / "tmp" / message(1).name);
  ASSERT_EQ(deliver(message(1)).value(), Stored::stored);
  EXPECT_EQ(read_file(victim), "precious");
  EXPECT_FALSE(fs::is_symlink(home() / "new" / message(1).name));
}

TEST_F(Maildir, ANameTakenInNewIsNotReplaced) {
  ASSERT_TRUE(MaildirFolder::open(root_, "b@example.org", false));
  fs::create_symlink("/etc/passwd", home() / "new" / message(1).name);
  EXPECT_EQ(deliver(message(1)).value(), Stored::repeated);
  EXPECT_TRUE(fs::is_symlink(home() / "new" / message(1).name));
}

TEST_F(Maildir, AFileWhereAFolderShouldBeIsAnError) {
  std::ofstream(fs::path(folder_.path()) / "file") << "x";
  EXPECT_EQ(deliver(message(1), "file").error().code, "maildir.open");
}

TEST(MaildirName, IsSafeWhateverTheHostAndRecipient) {
  const auto name = maildir_file_name({1, 2, "\"../..\"@x.example"}, WallTime{}, "a/b:c\n..");
  EXPECT_EQ(name.find_first_of("/:\n"), std::string::npos);
  EXPECT_NE(maildir_file_name({1, 2, "a@x"}, WallTime{}, "h"), maildir_file_name({1, 2, "b@x"}, WallTime{}, "h"));
  EXPECT_NE(maildir_file_name({1, 2, "a@x"}, WallTime{}, "h"), maildir_file_name({2, 2, "a@x"}, WallTime{}, "h"));
}

TEST(MaildirLines, CrlfAcrossPiecesBecomesLf) {
  privsep::Content content;
  content.prefix = "A: b\r";
  content.cuts = {{3, 2}};
  const auto bytes = MessageBytes::of(content, to_bytes("\nx\rYY\ny\r\r\n\r")).value();
  EXPECT_EQ(with_unix_line_ends("T\r\n", *bytes), "T\nA: b\nx\ny\r\n\r");
}

TEST(MaildirBatches, ManyMessagesOfManyFoldersArriveWhole) {
  TemporaryFolder folder;
  io::Loop loop;
  ASSERT_TRUE(loop.start_threads(4));
  MaildirBatches batches(loop, Fd(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 4);
  int stored = 0, repeated = 0, failed = 0, left = 0;
  const auto add = [&](const std::string& home, std::uint64_t number) {
    ++left;
    batches.add(home, false, message(number), [&](Result<Stored> result) {
      if (!result) ++failed;
      else if (*result == Stored::stored) ++stored;
      else ++repeated;
      if (--left == 0) loop.stop();
    });
  };
  std::ofstream(fs::path(folder.path()) / "broken") << "not a folder";
  for (std::uint64_t n = 0; n < 600; ++n) add("m" + std::to_string(n % 7), n);
  for (std::uint64_t n = 0; n < 5; ++n) add("m0", 7000 + n);
  add("broken", 1);
  batches.flush();
  loop.run();
  EXPECT_EQ(stored, 605);
  EXPECT_EQ(failed, 1);
  for (std::uint64_t n = 0; n < 7; ++n) add("m" + std::to_string(n), n);
  batches.flush();
  loop.run();
  EXPECT_EQ(repeated, 7);
  EXPECT_TRUE(batches.idle());
  std::size_t files = 0;
  for (int n = 0; n < 7; ++n) files += names_in(fs::path(folder.path()) / ("m" + std::to_string(n)) / "new").size();
  EXPECT_EQ(files, 605U);
}

}  // namespace
}  // namespace postern::mailbox
