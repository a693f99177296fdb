#include "verifier/marker.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

namespace postern::verifier {
namespace {

std::string read_page(int fd) {
  std::array<char, 64> bytes{};
  EXPECT_EQ(::pread(fd, bytes.data(), bytes.size() - 1, 0), 63);
  return bytes.data();
}

TEST(Marker, NamesTheMessageInHandAndNoOther) {
  auto marker = Marker::create();
  ASSERT_TRUE(marker);
  EXPECT_EQ(read_page(marker->fd()), "");
  {
    const Marker::Hold hold(*marker, "AAAABBBBCCCCDDDD");
    EXPECT_EQ(read_page(marker->fd()), "AAAABBBBCCCCDDDD");
    { const Marker::Hold inner(*marker, "AAAABBBBCCCCDDDD"); }
    EXPECT_EQ(read_page(marker->fd()), "AAAABBBBCCCCDDDD") << "the end of an inner hold is not the end of the outer one";
  }
  EXPECT_EQ(read_page(marker->fd()), "");
  const Marker::Hold shorter(*marker, "EEEE");
  EXPECT_EQ(read_page(marker->fd()), "EEEE");
}

TEST(Marker, OutlivesTheProcessThatWroteIt) {
  auto marker = Marker::create();
  ASSERT_TRUE(marker);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const Marker::Hold hold(*marker, "POISON");
    ::_exit(0);  // without the end of the hold
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(read_page(marker->fd()), "POISON");
}

TEST(Marker, WithoutAPageNotesNothing) {
  Marker marker;
  const Marker::Hold hold(marker, "AAAA");
  EXPECT_EQ(marker.fd(), -1);
}

}  // namespace
}  // namespace postern::verifier
