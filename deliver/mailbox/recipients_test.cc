#include "deliver/mailbox/recipients.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "deliver/mailbox/client_socket.h"
#include "deliver/mailbox/test_support.h"
#include "privsep/ticket.h"

namespace postern::mailbox {
namespace {

using privsep::TicketKind;

/// Two ends of a TCP connection over loopback; `accepted` is what a listener would hand over.
struct TcpPair {
  Fd listening, client, accepted;
  TcpPair() {
    listening.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listening.get(), 1), 0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    client.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    accepted.reset(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }
};

class RecipientsTest : public testing::Test {
 protected:
  RecipientsTest() { set_networks({"127.0.0.0/8"}); }
  void set_networks(const std::vector<std::string>& networks) {
    Recipients::Options options;
    for (const auto& network : networks) options.relay_networks.push_back(IpPrefix::parse(network).value());
    recipients_.configure(std::move(options));
  }
  privsep::RecipientVerdict ask(std::string_view recipient, const Fd& client = Fd(), std::uint64_t size = 0) {
    privsep::RecipientQuery query;
    query.recipient = recipient;
    query.client = IpAddress::parse("127.0.0.1").value();  // what the listener says counts for nothing
    query.size = size;
    return recipients_.judge(query, client);
  }
  static std::string reply(const privsep::RecipientVerdict& verdict) {
    return std::to_string(verdict.reply.code) + " " + verdict.reply.enhanced + " " + std::to_string(verdict.tickets.size());
  }
  House house_;
  Secret key_{std::string(32, 'k')};
  privsep::Metrics metrics_;
  Log log_{[](Severity, std::string_view) {}, Severity::debug};
  Recipients recipients_{house_.directory, key_, house_.clock, metrics_, log_};
};

TEST_F(RecipientsTest, OursGetTicketsThatTheQueueCanCheck) {
  house_.add_account("a@example.org");
  ASSERT_TRUE(house_.directory.add_alias("team@example.org", {"a@example.org", "b@elsewhere.example"}));
  const auto verdict = ask("Team@example.org");
  ASSERT_EQ(reply(verdict), "250 2.1.5 2");
  EXPECT_EQ(verdict.tickets[0].kind, TicketKind::local);
  EXPECT_EQ(verdict.tickets[0].recipient, "Team@example.org");
  EXPECT_EQ(verdict.tickets[0].target, "a@example.org");
  EXPECT_EQ(verdict.tickets[1].kind, TicketKind::relay);  // a forward an administrator set up
  EXPECT_EQ(verdict.tickets[1].target, "b@elsewhere.example");
  for (const auto& ticket : verdict.tickets) {
    EXPECT_TRUE(privsep::check(ticket, key_, house_.clock.now()));
    EXPECT_FALSE(privsep::check(ticket, key_, house_.clock.now() + privsep::kTicketLife + std::chrono::seconds(1)));
    auto changed = ticket;
    changed.target = "c@elsewhere.example";
    EXPECT_FALSE(privsep::check(changed, key_, house_.clock.now()));
  }
}

TEST_F(RecipientsTest, RefusesWithTheCodeOfTheReason) {
  house_.add_account("off@example.org", {.enabled = false});
  EXPECT_EQ(reply(ask("nobody@example.org")), "550 5.1.1 0");
  EXPECT_EQ(reply(ask("off@example.org")), "550 5.2.1 0");
  EXPECT_EQ(reply(ask("someone@elsewhere.example")), "550 5.7.1 0");
  EXPECT_EQ(reply(ask("a@b@c")), "553 5.1.3 0");
}

TEST_F(RecipientsTest, QuotaCountsTheDeclaredSize) {
  const auto account = house_.add_account("a@example.org", {.quota_bytes = 1000});
  EXPECT_EQ(reply(ask("a@example.org", {}, 1000)), "250 2.1.5 1");
  EXPECT_EQ(reply(ask("a@example.org", {}, 1001)), "452 4.2.2 0");
  EXPECT_EQ(reply(ask("a@example.org", {}, UINT64_MAX)), "452 4.2.2 0");
  Incoming message;
  message.account = account.record.id;
  message.bytes = message_of(std::string(1000, 'x'));
  ASSERT_TRUE(house_.store.append(message, Flags{}));
  EXPECT_EQ(reply(ask("a@example.org")), "452 4.2.2 0");
  // One full target does not keep mail from the others.
  house_.add_account("b@example.org");
  ASSERT_TRUE(house_.directory.add_alias("ab@example.org", {"a@example.org", "b@example.org"}));
  EXPECT_EQ(reply(ask("ab@example.org")), "250 2.1.5 2");
}

TEST_F(RecipientsTest, AFullStoreDefers) {
  house_.add_account("a@example.org");
  recipients_.set_room(false);
  EXPECT_EQ(reply(ask("a@example.org")), "452 4.3.1 0");
}

TEST_F(RecipientsTest, RelayingNeedsTheSocketOfAClientThatMay) {
  const TcpPair tcp;
  const auto verdict = ask("Some.One@elsewhere.example", tcp.accepted);
  ASSERT_EQ(reply(verdict), "250 2.1.5 1");
  EXPECT_EQ(verdict.tickets[0].kind, TicketKind::relay);
  EXPECT_EQ(verdict.tickets[0].target, "Some.One@elsewhere.example");
  set_networks({"192.0.2.0/24"});
  EXPECT_EQ(reply(ask("someone@elsewhere.example", tcp.accepted)), "550 5.7.1 0");
  set_networks({});
  EXPECT_EQ(reply(ask("someone@elsewhere.example", tcp.accepted)), "550 5.7.1 0");
}

TEST_F(RecipientsTest, NothingElseThanAClientsSocketOpensTheRelay) {
  const TcpPair tcp;
  int unix_pair[2], pipe_pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair), 0);
  ASSERT_EQ(::pipe(pipe_pair), 0);
  const Fd unix_a(unix_pair[0]), unix_b(unix_pair[1]), pipe_a(pipe_pair[0]), pipe_b(pipe_pair[1]);
  const Fd udp(::socket(AF_INET, SOCK_DGRAM, 0)), unconnected(::socket(AF_INET, SOCK_STREAM, 0)), null(::open("/dev/null", O_RDONLY));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::connect(udp.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const struct {
    const char* what;
    const Fd* fd;
  } cases[] = {{"a unix socket", &unix_a}, {"a pipe", &pipe_a}, {"a UDP socket that says 127.0.0.1", &udp},
               {"a TCP socket that is not connected", &unconnected}, {"a listening socket", &tcp.listening}, {"a file", &null}};
  for (const auto& c : cases) EXPECT_EQ(reply(ask("someone@elsewhere.example", *c.fd)), "550 5.7.1 0") << c.what;
}

TEST(ClientSocket, AV4ClientOfAV6SocketIsKnownByItsV4Address) {
  const Fd listening(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(listening) << "this test needs a kernel with IPv6";
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)), 0);
  ASSERT_EQ(::listen(listening.get(), 1), 0);
  socklen_t size = sizeof(any);
  ASSERT_EQ(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = any.sin6_port;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  const Fd accepted(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(address_of_client(accepted).value().to_string(), "127.0.0.1");
}

}  // namespace
}  // namespace postern::mailbox
