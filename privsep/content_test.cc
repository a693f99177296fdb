#include "privsep/content.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

std::string joined(const AssembledContent& content) {
  std::string out;
  for (const auto piece : content.pieces()) out += piece;
  EXPECT_EQ(content.size(), out.size());
  return out;
}

Content of(std::string prefix, std::vector<Cut> cuts, std::uint64_t size) {
  Content content;
  content.prefix = std::move(prefix);
  content.cuts = std::move(cuts);
  content.size = size;
  return content;
}

struct Case {
  const char* what;
  const char* prefix;
  std::vector<Cut> cuts;
  const char* out;  // null: refused
};

class Assembled : public testing::TestWithParam<Case> {};

TEST_P(Assembled, IsThePrefixAndTheBodyWithoutItsCuts) {
  const Content content = of(GetParam().prefix, GetParam().cuts, 10);
  const auto small = AssembledContent::of(content, to_bytes("0123456789"));
  ASSERT_EQ(small.has_value(), GetParam().out != nullptr);
  if (small) {
    EXPECT_EQ(joined(**small), GetParam().out);
    for (const auto piece : (*small)->pieces()) EXPECT_FALSE(piece.empty());
  } else {
    EXPECT_EQ(small.error().code, "content.cuts");
  }
}

INSTANTIATE_TEST_SUITE_P(Cuts, Assembled, testing::Values(
    Case{"None", "", {}, "0123456789"},
    Case{"Prefix", "A: b\r\n", {}, "A: b\r\n0123456789"},
    Case{"AtTheStart", "p", {{0, 3}}, "p3456789"},
    Case{"AtTheEnd", "", {{8, 2}}, "01234567"},
    Case{"Everything", "", {{0, 10}}, ""},
    Case{"Neighbours", "", {{1, 2}, {3, 2}}, "056789"},
    Case{"OfNothing", "", {{4, 0}, {10, 0}}, "0123456789"},
    Case{"Overlapping", "", {{1, 3}, {3, 2}}, nullptr},
    Case{"Backwards", "", {{5, 1}, {1, 1}}, nullptr},
    Case{"BeyondTheEnd", "", {{9, 2}}, nullptr},
    Case{"StartingBeyondTheEnd", "", {{11, 0}}, nullptr},
    Case{"WrappingAround", "", {{5, UINT64_MAX}}, nullptr},
    Case{"FarAway", "", {{UINT64_MAX, 1}}, nullptr}),
    [](const auto& test) { return std::string(test.param.what); });

TEST(AssembledContent, BoundsThePrefixAndTheNumberOfCuts) {
  EXPECT_TRUE(AssembledContent::of(of(std::string(limits::kContentPrefixBytes, 'x'), {}, 1), to_bytes("b")));
  EXPECT_EQ(AssembledContent::of(of(std::string(limits::kContentPrefixBytes + 1, 'x'), {}, 1), to_bytes("b")).error().code, "content.prefix");
  EXPECT_TRUE(AssembledContent::of(of("", std::vector<Cut>(limits::kContentCuts), 1), to_bytes("b")));
  EXPECT_EQ(AssembledContent::of(of("", std::vector<Cut>(limits::kContentCuts + 1), 1), to_bytes("b")).error().code, "content.cuts");
}

TEST(AssembledContent, OfASealedBodyIsTheSameCopiedOrMapped) {
  for (const std::size_t size : {std::size_t{100}, io::kCopiedBodyBytes - 1, io::kCopiedBodyBytes}) {
    std::string body(size, 'x');
    body.front() = 'a';
    body.back() = 'z';
    const auto memfd = io::sealed_memfd("body", bytes_of(body));
    ASSERT_TRUE(memfd);
    const auto content = AssembledContent::open(of("p", {{1, 10}}, size), *memfd, size);
    ASSERT_TRUE(content) << content.error().message;
    EXPECT_EQ(joined(**content), "pa" + body.substr(11));
    EXPECT_FALSE(AssembledContent::open(of("p", {}, size), *memfd, size - 1)) << "larger than it may be";
    EXPECT_FALSE(AssembledContent::open(of("p", {}, size + 1), *memfd, size + 1)) << "of another size than was said";
  }
}

}  // namespace
}  // namespace postern::privsep
