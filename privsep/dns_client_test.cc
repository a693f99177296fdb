#include "privsep/dns_client.h"

#include <gtest/gtest.h>

#include "privsep/wire.h"

namespace postern::privsep {
namespace {

using namespace mail::dns;

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

Answer found(std::vector<Record> records) {
  Answer answer;
  answer.status = Status::found;
  answer.security = Security::secure;
  answer.records = std::move(records);
  answer.canonical_name = "alias.example";
  answer.ttl = std::chrono::seconds(77);
  return answer;
}

struct Kind {
  Type type;
  std::vector<Record> records;
};

TEST(DnsClient, AnswersOfEveryTypeSurviveTheWay) {
  const Kind kinds[] = {
      {Type::a, {ip("192.0.2.1"), ip("192.0.2.2")}},
      {Type::aaaa, {ip("2001:db8::1")}},
      {Type::mx, {Mx{10, "mx.example"}, Mx{0, ""}}},
      {Type::txt, {Text{"v=spf1 -all"}, Text{std::string("\0\xFF", 2)}}},
      {Type::ptr, {Name{"host.example"}}},
      {Type::cname, {Name{"other.example"}}},
      {Type::ns, {Name{"ns.example"}}},
      {Type::tlsa, {Tlsa{3, 1, 1, to_bytes("digest")}}},
  };
  for (const Kind& kind : kinds) {
    const Answer answer = found(kind.records);
    const auto travelled = decode<DnsAnswer>(encode(to_message(kind.type, answer)));
    ASSERT_TRUE(travelled) << name_of(kind.type);
    const Answer back = to_answer(*travelled);
    EXPECT_EQ(back.records, answer.records) << name_of(kind.type);
    EXPECT_EQ(back.status, answer.status);
    EXPECT_EQ(back.security, answer.security);
    EXPECT_EQ(back.canonical_name, answer.canonical_name);
    EXPECT_EQ(back.ttl, answer.ttl);
  }
}

TEST(DnsClient, AbsenceAndFailureSurviveTheWay) {
  Answer none;
  none.status = Status::none;
  none.nxdomain = true;
  none.security = Security::insecure;
  const Answer back = to_answer(to_message(Type::mx, none));
  EXPECT_EQ(back.status, Status::none);
  EXPECT_TRUE(back.nxdomain);
  EXPECT_EQ(to_answer(to_message(Type::mx, Answer{})).status, Status::failure);
}

TEST(DnsClient, AddressesOfTheOtherFamilyAreDropped) {
  const Answer v4 = to_answer(to_message(Type::a, found({ip("2001:db8::1"), ip("192.0.2.1")})));
  EXPECT_EQ(v4.records, std::vector<Record>{ip("192.0.2.1")});
  const Answer v6 = to_answer(to_message(Type::aaaa, found({ip("192.0.2.1")})));
  EXPECT_TRUE(v6.records.empty());
  EXPECT_EQ(v6.status, Status::failure) << "found, but nothing that was asked for";
}

TEST(DnsClient, AnAnswerIsCutToWhatItsRowTakes) {
  std::vector<Record> many, large;
  for (int i = 0; i < 5000; ++i) many.push_back(Text{std::to_string(i)});
  for (int i = 0; i < 10; ++i) large.push_back(Text{std::string(60000, 't')});
  for (const auto& records : {many, large}) {
    const std::string written = encode(to_message(Type::txt, found(records)));
    EXPECT_LE(written.size(), DnsAnswer::row.max_bytes);
    const Answer back = to_answer(*decode<DnsAnswer>(written));
    EXPECT_FALSE(back.records.empty());
    EXPECT_LT(back.records.size(), records.size());
  }
}

TEST(DnsClient, LifetimesOutsideTheFieldAreClamped) {
  Answer answer = found({Text{"x"}});
  answer.ttl = std::chrono::seconds(-5);
  EXPECT_EQ(to_message(Type::txt, answer).ttl, 0U);
  answer.ttl = std::chrono::seconds(1LL << 40);
  EXPECT_EQ(to_message(Type::txt, answer).ttl, UINT32_MAX);
}

class Asked : public testing::Test {
 protected:
  io::Loop loop_;
  Log log_{[](Severity, std::string_view) {}, Severity::error};
  Peers peers_{loop_, log_, Role::verifier_in};
  DnsClient client_{peers_};
};

TEST_F(Asked, ANameThatCannotBeAskedDoesNotExist) {
  std::optional<Answer> answer;
  client_.ask({std::string(300, 'a'), Type::txt}, [&](const Answer& a) { answer = a; });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, Status::none);
  EXPECT_TRUE(answer->nxdomain);
}

TEST_F(Asked, WithoutAResolverEverythingFails) {
  std::optional<Answer> answer;
  client_.ask({"example.org", Type::txt}, [&](const Answer& a) { answer = a; });
  for (int i = 0; i < 10 && !answer; ++i) loop_.turn();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, Status::failure);
}

TEST_F(Asked, AnAnswerToAnotherTypeIsAFailure) {
  for (const Type answered : {Type::txt, Type::mx}) {
    auto pair = make_channel_pair();
    ASSERT_TRUE(pair);
    peers_.add({Role::resolver, 0}, std::move(pair->first));
    peers_.set_locked();
    std::optional<Answer> answer;
    client_.ask({"example.org", Type::txt}, [&](const Answer& a) { answer = a; });
    const DnsAnswer reply = to_message(answered, answered == Type::txt ? found({Text{"t"}}) : found({Mx{1, "m.example"}}));
    ASSERT_TRUE(send_frame(pair->second.get(), make_frame(DnsAnswer::row, 1, encode(reply)), -1));
    for (int i = 0; i < 1000 && !answer; ++i) loop_.turn();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, answered == Type::txt ? Status::found : Status::failure);
  }
}

}  // namespace
}  // namespace postern::privsep
