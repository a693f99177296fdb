#include "io/dns.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <optional>

#include "io/timer.h"
#include "io/watch.h"

namespace postern::io {
namespace {

using namespace std::chrono_literals;
using mail::dns::Answer;
using mail::dns::Question;
using mail::dns::Security;
using mail::dns::Status;
using mail::dns::Type;

std::string u16(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n & 0xff)}; }
std::string wire_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return out + '\0';
}
struct Rr {
  std::string name;
  unsigned type = 0;
  unsigned ttl = 300;
  std::string rdata;
  std::string wire() const { return wire_name(name) + u16(type) + u16(1) + u16(ttl >> 16) + u16(ttl & 0xffff) + u16(static_cast<unsigned>(rdata.size())) + rdata; }
};
struct Reply {
  unsigned rcode = 0;
  bool ad = false;
  std::vector<Rr> answer = {}, authority = {};
};

/// A name server on a loopback port, on the same loop.
class Server {
 public:
  explicit Server(Loop& loop) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_storage address;
    const socklen_t size = to_sockaddr({*IpAddress::parse("127.0.0.1"), 0}, address);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    watch_.emplace(loop, fd_.get(), [this](Interest) { take(); });
    watch_->set(Interest::readable);
  }
  Endpoint at() const { return *local_endpoint(fd_.get()); }

  struct Query {
    std::string name;
    unsigned type = 0;
    std::string id_and_question;  ///< what a reply repeats
    sockaddr_storage from{};
    socklen_t size = 0;
  };
  std::function<void(const Query&)> on_query;

  void send(const Query& to, const Reply& reply) {
    const unsigned flags = 0x8180U | (reply.ad ? 0x20U : 0U) | reply.rcode;
    std::string out = to.id_and_question.substr(0, 2) + u16(flags) + u16(1) + u16(static_cast<unsigned>(reply.answer.size())) +
                      u16(static_cast<unsigned>(reply.authority.size())) + u16(0) + to.id_and_question.substr(2);
    for (const Rr& rr : reply.answer) out += rr.wire();
    for (const Rr& rr : reply.authority) out += rr.wire();
    EXPECT_EQ(::sendto(fd_.get(), out.data(), out.size(), 0, reinterpret_cast<const sockaddr*>(&to.from), to.size),
              static_cast<ssize_t>(out.size()));
  }

 private:
  void take() {
    for (;;) {
      Query query;
      query.size = sizeof query.from;
      char buffer[4096];
      const ssize_t got = ::recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&query.from), &query.size);
      if (got < 12) return;
      std::size_t at = 12;
      while (buffer[at] != 0) {
        if (!query.name.empty()) query.name += '.';
        query.name.append(buffer + at + 1, static_cast<std::size_t>(buffer[at]));
        at += 1 + static_cast<std::size_t>(buffer[at]);
      }
      query.type = static_cast<unsigned>(static_cast<unsigned char>(buffer[at + 1]) << 8 | static_cast<unsigned char>(buffer[at + 2]));
      query.id_and_question = std::string(buffer, 2) + std::string(buffer + 12, at + 5 - 12);
      on_query(query);
    }
  }
  Fd fd_;
  std::optional<Watch> watch_;
};

class Stub : public ::testing::Test {
 protected:
  void make(StubOptions options = {}) {
    options.upstreams = {server.at()};
    auto made = StubResolver::create(loop, options);
    ASSERT_TRUE(made) << made.error().message;
    resolver = *std::move(made);
  }
  void until(const std::function<bool()>& condition) {
    bool timed_out = false;
    Timer limit(loop);
    limit.start(20s, [&] { timed_out = true; });
    while (!condition() && !timed_out) loop.turn();
    EXPECT_TRUE(condition()) << "did not come true";
  }
  Answer ask(const std::string& name, Type type) {
    std::optional<Answer> got;
    resolver->ask({name, type}, [&](const Answer& answer) { got = answer; });
    until([&] { return got.has_value(); });
    return got.value_or(Answer{});
  }
  /// Every query gets `reply`.
  void always(Reply reply) {
    server.on_query = [this, reply](const Server::Query& q) { server.send(q, reply); };
  }
  Loop loop;
  Server server{loop};
  std::unique_ptr<StubResolver> resolver;
};

TEST_F(Stub, ReadsRecordsBehindACnameChainAndTakesTheLeastTtl) {
  always({.answer = {{"www.example", 5, 60, wire_name("a.example")},
                     {"a.example", 1, 300, std::string("\xc0\x00\x02\x01", 4)},
                     {"other.example", 1, 5, std::string("\xc0\x00\x02\x63", 4)}}});
  make();
  const Answer answer = ask("WWW.Example", Type::a);
  EXPECT_EQ(answer.status, Status::found);
  EXPECT_EQ(answer.canonical_name, "a.example");
  EXPECT_EQ(answer.ttl, 60s);
  ASSERT_EQ(answer.records.size(), 1U);  // what nobody asked for is not taken
  EXPECT_EQ(std::get<IpAddress>(answer.records[0]).to_string(), "192.0.2.1");
  EXPECT_EQ(answer.security, Security::insecure);
}

TEST_F(Stub, ReadsMxTxtAndTlsa) {
  make();
  always({.answer = {{"example", 15, 300, u16(10) + wire_name("MX.example")}, {"example", 15, 300, u16(0) + wire_name("")}}});
  const auto mx = mail::dns::records_of<mail::dns::Mx>(ask("example", Type::mx));
  ASSERT_EQ(mx.size(), 2U);
  EXPECT_EQ(mx[0], (mail::dns::Mx{10, "mx.example"}));
  EXPECT_EQ(mx[1], (mail::dns::Mx{0, ""}));  // RFC 7505
  always({.answer = {{"txt.example", 16, 300, std::string("\x05hello\x06 world")}}});
  EXPECT_EQ(mail::dns::records_of<mail::dns::Text>(ask("txt.example", Type::txt)).at(0).value, "hello world");
  always({.answer = {{"_25._tcp.mx.example", 52, 300, std::string("\x03\x01\x01", 3) + std::string(32, 'd')}}});
  const auto tlsa = mail::dns::records_of<mail::dns::Tlsa>(ask("_25._tcp.mx.example", Type::tlsa)).at(0);
  EXPECT_EQ(tlsa, (mail::dns::Tlsa{3, 1, 1, to_bytes(std::string(32, 'd'))}));
}

TEST_F(Stub, AdBitCountsOnlyWhereItIsTrusted) {
  always({.ad = true, .answer = {{"example", 1, 300, std::string("\xc0\x00\x02\x01", 4)}}});
  make({.trust_ad = true});
  EXPECT_EQ(ask("example", Type::a).security, Security::secure);
  make({.trust_ad = false});
  EXPECT_EQ(ask("example", Type::a).security, Security::insecure);
}

TEST_F(Stub, AbsenceIsTakenFromTheRcodeAndItsTtlFromTheSoa) {
  const std::string soa = wire_name("ns.example") + wire_name("h.example") + std::string(16, '\0') + u16(0) + u16(120);
  make();
  always({.rcode = 3, .authority = {{"example", 6, 600, soa}}});
  Answer answer = ask("no.example", Type::txt);
  EXPECT_EQ(answer.status, Status::none);
  EXPECT_TRUE(answer.nxdomain);
  EXPECT_EQ(answer.ttl, 120s);  // RFC 2308 §5
  always({.rcode = 0, .authority = {{"example", 6, 60, soa}}});
  answer = ask("empty.example", Type::txt);
  EXPECT_EQ(answer.status, Status::none);
  EXPECT_FALSE(answer.nxdomain);
  EXPECT_EQ(answer.ttl, 60s);
}

TEST_F(Stub, OtherRcodesAreFailures) {
  make({.tries = 1});
  for (const unsigned rcode : {1U, 2U, 4U, 5U}) {
    always({.rcode = rcode});
    const Answer answer = ask("bad.example", Type::a);
    EXPECT_EQ(answer.status, Status::failure) << rcode;
    EXPECT_EQ(answer.security, Security::unknown);
  }
}

TEST_F(Stub, SilentServerIsAskedAgainAndThenGivenUp) {
  int queries = 0;
  server.on_query = [&](const Server::Query& q) {
    ++queries;
    if (q.name == "second.example" && queries == 2) server.send(q, {.rcode = 3});
  };
  make({.timeout = 60ms, .tries = 2});
  EXPECT_EQ(ask("second.example", Type::a).status, Status::none);
  EXPECT_EQ(queries, 2);
  EXPECT_EQ(ask("never.example", Type::a).status, Status::failure);
  EXPECT_EQ(resolver->stats().timed_out, 3U);
}

TEST_F(Stub, NoMoreThanTheLimitIsInFlightAndAllAreAnswered) {
  constexpr std::size_t kLimit = 10, kQuestions = 75;
  std::vector<Server::Query> held;
  std::size_t most = 0;
  server.on_query = [&](const Server::Query& q) { held.push_back(q); };
  make({.max_in_flight = kLimit});
  std::size_t answered = 0;
  for (std::size_t i = 0; i < kQuestions; ++i)
    resolver->ask({"q" + std::to_string(i) + ".example", Type::a}, [&](const Answer& a) { answered += a.nxdomain ? 1 : 0; });
  EXPECT_EQ(resolver->stats().waiting, kQuestions - kLimit);
  until([&] {
    most = std::max(most, held.size());
    if (held.size() == kLimit || answered + held.size() == kQuestions)
      for (const auto& q : std::exchange(held, {})) server.send(q, {.rcode = 3});
    return answered == kQuestions;
  });
  EXPECT_EQ(most, kLimit);
}

TEST_F(Stub, FullQueueFailsAtOnceInsteadOfGrowing) {
  server.on_query = [](const Server::Query&) {};
  make({.max_in_flight = 1, .max_waiting = 1});
  int failed = 0;
  for (int i = 0; i < 3; ++i) resolver->ask({"q.example", Type::a}, [&](const Answer& a) { failed += a.status == Status::failure ? 1 : 0; });
  until([&] { return failed == 1; });
  EXPECT_EQ(resolver->stats().refused_full, 1U);
  resolver.reset();  // with questions in flight and waiting
  loop.turn();
  EXPECT_EQ(failed, 1);
}

TEST_F(Stub, NameThatCannotBeAskedDoesNotExist) {
  server.on_query = [](const Server::Query&) { ADD_FAILURE() << "asked"; };
  make();
  const Answer answer = ask(std::string(64, 'x') + ".example", Type::a);
  EXPECT_EQ(answer.status, Status::none);
  EXPECT_TRUE(answer.nxdomain);
}

TEST_F(Stub, OddOctetsReachTheWireAsTheyAre) {
  std::string asked;
  server.on_query = [&](const Server::Query& q) {
    asked = q.name;
    server.send(q, {.rcode = 3});
  };
  make();
  ask("a\\b\"\x80 c.example", Type::a);
  EXPECT_EQ(asked, "a\\b\"\x80 c.example");
}

TEST_F(Stub, CallbackMayAskAgain) {
  always({.rcode = 3});
  make();
  int answers = 0;
  resolver->ask({"one.example", Type::a}, [&](const Answer&) {
    ++answers;
    resolver->ask({"two.example", Type::a}, [&](const Answer&) { ++answers; });
  });
  until([&] { return answers == 2; });
  EXPECT_EQ(answers, 2);
}

TEST_F(Stub, ProbeTellsWhatTheUpstreamProves) {
  const auto probe = [&] {
    std::optional<Security> got;
    resolver->probe_dnssec([&](Security s) { got = s; });
    until([&] { return got.has_value(); });
    return got.value_or(Security::unknown);
  };
  make({.trust_ad = true});
  always({.ad = true});
  EXPECT_EQ(probe(), Security::secure);
  always({.ad = false});
  EXPECT_EQ(probe(), Security::insecure);
  make({.tries = 1, .trust_ad = true});
  always({.rcode = 2});
  EXPECT_EQ(probe(), Security::unknown);
}

TEST(StubSetup, RefusesWhatCannotWork) {
  Loop loop;
  EXPECT_EQ(StubResolver::create(loop, {}).error().code, "dns.setup");
  StubOptions options;
  options.upstreams = {*Endpoint::parse("127.0.0.1:53")};
  options.trust_anchor = "this is no record";
  EXPECT_EQ(StubResolver::create(loop, options).error().code, "dns.setup");
}

}  // namespace
}  // namespace postern::io
