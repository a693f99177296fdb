#include "verifier/body.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace postern::verifier {
namespace {

constexpr std::uint64_t kMost = 64UL * 1024 * 1024;

std::string text(std::size_t size, char with) { return std::string(size, with); }
Fd sealed(const std::string& bytes) { return io::sealed_memfd("body", bytes_of(bytes)).value(); }

TEST(BodyPool, ReadsBodiesOfEverySize) {
  BodyPool pool;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4096}, kCopiedBytes - 1, kCopiedBytes, kCopiedBytes + 1, 4 * kCopiedBytes}) {
    const std::string bytes = text(size, 'a');
    auto body = pool.read(sealed(bytes), size, kMost);
    ASSERT_TRUE(body) << size;
    EXPECT_TRUE(text_of(body->bytes()) == bytes) << size;
    const Body moved = std::move(*body);
    EXPECT_TRUE(text_of(moved.bytes()) == bytes) << size << " after a move";
  }
}

TEST(BodyPool, BodiesAtOnceDoNotShareABuffer) {
  BodyPool pool;
  auto first = pool.read(sealed(text(100, 'a')), 100, kMost);
  auto second = pool.read(sealed(text(100, 'b')), 100, kMost);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(text_of(first->bytes()), text(100, 'a'));
  EXPECT_EQ(text_of(second->bytes()), text(100, 'b'));
}

TEST(BodyPool, UsesABufferAgainAndShowsNothingOfWhatWasInIt) {
  BodyPool pool;
  { auto long_one = pool.read(sealed(text(1000, 's')), 1000, kMost); }
  EXPECT_EQ(pool.spare(), 1U);
  auto short_one = pool.read(sealed("hello"), 5, kMost);
  ASSERT_TRUE(short_one);
  EXPECT_EQ(pool.spare(), 0U);
  EXPECT_EQ(text_of(short_one->bytes()), "hello");
  *short_one = Body();
  EXPECT_EQ(pool.spare(), 1U);
}

TEST(BodyPool, KeepsNoMoreSparesThanItsLimit) {
  BodyPool pool;
  {
    std::vector<Body> bodies;
    for (std::size_t i = 0; i < kSpareBuffers + 1; ++i) bodies.push_back(pool.read(sealed("x"), 1, kMost).value());
  }
  EXPECT_EQ(pool.spare(), kSpareBuffers);
}

TEST(BodyPool, RefusesWhatIsNotASealedBodyOfTheAnnouncedSize) {
  BodyPool pool;
  const Fd body = sealed("hello");
  EXPECT_EQ(pool.read(body, 4, kMost).error().code, "memfd.size");
  EXPECT_EQ(pool.read(body, 6, kMost).error().code, "memfd.size");
  EXPECT_EQ(pool.read(body, 5, 4).error().code, "memfd.size");
  const Fd open_one(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::write(open_one.get(), "hello", 5), 5);
  EXPECT_EQ(pool.read(open_one, 5, kMost).error().code, "memfd.unsealed");
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const Fd reading(pipe_ends[0]), writing(pipe_ends[1]);
  EXPECT_EQ(pool.read(reading, 5, kMost).error().code, "memfd.unsealed");
}

}  // namespace
}  // namespace postern::verifier
