#include "deliver/remote/route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "deliver/remote/limits.h"
#include "deliver/remote/test_server.h"

namespace postern::remote::test {
namespace {

using mail::dns::Mx;
using mail::dns::Security;
using mail::dns::Type;
using ::testing::ElementsAre;

struct World {
  std::map<mail::dns::Question, mail::dns::Answer> table;
  std::vector<StaticRoute> statics;
  bool ipv6 = true;
  std::uint64_t seed = 1;
  std::size_t rounds = 0;

  /// Asks what is asked for until there is a route or a refusal.
  std::variant<Route, mail::dns::Questions, privsep::SmtpReply> find(std::string_view destination) {
    mail::dns::Facts facts;
    for (rounds = 0; rounds <= limits::kRouteRounds; ++rounds) {
      auto found = find_route({destination, "us.test", statics, 25, ipv6, seed}, facts);
      const auto* questions = std::get_if<mail::dns::Questions>(&found);
      if (questions == nullptr) return found;
      EXPECT_FALSE(questions->empty());
      for (const auto& question : *questions) {
        EXPECT_FALSE(facts.has(question)) << "asked twice: " << question.name;
        const auto known = table.find(question);
        facts.add(question, known == table.end() ? answer({}) : known->second);
      }
    }
    ADD_FAILURE() << "asks without end";
    return privsep::SmtpReply{};
  }
  /// "host[:port]=address,address host=…", or the refusal's codes.
  std::string shown(std::string_view destination) {
    const auto found = find(destination);
    if (const auto* reply = std::get_if<privsep::SmtpReply>(&found)) return std::to_string(reply->code) + " " + reply->enhanced;
    std::string out;
    for (const Host& host : std::get<Route>(found).hosts) {
      out += (out.empty() ? "" : " ") + host.name + ":" + std::to_string(host.port) + "=";
      for (const auto& address : host.addresses) out += address.to_string() + ",";
    }
    return out;
  }
};

TEST(Routes, MxByPreferenceWithBothFamilies) {
  World w;
  w.table[{"d.test", Type::mx}] = answer({Mx{20, "b.test"}, Mx{10, "a.test"}});
  w.table[{"a.test", Type::a}] = answer({ip("192.0.2.1")});
  w.table[{"a.test", Type::aaaa}] = answer({ip("2001:db8::1")});
  w.table[{"b.test", Type::a}] = answer({ip("192.0.2.2"), ip("192.0.2.3")});
  EXPECT_EQ(w.shown("D.Test."), "a.test:25=2001:db8::1,192.0.2.1, b.test:25=192.0.2.2,192.0.2.3,");
  EXPECT_EQ(w.rounds, 2U) << "all addresses are asked at once";
  w.ipv6 = false;
  EXPECT_EQ(w.shown("d.test"), "a.test:25=192.0.2.1, b.test:25=192.0.2.2,192.0.2.3,");
}

TEST(Routes, EqualPreferencesAreShared) {
  World w;
  w.table[{"d.test", Type::mx}] = answer({Mx{10, "a.test"}, Mx{10, "b.test"}});
  for (const char* name : {"a.test", "b.test"}) w.table[{name, Type::a}] = answer({ip("192.0.2.1")});
  std::size_t a_first = 0;
  for (w.seed = 0; w.seed < 200; ++w.seed) a_first += w.shown("d.test").starts_with("a.test") ? 1U : 0U;
  EXPECT_GT(a_first, 50U);
  EXPECT_LT(a_first, 150U);
}

TEST(Routes, WhatTheDnsSaysWhenThereIsNoMx) {
  World w;
  w.table[{"implicit.test", Type::a}] = answer({ip("192.0.2.1")});
  EXPECT_EQ(w.shown("implicit.test"), "implicit.test:25=192.0.2.1,");
  EXPECT_EQ(w.shown("empty.test"), "550 5.1.2");
  w.table[{"gone.test", Type::mx}] = no_domain();
  EXPECT_EQ(w.shown("gone.test"), "550 5.1.2");
  w.table[{"null.test", Type::mx}] = answer({Mx{0, ""}});
  EXPECT_EQ(w.shown("null.test"), "556 5.1.10");
  w.table[{"broken.test", Type::mx}] = failed_answer();
  EXPECT_EQ(w.shown("broken.test"), "451 4.4.3");
  w.table[{"bogus.test", Type::mx}] = failed_answer(Security::bogus);
  w.table[{"bogus.test", Type::a}] = answer({ip("192.0.2.1")});
  EXPECT_EQ(w.shown("bogus.test"), "451 4.4.3") << "never the implicit MX";
  w.table[{"half.test", Type::mx}] = answer({Mx{1, ""}, Mx{2, "implicit.test"}});
  EXPECT_EQ(w.shown("half.test"), "implicit.test:25=192.0.2.1,");
}

TEST(Routes, HostsWithoutAddresses) {
  World w;
  w.table[{"d.test", Type::mx}] = answer({Mx{10, "a.test"}, Mx{20, "b.test"}});
  EXPECT_EQ(w.shown("d.test"), "550 5.4.4");
  w.table[{"a.test", Type::a}] = failed_answer();
  EXPECT_EQ(w.shown("d.test"), "451 4.4.3");
  w.table[{"b.test", Type::aaaa}] = answer({ip("2001:db8::2")});
  EXPECT_EQ(w.shown("d.test"), "b.test:25=2001:db8::2,");
}

TEST(Routes, WeNeverSendToOurselves) {  // RFC 5321 §5.1
  World w;
  for (const char* name : {"a.test", "us.test", "c.test"}) w.table[{name, Type::a}] = answer({ip("192.0.2.1")});
  w.table[{"d.test", Type::mx}] = answer({Mx{10, "a.test"}, Mx{20, "US.test"}, Mx{20, "c.test"}, Mx{30, "c.test"}});
  EXPECT_EQ(w.shown("d.test"), "a.test:25=192.0.2.1,");
  w.table[{"d.test", Type::mx}] = answer({Mx{20, "us.test"}, Mx{20, "c.test"}});
  EXPECT_EQ(w.shown("d.test"), "554 5.4.6");
}

TEST(Routes, HostsAndAddressesAreBounded) {
  for (const std::size_t hosts : {limits::kMxHosts, limits::kMxHosts + 1}) {
    World w;
    std::vector<mail::dns::Record> records;
    for (std::size_t i = 0; i < hosts; ++i) {
      const std::string name = "m" + std::to_string(i) + ".test";
      records.push_back(Mx{10, name});
      w.table[{name, Type::a}] = answer({ip("192.0.2.1"), ip("192.0.2.2"), ip("192.0.2.3")});
    }
    w.table[{"d.test", Type::mx}] = answer(records);
    const auto route = std::get<Route>(w.find("d.test"));
    std::size_t addresses = 0;
    for (const Host& host : route.hosts) addresses += host.addresses.size();
    EXPECT_EQ(addresses, limits::kAddresses);
    EXPECT_LE(route.hosts.size(), limits::kMxHosts);
  }
}

TEST(Routes, StaticRoutesComeFirstAndTheStarLast) {
  World w;
  for (const char* row : {"*=smart.test:587", "d.test = 192.0.2.7", "six.test=[2001:db8::7]:2525", "auth.test=u:p@h.test:26"})
    w.statics.push_back(*parse_route(row, 25));
  w.table[{"smart.test", Type::a}] = answer({ip("192.0.2.8")});
  w.table[{"h.test", Type::a}] = answer({ip("192.0.2.9")});
  EXPECT_EQ(w.shown("d.test"), "192.0.2.7:25=192.0.2.7,");
  EXPECT_EQ(w.shown("six.test"), "2001:db8::7:2525=2001:db8::7,");
  EXPECT_EQ(w.shown("any.test"), "smart.test:587=192.0.2.8,");
  EXPECT_EQ(w.shown("[192.0.2.5]"), "smart.test:587=192.0.2.8,");
  EXPECT_EQ(w.shown("[192.0.2.5]:2500"), "192.0.2.5:2500=192.0.2.5,") << "a port says that a person chose the way";
  const auto route = std::get<Route>(w.find("auth.test"));
  ASSERT_NE(route.hosts[0].login, nullptr);
  EXPECT_EQ(route.hosts[0].login->user, "u");
  EXPECT_EQ(route.hosts[0].login->password.view(), "p");
}

TEST(Routes, Literals) {
  World w;
  w.table[{"h.test", Type::a}] = answer({ip("192.0.2.9")});
  EXPECT_EQ(w.shown("[192.0.2.5]"), "192.0.2.5:25=192.0.2.5,");
  EXPECT_EQ(w.shown("[IPv6:2001:db8::5]"), "2001:db8::5:25=2001:db8::5,");
  EXPECT_EQ(w.shown("[h.test]:2525"), "h.test:2525=192.0.2.9,");
  EXPECT_EQ(w.shown("[no.test]:2525"), "550 5.4.4");
  for (const char* bad : {"[", "[]", "[a]:0", "[a]:65536", "[a]x", "", "a..b"}) EXPECT_EQ(w.shown(bad), "550 5.1.2") << bad;
}

TEST(Routes, RowsThatAreNotUnderstood) {
  for (const char* bad : {"", "d.test", "d.test=", "=h:25", "d.test=h:0", "d.test=h:99999", "d.test=:p@h", "d.test=u@h", "d.test=u:@h", "d..test=h"}) {
    const auto route = parse_route(bad, 25);
    ASSERT_FALSE(route) << bad;
    EXPECT_EQ(route.error().code, "route.syntax");
  }
  EXPECT_EQ(parse_route("d.test=u:geheim@@", 25).error().message.find("geheim"), std::string::npos) << "no password in words";
}

TEST(Routes, WhatIsProvedIsSaid) {
  World w;
  w.table[{"d.test", Type::mx}] = answer({Mx{10, "a.test"}, Mx{20, "b.test"}, Mx{30, "c.test"}}, Security::secure);
  w.table[{"a.test", Type::a}] = answer({ip("192.0.2.1")}, Security::secure);
  w.table[{"b.test", Type::a}] = answer({ip("192.0.2.2")}, Security::secure);
  w.table[{"b.test", Type::aaaa}] = answer({ip("2001:db8::2")}, Security::insecure);
  w.table[{"c.test", Type::a}] = answer({ip("192.0.2.3")}, Security::insecure);
  const auto route = std::get<Route>(w.find("d.test"));
  ASSERT_EQ(route.hosts.size(), 3U);
  EXPECT_TRUE(route.hosts[0].listed_securely && route.hosts[0].found_securely);
  EXPECT_FALSE(route.hosts[1].found_securely) << "one of its answers is not proved";
  EXPECT_FALSE(route.hosts[2].found_securely);
  w.table[{"d.test", Type::mx}].security = Security::insecure;
  EXPECT_FALSE(std::get<Route>(w.find("d.test")).hosts[0].listed_securely);
}

}  // namespace
}  // namespace postern::remote::test
