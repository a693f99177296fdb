#include "privsep/parent/complaints.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

using namespace std::chrono_literals;
using enum Complaints::Verdict;

constexpr From kListener{Role::listener, 0}, kListener1{Role::listener, 1}, kMailbox{Role::mailbox, 0}, kQueue{Role::queue, 0};

class Complaint : public testing::Test {
 protected:
  Complaints::Verdict weigh(From accuser, From accused) { return complaints_.weigh(accuser, accused, clock_.steady()); }
  bool parted(From one, From other) { return complaints_.parted(one, other, clock_.steady()); }
  void use_up(From one, From other) {
    for (std::size_t i = 0; i < Complaints::kBelieved; ++i) ASSERT_EQ(weigh(one, other), end_accused);
  }
  FakeClock clock_;
  Complaints complaints_;
};

TEST_F(Complaint, IsBelievedAFewTimesThenTheTwoAreParted) {
  clock_.advance(1h);
  use_up(kListener, kMailbox);
  EXPECT_FALSE(parted(kListener, kMailbox));
  EXPECT_EQ(weigh(kListener, kMailbox), part);
  EXPECT_TRUE(parted(kListener, kMailbox));
  EXPECT_EQ(weigh(kListener, kMailbox), ignore);
  clock_.advance(Complaints::kFirstParting);
  EXPECT_FALSE(parted(kListener, kMailbox));
}

TEST_F(Complaint, OfTheOtherCountsForThePairToo) {
  use_up(kListener, kMailbox);
  EXPECT_EQ(weigh(kMailbox, kListener), part);
  EXPECT_TRUE(parted(kListener, kMailbox));
}

TEST_F(Complaint, OfOnePairSaysNothingAboutAnother) {
  use_up(kListener, kMailbox);
  EXPECT_EQ(weigh(kListener, kMailbox), part);
  EXPECT_EQ(weigh(kListener, kQueue), end_accused);
  EXPECT_EQ(weigh(kListener1, kMailbox), end_accused);
  EXPECT_FALSE(parted(kListener1, kMailbox));
}

TEST_F(Complaint, PartsForLongerEachTimeUpToALimit) {
  use_up(kListener, kMailbox);
  std::vector<std::chrono::seconds> partings;
  for (int i = 0; i < 9; ++i) {
    while (weigh(kListener, kMailbox) != part) {  // after a long parting the window has moved on
    }
    const auto until = complaints_.parted_until(kListener, kMailbox);
    partings.push_back(std::chrono::duration_cast<std::chrono::seconds>(until - clock_.steady()));
    clock_.advance(std::chrono::duration_cast<std::chrono::milliseconds>(until - clock_.steady()));
  }
  EXPECT_EQ(partings, (std::vector<std::chrono::seconds>{5s, 10s, 20s, 40s, 80s, 160s, 300s, 300s, 300s}));
}

TEST_F(Complaint, IsForgottenAfterAQuietWindow) {
  use_up(kListener, kMailbox);
  EXPECT_EQ(weigh(kListener, kMailbox), part);
  clock_.advance(Complaints::kWindow + 1ms);
  use_up(kListener, kMailbox);
  EXPECT_EQ(weigh(kListener, kMailbox), part);
  EXPECT_EQ(complaints_.parted_until(kListener, kMailbox) - clock_.steady(), Complaints::kFirstParting);
}

}  // namespace
}  // namespace postern::privsep
