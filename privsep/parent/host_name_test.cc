#include "privsep/parent/host_name.h"

#include <gtest/gtest.h>

namespace postern::privsep {
namespace {

struct Case {
  const char* what;
  const char* machine;
  const char* resolved;
  const char* name;   // null: refused
  bool asks;          // whether the resolver is asked
};

class HostName : public testing::TestWithParam<Case> {};

TEST_P(HostName, IsAFullOneOrAComplaint) {
  int asked = 0;
  const auto name = full_host_name(GetParam().machine, [&](const std::string&) { return ++asked, std::string(GetParam().resolved); });
  EXPECT_EQ(asked > 0, GetParam().asks);
  if (GetParam().name != nullptr) {
    ASSERT_TRUE(name) << name.error().message;
    EXPECT_EQ(*name, GetParam().name);
  } else {
    ASSERT_FALSE(name);
    EXPECT_NE(name.error().message.find("set server.host_name"), std::string::npos);
    EXPECT_NE(name.error().message.find("\"" + std::string(GetParam().machine) + "\""), std::string::npos) << name.error().message;
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, HostName, testing::Values(
    Case{"WithADomain", "mx.example.org", "other.example.org", "mx.example.org", false},
    Case{"WithADomainInCapitals", "MX.Example.org", "", "mx.example.org", false},
    Case{"ShortButKnown", "mx", "mx.example.org", "mx.example.org", true},
    Case{"ShortKnownWithADot", "mx", "mx.example.org.", "mx.example.org", true},
    Case{"ShortAndUnknown", "mx", "", nullptr, true},
    Case{"ShortEverywhere", "mx", "mx", nullptr, true},
    Case{"NamedAfterItself", "mx", "localhost.localdomain", nullptr, true},
    Case{"WithoutAName", "", "", nullptr, false},
    Case{"OfAnAddress", "mx", "192.0.2.1", nullptr, true},
    Case{"WithABlank", "mx one", "mx one.example", nullptr, true},
    Case{"ThatIsNoName", "mx", "mx..example", nullptr, true}),
    [](const auto& test) { return std::string(test.param.what); });

// Only what needs no DNS: an address is its own name.
TEST(HostNameOfTheResolver, IsTakenFromIt) { EXPECT_EQ(canonical_by_resolver("192.0.2.1"), "192.0.2.1"); }

}  // namespace
}  // namespace postern::privsep
