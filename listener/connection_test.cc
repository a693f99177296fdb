// Connections over real sockets on one loop: acceptor, stream, TLS and session together; the other processes are played.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "io/keys.h"
#include "io/memfd.h"
#include "listener/acceptor.h"

namespace postern::listener {
namespace {

struct PlayedBackend final : Backend {
  explicit PlayedBackend(io::Loop& on) : loop(on) {}
  void ask_recipient(const privsep::RecipientQuery& query, int proof, std::function<void(const Result<privsep::RecipientVerdict>&)> done) override {
    if (proof >= 0) proven = io::peer_endpoint(proof).value();
    privsep::RecipientVerdict verdict;
    verdict.reply = {250, "2.1.5", "OK"};
    verdict.tickets.push_back({.kind = privsep::TicketKind::local, .recipient = query.recipient, .target = query.recipient, .expires = {}, .mac = Bytes(16)});
    loop.post([done = std::move(done), verdict] { done(verdict); });
  }
  void submit(const privsep::Submission& submission, bool outbound, const Fd& body, std::function<void(const Result<privsep::SubmissionVerdict>&)> done) override {
    went_out = outbound;
    bodies.emplace_back(text_of(io::read_sealed(body, submission.content.size, 1 << 24).value()));
    answer = std::move(done);
    if (!hold_verdicts) give_verdict();
  }
  void give_verdict() {
    loop.post([done = std::move(answer)] { done(privsep::SubmissionVerdict{{250, "2.0.0", "taken"}}); });
  }
  io::Loop& loop;
  std::vector<std::string> bodies;
  std::optional<io::Endpoint> proven;
  bool went_out = false;
  bool hold_verdicts = false;
  std::function<void(const Result<privsep::SubmissionVerdict>&)> answer;
};

struct TestClient final : io::StreamHandler {
  TestClient(io::Loop& loop, const io::Endpoint& to) {
    sockaddr_storage address{};
    const socklen_t size = io::to_sockaddr(to, address);
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    local = io::local_endpoint(fd.get()).value();
    raw = fd.duplicate();
    stream = io::TcpStream(loop, std::move(fd), *this);
  }
  void on_data(ByteView data) override { heard += text_of(data); }
  void on_tls(const io::TlsInfo& info) override { tls = info.version; }
  void on_end(io::End, std::string_view) override { ended = true; }
  std::string heard, tls;
  bool ended = false;
  io::Endpoint local;
  Fd raw;  // the same connection, past the stream: for bytes no honest TLS client would send
  io::TcpStream stream;
};

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    loop.before_block([this] {
      if (wanted && wanted()) loop.stop();
    });
    start({});
  }
  void start(const Settings& settings) {
    context.apply(settings);
    acceptor = std::make_unique<Acceptor>(loop, context, backend);
    Fd listening = io::listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 64).value();
    at = io::local_endpoint(listening.get()).value();
    acceptor->listen(std::move(listening));
  }
  /// Runs the loop until `what` holds. False: it does not within a time that no test needs.
  bool until(std::function<bool()> what) {
    bool in_time = true;
    io::Timer alarm(loop);
    alarm.start(std::chrono::seconds{30}, [&] { in_time = false, loop.stop(); });
    wanted = what;
    while (in_time && !what()) loop.run();
    wanted = nullptr;
    return in_time && what();
  }
  bool hears(TestClient& client, std::string_view text) {
    return until([&] { return client.heard.find(text) != std::string::npos; });
  }
  void offer_tls() {
    const auto key = io::PrivateKey::generate(io::KeyType::ec_p256).value();
    const auto now = loop.now();
    io::ServerCertificate certificate{.chain_pem = key.self_signed("mx.example", now - std::chrono::hours{1}, std::chrono::days{2}).value(),
                                      .key_pem = std::string(key.to_pem().view()), .ocsp_staple = {}};
    acceptor->set_tls(std::make_shared<const io::TlsServerContext>(io::TlsServerContext::create({certificate}).value()));
  }
  void go_tls(TestClient& client) {
    ASSERT_TRUE(hears(client, "220 "));
    client.stream.write("EHLO a.example\r\n");
    ASSERT_TRUE(hears(client, "STARTTLS"));
    client.stream.write("STARTTLS\r\n");
    ASSERT_TRUE(hears(client, "220 2.0.0"));
    static const auto tls = io::TlsClientContext::create().value();
    ASSERT_TRUE(client.stream.start_tls_client(tls, "mx.example", io::TlsStart::upgrade));
    ASSERT_TRUE(until([&] { return !client.tls.empty(); }));
    client.heard.clear();
  }

  io::Loop loop;
  crypto::SystemEntropy entropy;
  std::vector<std::string> lines;
  Log log{[this](Severity, std::string_view line) { lines.emplace_back(line); }, Severity::info};
  privsep::Metrics metrics;
  Context context{{}, loop, entropy, log, metrics};
  PlayedBackend backend{loop};
  std::unique_ptr<Acceptor> acceptor;
  io::Endpoint at;
  std::function<bool()> wanted;
};

constexpr std::string_view kOpen = "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@mx.example>\r\n";

TEST_F(ConnectionTest, AMessageGoesThroughInClear) {
  TestClient client(loop, at);
  ASSERT_TRUE(hears(client, "220 "));
  client.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(client, "250 HELP"));
  client.stream.write(std::string(kOpen) + "DATA\r\n");
  ASSERT_TRUE(hears(client, "354 "));
  client.stream.write("A: b\r\n\r\nx\r\n.\r\nQUIT\r\n");
  ASSERT_TRUE(until([&] { return client.ended; }));
  EXPECT_NE(client.heard.find("250 2.0.0 taken\r\n221 2.0.0 Bye\r\n"), std::string::npos) << client.heard;
  ASSERT_EQ(backend.bodies.size(), 1U);
  EXPECT_EQ(backend.bodies[0], "A: b\r\n\r\nx\r\n");
  EXPECT_TRUE(until([&] { return acceptor->connections() == 0; }));
  EXPECT_EQ(context.budget.used(), 0U);
}

TEST_F(ConnectionTest, AMessageGoesThroughUnderTls) {
  offer_tls();
  TestClient client(loop, at);
  ASSERT_NO_FATAL_FAILURE(go_tls(client));
  client.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(client, "250-REQUIRETLS"));
  client.stream.write(std::string(kOpen) + "BDAT 9 LAST\r\nA: b\r\n\r\nx");
  ASSERT_TRUE(hears(client, "250 2.0.0 taken"));
  EXPECT_EQ(client.tls, "TLSv1.3");
  EXPECT_EQ(backend.bodies.at(0), "A: b\r\n\r\nx\r\n");
}

TEST_F(ConnectionTest, BytesBehindStartTlsEndTheConnection) {  // CVE-2011-0411
  offer_tls();
  TestClient client(loop, at);
  ASSERT_TRUE(hears(client, "220 "));
  client.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(client, "STARTTLS"));
  client.stream.write("STARTTLS\r\nEHLO b.example\r\nMAIL FROM:<injected@b.example>\r\n");
  ASSERT_TRUE(until([&] { return client.ended; }));
  EXPECT_EQ(client.heard.find("250 2.1.0"), std::string::npos);
  EXPECT_NE(client.heard.find("554 5.5.1"), std::string::npos);
}

// The Dead.Letter class (CVE-2026-45185): TLS ends inside a chunk, then bytes come in clear. The session ends, nothing is delivered.
TEST_F(ConnectionTest, CloseNotifyInsideAChunkEndsTheSessionAtEveryOffset) {
  offer_tls();
  const std::string chunk = "BDAT 9 LAST\r\nA: b\r\n\r\nx";
  for (std::size_t offset = 0; offset < chunk.size(); ++offset) {
    TestClient client(loop, at);
    ASSERT_NO_FATAL_FAILURE(go_tls(client));
    client.stream.write("EHLO a.example\r\n");
    ASSERT_TRUE(hears(client, "250 HELP"));
    client.stream.write(std::string(kOpen));
    ASSERT_TRUE(hears(client, "250 2.1.5"));
    client.stream.write(chunk.substr(0, offset));
    client.stream.finish();
    (void)::send(client.raw.get(), "x", 1, MSG_NOSIGNAL);
    ASSERT_TRUE(until([&] { return acceptor->connections() == 0; })) << offset;
    EXPECT_TRUE(backend.bodies.empty()) << offset;
  }
}

TEST_F(ConnectionTest, PastTheLimitsClientsAreTurnedAwayWithOneLine) {
  Settings settings;
  settings.max_connections = 1;
  start(settings);
  TestClient first(loop, at);
  ASSERT_TRUE(hears(first, "220 "));
  TestClient second(loop, at);
  ASSERT_TRUE(until([&] { return second.ended; }));
  EXPECT_EQ(second.heard, "421 4.7.0 Too many connections, try again later\r\n");
  first.stream.close();
  first.raw.reset();
  ASSERT_TRUE(until([&] { return acceptor->connections() == 0; }));
  TestClient third(loop, at);
  EXPECT_TRUE(hears(third, "220 "));
}

TEST_F(ConnectionTest, ARelayClientProvesWhoItIsByItsOwnSocket) {
  Settings settings;
  settings.relay_networks.push_back(*IpPrefix::parse("127.0.0.0/8"));
  start(settings);
  TestClient client(loop, at);
  ASSERT_TRUE(hears(client, "220 "));
  client.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(client, "250 HELP"));
  client.stream.write(std::string(kOpen) + "DATA\r\n");
  ASSERT_TRUE(hears(client, "354 "));
  EXPECT_EQ(backend.proven, client.local);
  client.stream.write("A: b\r\n\r\n.\r\n");
  ASSERT_TRUE(hears(client, "250 2.0.0"));
  EXPECT_TRUE(backend.went_out);
  client.stream.write("QUIT\r\n");
  EXPECT_TRUE(until([&] { return client.ended; })) << "the second descriptor does not keep the connection open";
}

TEST_F(ConnectionTest, AStrangerProvesNothing) {
  TestClient client(loop, at);
  ASSERT_TRUE(hears(client, "220 "));
  client.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(client, "250 HELP"));
  client.stream.write(std::string(kOpen));
  ASSERT_TRUE(hears(client, "250 2.1.5"));
  EXPECT_FALSE(backend.proven);
}

TEST_F(ConnectionTest, AClientThatVanishesWaitingForItsVerdictHarmsNobody) {
  backend.hold_verdicts = true;
  TestClient client(loop, at);
  ASSERT_TRUE(hears(client, "220 "));
  client.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(client, "250 HELP"));
  client.stream.write(std::string(kOpen) + "DATA\r\n");
  ASSERT_TRUE(hears(client, "354 "));
  client.stream.write("A: b\r\n\r\n.\r\n");
  ASSERT_TRUE(until([&] { return !backend.bodies.empty(); }));
  const linger hard{1, 0};
  ::setsockopt(client.raw.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);  // a reset, not an end
  client.raw.reset();
  client.stream.close();
  ASSERT_TRUE(until([&] { return acceptor->connections() == 0; }));
  backend.give_verdict();
  TestClient next(loop, at);
  EXPECT_TRUE(hears(next, "220 "));
}

TEST_F(ConnectionTest, StopsWhenTheLastMessageIsAnswered) {
  backend.hold_verdicts = true;
  TestClient idle(loop, at), busy(loop, at);
  ASSERT_TRUE(hears(idle, "220 "));
  ASSERT_TRUE(hears(busy, "220 "));
  busy.stream.write("EHLO a.example\r\n");
  ASSERT_TRUE(hears(busy, "250 HELP"));
  busy.stream.write(std::string(kOpen) + "DATA\r\n");
  ASSERT_TRUE(hears(busy, "354 "));
  busy.stream.write("A: b\r\n\r\n.\r\n");
  ASSERT_TRUE(until([&] { return !backend.bodies.empty(); }));
  bool stopped = false;
  acceptor->stop([&] { stopped = true; });
  ASSERT_TRUE(hears(idle, "421 4.3.2"));
  EXPECT_FALSE(stopped);
  backend.give_verdict();
  ASSERT_TRUE(hears(busy, "250 2.0.0 taken\r\n421 4.3.2"));
  EXPECT_TRUE(until([&] { return stopped; }));
}

}  // namespace
}  // namespace postern::listener
