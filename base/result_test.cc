#include "base/result.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return failure("test.odd", "odd number");
  return n / 2;
}
Result<int> quarter(int n) {
  TRY_ASSIGN(const int h, half(n));
  return half(h);
}
Result<void> must_halve(int n) {
  TRY(half(n));
  return {};
}

TEST(Result, PassesValuesAndErrorsOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().code, "test.odd");
  EXPECT_TRUE(must_halve(2));
  EXPECT_EQ(must_halve(3).error().message, "odd number");
}

TEST(Result, WithinNamesWhatWasBeingDone) {
  EXPECT_EQ(within("reading x", Error{"a.b", "no"}).value().message, "reading x: no");
}

}  // namespace
}  // namespace postern
