#include "base/unique.h"

#include <gtest/gtest.h>

#include "base/secret.h"

namespace postern {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
int opened() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }

TEST(Fd, ClosesWhatItOwnsOnce) {
  int number = -1;
  {
    const Fd fd(opened());
    number = fd.get();
    EXPECT_TRUE(fd);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MovingLeavesNothingBehind) {
  Fd first(opened());
  const int number = first.get();
  Fd second(std::move(first));
  EXPECT_FALSE(first);  // NOLINT: moved-from is what is tested
  EXPECT_EQ(second.get(), number);
  Fd third(opened());
  const int replaced = third.get();
  third = std::move(second);
  EXPECT_FALSE(is_open(replaced));
  EXPECT_EQ(third.get(), number);
  EXPECT_TRUE(is_open(number));
}

TEST(Fd, ReleaseGivesUpOwnership) {
  int number = -1;
  {
    Fd fd(opened());
    number = fd.release();
    EXPECT_EQ(fd.get(), -1);
  }
  ASSERT_TRUE(is_open(number));
  ::close(number);
}

TEST(Fd, ADuplicateLivesOnItsOwnAndIsNotInherited) {
  Fd fd(opened());
  const Fd copy = fd.duplicate();
  ASSERT_TRUE(copy);
  EXPECT_NE(copy.get(), fd.get());
  fd.reset();
  EXPECT_TRUE(is_open(copy.get()));
  EXPECT_NE(::fcntl(copy.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_FALSE(Fd().duplicate());
}

int freed = 0;
void count_free(int*) { ++freed; }

TEST(CPtr, FreesWithItsFunction) {
  int object = 0;
  { const CPtr<int, count_free> owner(&object); }
  EXPECT_EQ(freed, 1);
  { const CPtr<int, count_free> none(nullptr); }
  EXPECT_EQ(freed, 1);
}

TEST(Secret, ComparesWithoutGivingItselfAway) {
  const Secret secret("correct horse");
  EXPECT_TRUE(secret.equals("correct horse"));
  EXPECT_FALSE(secret.equals("correct horsf"));
  EXPECT_FALSE(secret.equals("correct"));
  EXPECT_FALSE(secret.equals(""));
  EXPECT_TRUE(Secret().equals(""));
  static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
}

TEST(Secret, MovingEmptiesTheSource) {
  Secret first(std::string(64, 'k'));
  Secret second(std::move(first));
  EXPECT_TRUE(first.empty());  // NOLINT: moved-from is what is tested
  EXPECT_EQ(second.view(), std::string(64, 'k'));
  Secret third("other");
  third = std::move(second);
  EXPECT_TRUE(second.empty());  // NOLINT
  EXPECT_EQ(third.view(), std::string(64, 'k'));
}

TEST(Secret, AShortSecretIsWipedWhenItMoves) {
  // Short strings live inside of the object: after the move the old object's bytes can still be read.
  Secret first("pass1");
  const char* inside = first.view().data();
  const Secret second(std::move(first));
  EXPECT_NE(std::string_view(inside, 5), "pass1");
  EXPECT_EQ(second.view(), "pass1");
}

}  // namespace
}  // namespace postern
