#include "io/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>

#include "io/keys.h"
#include "io/listen.h"
#include "io/timer.h"
#include "io/tls.h"

namespace postern::io {
namespace {

using namespace std::chrono_literals;

/// One end of a connection: notes what happens and may act on it.
struct Peer : StreamHandler {
  TcpStream stream;
  std::string received;
  std::optional<End> ended;
  std::string detail;
  std::optional<TlsInfo> tls;
  bool connected = false;
  int drained = 0;
  int reads = 0;
  std::function<void(Peer&)> act_connected, act_data, act_tls, act_end, act_drained;

  void on_connected() override {
    connected = true;
    if (act_connected) act_connected(*this);
  }
  void on_data(ByteView data) override {
    ++reads;
    received += text_of(data);
    if (act_data) act_data(*this);
  }
  void on_tls(const TlsInfo& info) override {
    tls = info;
    if (act_tls) act_tls(*this);
  }
  void on_drained() override {
    ++drained;
    if (act_drained) act_drained(*this);
  }
  void on_end(End reason, std::string_view words) override {
    EXPECT_FALSE(ended) << "ended twice";
    ended = reason;
    detail = words;
    if (act_end) act_end(*this);
  }
};

/// A connected pair on one loop; a watchdog fails what hangs.
class Streams : public ::testing::Test {
 protected:
  void SetUp() override {
    auto listening = listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 16);
    ASSERT_TRUE(listening) << listening.error().message;
    at = *local_endpoint(listening->get());
    acceptor = std::make_unique<Acceptor>(loop, *std::move(listening), [this](Fd fd, const Endpoint&) {
      server.stream = TcpStream(loop, std::move(fd), server);
      if (on_accept) on_accept();
    });
    watchdog.start(20s, [this] {
      ADD_FAILURE() << "hangs";
      loop.stop();
    });
    client.stream = TcpStream::connect(loop, at, 5s, client);
  }
  /// Turns the loop until `condition` holds.
  void until(const std::function<bool()>& condition) {
    bool timed_out = false;
    Timer limit(loop);
    limit.start(10s, [&] { timed_out = true; });
    while (!condition() && !timed_out) loop.turn();
    EXPECT_TRUE(condition()) << "did not come true";
  }
  void connect() {
    until([&] { return client.connected && server.stream.open(); });
  }

  Loop loop;
  Timer watchdog{loop};
  Endpoint at;
  std::unique_ptr<Acceptor> acceptor;
  std::function<void()> on_accept;
  Peer server, client;
};

TEST_F(Streams, EchoOfWhatWasWrittenBeforeTheConnectionStood) {
  server.act_data = [](Peer& p) { p.stream.write(p.received); };
  client.stream.write("EHLO client.example\r\n");
  until([&] { return client.received.size() == 21; });
  EXPECT_EQ(client.received, "EHLO client.example\r\n");
  EXPECT_EQ(*client.stream.peer(), at);
  EXPECT_EQ(*client.stream.local(), *server.stream.peer());
}

TEST_F(Streams, AllWritesOfOneTurnArriveTogether) {
  connect();
  for (int i = 0; i < 100; ++i) server.stream.write("250-line\r\n");
  until([&] { return client.received.size() == 1000; });
  EXPECT_EQ(client.reads, 1);
}

TEST_F(Streams, HalfCloseLetsTheOtherSideGoOn) {
  connect();
  server.act_end = [](Peer& p) { p.stream.write("still here"); p.stream.finish(); };
  client.stream.write("bye");
  client.stream.finish();
  client.stream.write("too late");
  until([&] { return client.ended.has_value(); });
  EXPECT_EQ(server.received, "bye");
  EXPECT_EQ(server.ended, End::closed);
  EXPECT_EQ(client.received, "still here");
  EXPECT_EQ(client.ended, End::closed);
}

TEST_F(Streams, HangUpDeliversTheLastReplyAlsoWhenInputIsUnread) {
  connect();
  const std::string last = "554 5.7.1 Go away\r\n";
  client.stream.write(std::string(200'000, 'x'));
  server.act_data = [&](Peer& p) {
    p.stream.write(last);
    p.stream.hang_up(10s);
    EXPECT_FALSE(p.stream.open());
  };
  until([&] { return client.ended.has_value(); });
  EXPECT_EQ(client.received, last);
  EXPECT_EQ(client.ended, End::closed);
  EXPECT_FALSE(server.ended);
  EXPECT_EQ(server.reads, 1);
}

TEST_F(Streams, BackPressureHoldsAndDrains) {
  connect();
  client.stream.pause_reading();
  const std::string block(1024 * 1024, 'b');
  std::size_t written = 0;
  while (!server.stream.congested() && written < 64 * block.size()) {
    server.stream.write(block);
    written += block.size();
    loop.turn();
  }
  EXPECT_TRUE(server.stream.congested());
  EXPECT_GT(server.stream.queued(), TcpStream::kHighWater);
  EXPECT_TRUE(client.received.empty());
  client.stream.resume_reading();
  until([&] { return client.received.size() == written; });
  until([&] { return server.drained == 1; });
  EXPECT_EQ(server.stream.queued(), 0U);
}

TEST_F(Streams, PausedReaderHearsNothingUntilResumed) {
  connect();
  server.stream.pause_reading();
  client.stream.write("data");
  client.stream.finish();
  for (int i = 0; i < 20; ++i) loop.turn();
  EXPECT_TRUE(server.received.empty());
  EXPECT_FALSE(server.ended);
  server.stream.resume_reading();
  until([&] { return server.ended.has_value(); });
  EXPECT_EQ(server.received, "data");
}

TEST_F(Streams, CallbackMayEndItsOwnStream) {
  connect();
  server.act_data = [](Peer& p) { p.stream.close(); };
  client.stream.write("x");
  until([&] { return client.ended.has_value(); });
  EXPECT_FALSE(server.ended);
}

TEST_F(Streams, ReplyIsHeardAlthoughWritingFailed) {
  connect();
  server.stream.write("421 closing\r\n");
  until([&] { return server.stream.queued() == 0; });
  client.stream.pause_reading();
  server.stream.close();
  // Our writes meet a closed socket; what the server said before stays readable.
  for (int i = 0; i < 50; ++i) {
    client.stream.write("more\r\n");
    loop.turn();
    if (i == 2) client.stream.resume_reading();
  }
  until([&] { return client.ended.has_value(); });
  EXPECT_EQ(client.received, "421 closing\r\n");
}

TEST_F(Streams, RefusedConnectionIsUnreachable) {
  connect();
  acceptor.reset();
  Peer late;
  late.stream = TcpStream::connect(loop, at, 5s, late);
  EXPECT_FALSE(late.ended);  // never from inside the call
  until([&] { return late.ended.has_value(); });
  EXPECT_EQ(late.ended, End::unreachable);
  EXPECT_FALSE(late.connected);
}

TEST_F(Streams, ImpossibleConnectionIsToldFromTheLoop) {
  connect();
  Peer odd;
  odd.stream = TcpStream::connect(loop, at, 5s, odd, *IpAddress::parse("192.0.2.1"));  // not an address of ours
  EXPECT_FALSE(odd.ended);
  until([&] { return odd.ended.has_value(); });
  EXPECT_EQ(odd.ended, End::unreachable);
  EXPECT_THAT(odd.detail, ::testing::HasSubstr("192.0.2.1"));
}

TEST_F(Streams, ConnectWithoutAnswerTimesOut) {
  connect();
  // A queue of one that nobody empties: the kernel lets later ones wait without an answer.
  auto full = listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 0);
  ASSERT_TRUE(full);
  const Endpoint there = *local_endpoint(full->get());
  std::vector<std::unique_ptr<Peer>> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(std::make_unique<Peer>());
    peers.back()->stream = TcpStream::connect(loop, there, 50ms, *peers.back());
  }
  until([&] { return peers.back()->ended.has_value(); });
  EXPECT_EQ(peers.back()->ended, End::timed_out);
}

TEST_F(Streams, ResetEndsTheStream) {
  connect();
  client.stream.write("unread");
  server.stream.pause_reading();
  until([&] { return client.stream.queued() == 0; });
  server.stream.close();  // unread bytes: the kernel resets
  until([&] { return client.ended.has_value(); });
  EXPECT_EQ(client.ended, End::reset);
}

// ---- TLS ----

struct Certificates {
  PrivateKey key = *PrivateKey::generate(KeyType::ec_p256);
  TlsServerContext context = make(key);
  static TlsServerContext make(const PrivateKey& key) {
    const auto from = SystemClock().now() - std::chrono::days{1};
    return *TlsServerContext::create({{*key.self_signed("mx.example", from, std::chrono::days{2}), std::string(key.to_pem().view()), ""}});
  }
};

class TlsStreams : public Streams {
 protected:
  /// Both ends upgrade as STARTTLS does.
  void upgrade() {
    server.act_data = [this](Peer& p) {
      if (p.received != "STARTTLS\r\n") return;
      p.received.clear();
      p.act_data = nullptr;
      p.stream.write("220 go\r\n");
      dropped_by_server = *p.stream.start_tls_server(certificates.context, TlsStart::upgrade);
    };
    client.act_data = [this](Peer& p) {
      if (p.received != "220 go\r\n") return;
      p.received.clear();
      p.act_data = nullptr;
      dropped_by_client = *p.stream.start_tls_client(context, "mx.example", TlsStart::upgrade);
    };
    client.stream.write("STARTTLS\r\n");
  }
  void shake_hands() {
    upgrade();
    until([&] { return server.tls && client.tls; });
  }

  Certificates certificates;
  TlsClientContext context = *TlsClientContext::create();
  std::size_t dropped_by_server = 999, dropped_by_client = 999;
};

TEST_F(TlsStreams, StartTlsUpgradesAndCarriesBothWays) {
  connect();
  shake_hands();
  EXPECT_EQ(dropped_by_server, 0U);
  EXPECT_EQ(dropped_by_client, 0U);
  EXPECT_EQ(server.tls->version, "TLSv1.3");
  EXPECT_EQ(server.tls->servername, "mx.example");
  EXPECT_GE(server.tls->strength, 128);
  EXPECT_EQ(client.tls->cipher, server.tls->cipher);
  EXPECT_TRUE(server.tls->peer_chain_pem.empty());
  EXPECT_EQ(client.tls->peer_chain_pem.substr(0, 27), "-----BEGIN CERTIFICATE-----");
  EXPECT_TRUE(client.stream.is_tls());
  client.stream.write("EHLO a\r\n");
  server.stream.write("250 b\r\n");
  until([&] { return server.received == "EHLO a\r\n" && client.received == "250 b\r\n"; });
}

TEST_F(TlsStreams, ImplicitTlsKeepsAHandshakeThatHasComeAlready) {
  on_accept = [this] {
    const auto dropped = server.stream.start_tls_server(certificates.context, TlsStart::immediate);
    ASSERT_TRUE(dropped);
    EXPECT_EQ(*dropped, 0U);
  };
  client.act_connected = [this](Peer& p) { ASSERT_TRUE(p.stream.start_tls_client(context, "", TlsStart::immediate)); };
  client.stream.finish();  // as soon as there is TLS: close_notify, then FIN
  until([&] { return client.tls.has_value(); });
  EXPECT_EQ(server.tls ? server.tls->servername : "", "");
  until([&] { return server.ended.has_value(); });
  EXPECT_EQ(server.ended, End::closed);
}

TEST_F(TlsStreams, WritesDuringTheHandshakeWaitForItsEnd) {
  connect();
  upgrade();
  client.act_data = [this](Peer& p) {
    p.received.clear();
    p.act_data = nullptr;
    ASSERT_TRUE(p.stream.start_tls_client(context, "mx.example", TlsStart::upgrade));
    p.stream.write("EHLO under tls\r\n");
  };
  until([&] { return server.received == "EHLO under tls\r\n"; });
}

TEST_F(TlsStreams, ClearTextBehindStartTlsIsDroppedAndCounted) {
  connect();
  server.act_data = [](Peer& p) {
    p.act_data = nullptr;
    p.stream.pause_reading();
  };
  client.stream.write("STARTTLS\r\n");
  until([&] { return server.reads == 1; });
  client.stream.write("MAIL FROM:<evil@example>\r\n");
  until([&] { return client.stream.queued() == 0; });
  loop.turn();
  server.stream.write("220 go\r\n");
  const auto dropped = server.stream.start_tls_server(certificates.context, TlsStart::upgrade);
  ASSERT_TRUE(dropped);
  EXPECT_EQ(*dropped, 26U);
  server.stream.resume_reading();
  client.act_data = [this](Peer& p) {
    p.act_data = nullptr;
    ASSERT_TRUE(p.stream.start_tls_client(context, "mx.example", TlsStart::upgrade));
  };
  until([&] { return server.tls && client.tls; });
  client.stream.write("QUIT\r\n");
  until([&] { return server.reads > 1; });
  EXPECT_EQ(server.received, "STARTTLS\r\nQUIT\r\n");
}

TEST_F(TlsStreams, ClearTextInsteadOfAHandshakeFails) {
  connect();
  server.act_data = [this](Peer& p) {
    p.act_data = nullptr;
    p.stream.write("220 go\r\n");
    ASSERT_TRUE(p.stream.start_tls_server(certificates.context, TlsStart::upgrade));
  };
  client.act_data = [](Peer& p) {
    p.act_data = nullptr;
    p.stream.write("MAIL FROM:<evil@example>\r\nRCPT TO:<a@example>\r\n");
  };
  client.stream.write("STARTTLS\r\n");
  until([&] { return server.ended.has_value(); });
  EXPECT_EQ(server.ended, End::handshake);
  EXPECT_FALSE(server.detail.empty());
  EXPECT_EQ(server.received, "STARTTLS\r\n");
}

TEST_F(TlsStreams, NothingAfterCloseNotifyIsHeard) {
  connect();
  shake_hands();
  client.stream.write("BDAT 100\r\npart");
  client.stream.finish();
  until([&] { return server.ended.has_value(); });
  EXPECT_EQ(server.ended, End::closed);
  EXPECT_EQ(server.received, "BDAT 100\r\npart");
  server.stream.write("421 bye\r\n");
  server.stream.finish();
  until([&] { return client.ended.has_value(); });
  EXPECT_EQ(client.received, "421 bye\r\n");
  EXPECT_EQ(client.ended, End::closed);
}

TEST_F(TlsStreams, EndWithoutCloseNotifyIsTruncated) {
  connect();
  shake_hands();
  client.stream.write("QUIT\r\n");
  until([&] { return client.stream.queued() == 0 && server.received == "QUIT\r\n"; });
  client.stream.close();
  until([&] { return server.ended.has_value(); });
  EXPECT_EQ(server.ended, End::truncated);
}

TEST_F(TlsStreams, HangUpSendsTheReplyAndCloseNotify) {
  connect();
  shake_hands();
  server.act_data = [](Peer& p) {
    p.stream.write("221 bye\r\n");
    p.stream.hang_up();
  };
  client.stream.write("QUIT\r\n");
  until([&] { return client.ended.has_value(); });
  EXPECT_EQ(client.received, "221 bye\r\n");
  EXPECT_EQ(client.ended, End::closed);
}

TEST_F(TlsStreams, LargeDataPassesInBothDirectionsUnderBackPressure) {
  connect();
  shake_hands();
  std::string block(3 * 1024 * 1024, '\0');
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>('a' + i % 23);
  client.stream.write(block);
  server.stream.write(block);
  EXPECT_TRUE(client.stream.congested());
  until([&] { return server.received.size() >= block.size() && client.received.size() >= block.size(); });
  EXPECT_TRUE(server.received == block);
  EXPECT_TRUE(client.received == block);
  until([&] { return client.drained == 1 && server.drained == 1; });
}

TEST_F(TlsStreams, PauseInsideARecordSeriesKeepsTheRest) {
  connect();
  shake_hands();
  server.reads = 0;
  server.act_data = [](Peer& p) { p.stream.pause_reading(); };
  const std::string block(200'000, 'r');
  client.stream.write(block);
  until([&] { return server.reads == 1; });
  for (int i = 0; i < 20; ++i) loop.turn();
  EXPECT_EQ(server.reads, 1);
  while (server.received.size() < block.size()) {
    const int before = server.reads;
    server.stream.resume_reading();
    until([&] { return server.reads == before + 1; });
  }
  EXPECT_TRUE(server.received == block);
}

TEST_F(TlsStreams, StreamMayEndInsideTheHandshakeCallback) {
  connect();
  upgrade();
  server.act_tls = [](Peer& p) { p.stream.close(); };
  until([&] { return client.ended.has_value(); });
  EXPECT_TRUE(server.tls);
}

TEST_F(TlsStreams, SecondStartIsRefused) {
  connect();
  shake_hands();
  const auto again = server.stream.start_tls_server(certificates.context, TlsStart::upgrade);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "tls.start");
}

TEST_F(TlsStreams, OldContextServesItsConnectionsAfterAReload) {
  connect();
  shake_hands();
  certificates.context = Certificates::make(*PrivateKey::generate(KeyType::ec_p256));
  client.stream.write("NOOP\r\n");
  until([&] { return server.received == "NOOP\r\n"; });
  EXPECT_EQ(server.received, "NOOP\r\n");
}

}  // namespace
}  // namespace postern::io
