#include "io/memfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace postern::io {
namespace {

TEST(Memfd, SealedBodyIsReadBackAndCannotBeChanged) {
  auto writer = MemfdWriter::create("test");
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->append(bytes_of("From: a@example\r\n")));
  ASSERT_TRUE(writer->append(bytes_of("\r\nbody\r\n")));
  EXPECT_EQ(writer->size(), 25U);
  const auto fd = std::move(*writer).seal();
  ASSERT_TRUE(fd);
  const auto opened = SealedBody::open(*fd, 25, 100);
  ASSERT_TRUE(opened);
  EXPECT_EQ(text_of(opened->bytes()), "From: a@example\r\n\r\nbody\r\n");
  EXPECT_EQ(text_of(*read_sealed(*fd, 25, 100)), "From: a@example\r\n\r\nbody\r\n");
  EXPECT_LT(::pwrite(fd->get(), "x", 1, 0), 0);
  EXPECT_NE(::ftruncate(fd->get(), 0), 0);
}

TEST(Memfd, EmptyBodyIsABody) {
  const auto fd = sealed_memfd("test", {});
  ASSERT_TRUE(fd);
  const auto opened = SealedBody::open(*fd, 0, 0);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->bytes().empty());
  EXPECT_TRUE(read_sealed(*fd, 0, 0)->empty());
}

TEST(Memfd, BytesOutliveTheirDescriptor) {
  for (const std::size_t size : {std::size_t{4}, kCopiedBodyBytes - 1, kCopiedBodyBytes, 3 * kCopiedBodyBytes}) {
    const std::string text(size, 'k');
    SealedBody body;
    {
      const auto fd = sealed_memfd("test", bytes_of(text));
      ASSERT_TRUE(fd);
      body = *SealedBody::open(*fd, size, size);
    }
    EXPECT_EQ(text_of(body.bytes()), text);
    const SealedBody moved = std::move(body);
    EXPECT_EQ(text_of(moved.bytes()), text);
    EXPECT_EQ(body.size(), 0U);  // NOLINT(bugprone-use-after-move): what a moved one is
  }
}

TEST(Memfd, SizeMustBeTheAnnouncedOneAndWithinTheLimit) {
  const auto fd = sealed_memfd("test", bytes_of("12345"));
  ASSERT_TRUE(fd);
  EXPECT_TRUE(check_sealed(*fd, 5, 5));
  EXPECT_EQ(check_sealed(*fd, 5, 4).error().code, "memfd.size");
  EXPECT_EQ(check_sealed(*fd, 4, 5).error().code, "memfd.size");
  EXPECT_EQ(check_sealed(*fd, 6, 9).error().code, "memfd.size");
}

TEST(Memfd, WhatIsNotSealedEnoughIsRefused) {
  constexpr int kSome[] = {0, F_SEAL_SHRINK, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE};
  for (const int seals : kSome) {
    const Fd fd(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ASSERT_EQ(::write(fd.get(), "12345", 5), 5);
    ASSERT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
    EXPECT_EQ(check_sealed(fd, 5, 5).error().code, "memfd.unsealed") << seals;
    EXPECT_FALSE(SealedBody::open(fd, 5, 5)) << seals;
    EXPECT_FALSE(read_sealed(fd, 5, 5)) << seals;
  }
}

TEST(Memfd, PipesAndFilesAreRefused) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  EXPECT_EQ(check_sealed(read_end, 0, 10).error().code, "memfd.unsealed");
  const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(check_sealed(file, 0, 10).error().code, "memfd.unsealed");
  EXPECT_EQ(check_sealed(Fd(), 0, 10).error().code, "memfd.unsealed");
}

}  // namespace
}  // namespace postern::io
