// The server over real sockets: a good client, and the attacks that the library alone would not withstand.
#include "web/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "io/test_authority.h"

namespace postern::web {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Browser final : io::StreamHandler {
  Browser(io::Loop& loop, const io::Endpoint& to) {
    sockaddr_storage address{};
    const socklen_t size = io::to_sockaddr(to, address);
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    stream = io::TcpStream(loop, std::move(fd), *this);
  }
  void on_data(ByteView data) override { heard += text_of(data); }
  void on_tls(const io::TlsInfo& info) override { tls = info.version; }
  void on_end(io::End, std::string_view) override { ended = true; }
  /// Whole answers heard: heads whose announced body has come too.
  std::size_t answers() const {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = heard.find("\r\n\r\n", at)) != std::string::npos; ++count) {
      const auto field = heard.rfind("Content-Length: ", at);
      if (field == std::string::npos) return count;
      at += 4 + std::stoul(heard.substr(field + 16));
      if (at > heard.size()) return count;
    }
    return count;
  }
  std::string heard, tls;
  bool ended = false;
  io::TcpStream stream;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    loop.before_block([this] {
      if (wanted && wanted()) loop.stop();
    });
  }
  ~ServerTest() override {
    server.reset();
    loop.turn();
  }
  void start(const ServerOptions& options = {}) {
    Pages pages = [this](std::string_view, std::string_view path) -> std::optional<Page> {
      asked.emplace_back(path);
      if (path == "/page") return Page{200, "text/plain; charset=utf-8", body};
      return std::nullopt;
    };
    server = std::make_unique<Server>(loop, std::move(pages), options, [this](int status) { statuses.push_back(status); });
    Fd listening = io::listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 512).value();
    at = io::local_endpoint(listening.get()).value();
    server->listen(std::move(listening));
  }
  /// Runs the loop until `what` holds. False: it does not within a time that no test needs.
  bool until(std::function<bool()> what) {
    bool in_time = true;
    io::Timer alarm(loop);
    alarm.start(30s, [&] { in_time = false, loop.stop(); });
    wanted = what;
    while (in_time && !what()) loop.run();
    wanted = nullptr;
    return what();
  }
  /// Sends `bytes`, and gives all that came back until the server ended the connection.
  std::string exchange(std::string_view bytes) {
    Browser browser(loop, at);
    browser.stream.write(bytes);
    EXPECT_TRUE(until([&] { return browser.ended; }));
    return browser.heard;
  }
  static std::string get(std::string_view fields = {}) { return "GET /page HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n"; }

  io::Loop loop;
  std::shared_ptr<const std::string> body = std::make_shared<const std::string>("hello");
  std::vector<std::string> asked;
  std::vector<int> statuses;
  std::unique_ptr<Server> server;
  io::Endpoint at;
  std::function<bool()> wanted;
};

TEST_F(ServerTest, AnswersAGetWithThePageAndTheSecurityFields) {
  start();
  const std::string heard = exchange(get("Connection: close\r\n"));
  EXPECT_THAT(heard, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(heard, EndsWith("\r\n\r\nhello"));
  for (const char* field : {"Content-Length: 5\r\n", "Content-Type: text/plain; charset=utf-8\r\n", "Content-Security-Policy: default-src 'none'", "frame-ancestors 'none'",
                            "X-Content-Type-Options: nosniff\r\n", "Referrer-Policy: no-referrer\r\n", "Cache-Control: no-store\r\n", "Connection: close\r\n", "\r\nDate: "})
    EXPECT_THAT(heard, HasSubstr(field));
  EXPECT_THAT(heard, Not(HasSubstr("Access-Control-Allow-Origin")));
}

TEST_F(ServerTest, AnswersSeveralRequestsOnOneConnectionInOrder) {
  start();
  Browser browser(loop, at);
  browser.stream.write(get() + "GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n" + get());
  ASSERT_TRUE(until([&] { return browser.answers() == 3; }));
  EXPECT_FALSE(browser.ended);
  EXPECT_EQ(statuses, (std::vector<int>{200, 404, 200}));
  browser.stream.write(get("Connection: close\r\n"));
  ASSERT_TRUE(until([&] { return browser.ended; }));
  EXPECT_EQ(browser.answers(), 4U);
}

TEST_F(ServerTest, EndsAConnectionAfterItsShareOfRequests) {
  start();
  std::string many;
  for (std::size_t i = 0; i < limits::kRequestsPerConnection + 20; ++i) many += get();
  exchange(many);
  EXPECT_EQ(statuses.size(), limits::kRequestsPerConnection);
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  start();
  const std::string heard = exchange("HEAD /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(heard, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(heard, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(heard, EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, AnswersAClientThatHasClosedItsSide) {
  body = std::make_shared<const std::string>(std::string(3'000'000, 'x'));
  start();
  Browser browser(loop, at);
  browser.stream.write(get());
  browser.stream.finish();
  ASSERT_TRUE(until([&] { return browser.ended; }));
  EXPECT_THAT(browser.heard, EndsWith("xxx"));
  EXPECT_GT(browser.heard.size(), 3'000'000U);
}

// ---- attacks -------------------------------------------------------------------------------------------------------

struct Attack {
  std::string name;
  std::string bytes;
  std::string answer;   // how it begins
};
std::string repeated(std::string_view piece, std::size_t count) {
  std::string out;
  out.reserve(piece.size() * count);
  while (count-- > 0) out += piece;
  return out;
}
const std::string kLine = "GET /page HTTP/1.1\r\nHost: localhost\r\n";

class Attacks : public ServerTest, public testing::WithParamInterface<Attack> {};
TEST_P(Attacks, AreRefusedAndAGoodClientIsServedAfter) {
  start();
  EXPECT_THAT(exchange(GetParam().bytes), StartsWith("HTTP/1.1 " + GetParam().answer));
  EXPECT_TRUE(asked.empty());
  EXPECT_THAT(exchange(get("Connection: close\r\n")), EndsWith("hello"));
  EXPECT_EQ(asked.size(), 1U);
  EXPECT_TRUE(until([&] { return server->connections() == 0; }));
}
INSTANTIATE_TEST_SUITE_P(
    Feasibility, Attacks,
    testing::Values(Attack{"StreamWithoutNewline", std::string(200'000, 'A'), "414"}, Attack{"FieldWithoutNewline", kLine + "A: " + std::string(200'000, 'A'), "431"},
                    Attack{"TwoHundredThousandFields", kLine + repeated("a: b\r\n", 200'000), "431"},
                    Attack{"Chunked", kLine + "Transfer-Encoding: chunked\r\n\r\n" + repeated("1000\r\n" + std::string(4096, 'x') + "\r\n", 20) + "0\r\n\r\n", "501"},
                    Attack{"ChunkOfNegativeSize", kLine + "Transfer-Encoding: chunked\r\n\r\n-2\r\n", "501"},
                    Attack{"LengthAndChunked", kLine + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
                    Attack{"LengthTwice", kLine + "Content-Length: 0\r\nContent-Length: 44\r\n\r\n", "400"},
                    Attack{"BodyThatIsARequest", kLine + "Content-Length: 40\r\n\r\nGET /page HTTP/1.1\r\nHost: localhost\r\n\r\n", "413"},
                    Attack{"LongPath", "GET /" + std::string(8192, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "414"},
                    Attack{"ForeignHost", "GET /page HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421"}, Attack{"Post", "POST /page HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"},
                    Attack{"ClientHelloInClear", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 12), "400"}),
    [](const auto& param) { return param.param.name; });

TEST_F(ServerTest, ARangeBombGetsThePageOnce) {
  start();
  const std::string heard = exchange(get("Range: bytes=0-0" + repeated(",0-4", 1000) + "\r\nConnection: close\r\n"));
  EXPECT_THAT(heard, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(heard, EndsWith("\r\n\r\nhello"));
  EXPECT_THAT(heard, Not(HasSubstr("multipart")));
}

TEST_F(ServerTest, EncodedLineEndsNeitherSplitTheAnswerNorReachAnything) {
  start();
  const std::string heard = exchange("GET /page%0D%0ASet-Cookie:%20a=b HTTP/1.1\r\nHost: localhost\r\nX: %0D%0ASet-Cookie: a=b\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(heard, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(heard, Not(HasSubstr("Set-Cookie")));
}

TEST_F(ServerTest, AClientThatDripsIsEndedAtAnAbsoluteDeadline) {
  start({.deadlines = {.head = 1s, .answer = 300ms}});
  const SteadyTime began = loop.steady();
  Browser browser(loop, at);
  browser.stream.write(kLine.substr(0, 1));
  ASSERT_TRUE(until([&] { return server->connections() == 1; }));
  std::size_t sent = 1;
  io::Timer drip(loop);
  drip.repeat(20ms, [&] { browser.stream.write(std::string_view(&kLine[sent++ % kLine.size()], 1)); });
  ASSERT_TRUE(until([&] { return browser.ended; }));
  drip.stop();
  // On a machine that stalls, the deadline may pass before the first byte was read: then there is nothing to answer.
  EXPECT_THAT(browser.heard, testing::AnyOf(StartsWith("HTTP/1.1 408"), testing::IsEmpty()));
  EXPECT_TRUE(asked.empty());
  EXPECT_GE(loop.steady() - began, 990ms);  // the loop counts whole milliseconds
  EXPECT_TRUE(until([&] { return server->connections() == 0; }));
}

TEST_F(ServerTest, IdleClientsHoldUpNobodyAndAreEnded) {
  start({.deadlines = {.head = 500ms, .answer = 300ms}});
  std::vector<std::unique_ptr<Browser>> idle;
  for (int i = 0; i < 60; ++i) idle.push_back(std::make_unique<Browser>(loop, at));
  ASSERT_TRUE(until([&] { return server->connections() == 60; }));
  EXPECT_THAT(exchange(get("Connection: close\r\n")), EndsWith("hello"));
  EXPECT_TRUE(until([&] { return server->connections() == 0; }));
  for (const auto& browser : idle) EXPECT_EQ(browser->heard, "");
}

TEST_F(ServerTest, AClientThatTakesNoAnswersMakesUsHoldOnlyAFew) {
  body = std::make_shared<const std::string>(std::string(1'000'000, 'x'));
  start({.deadlines = {.head = 300ms, .answer = 300ms}});
  Browser browser(loop, at);
  browser.stream.pause_reading();
  browser.stream.write(repeated(get(), 90));
  ASSERT_TRUE(until([&] { return !statuses.empty() && server->connections() == 0; }));
  EXPECT_LT(statuses.size(), 30U);  // what the kernel's buffers took, and one more; not 90 MB
}

TEST_F(ServerTest, OneAddressGetsItsShareOfConnections) {
  start({.deadlines = {}, .connections_per_client = 3});
  std::vector<std::unique_ptr<Browser>> browsers;
  for (int i = 0; i < 4; ++i) {
    browsers.push_back(std::make_unique<Browser>(loop, at));
    ASSERT_TRUE(until([&] { return server->connections() + statuses.size() == browsers.size(); }));
  }
  EXPECT_EQ(server->connections(), 3U);
  ASSERT_TRUE(until([&] { return browsers[3]->ended; }));
  EXPECT_EQ(browsers[3]->heard, "");
  browsers.pop_back();
  browsers.pop_back();
  ASSERT_TRUE(until([&] { return server->connections() == 2; }));
  EXPECT_THAT(exchange(get("Connection: close\r\n")), EndsWith("hello"));
}

TEST_F(ServerTest, StopsWhenTheLastClientIsGone) {
  start({.deadlines = {.head = 10s, .answer = 300ms}});
  Browser browser(loop, at);
  browser.stream.write(get());
  ASSERT_TRUE(until([&] { return browser.answers() == 1; }));
  bool stopped = false;
  server->stop([&] { stopped = true; });
  EXPECT_TRUE(until([&] { return stopped; }));
  EXPECT_EQ(server->connections(), 0U);
}

// ---- TLS -----------------------------------------------------------------------------------------------------------

TEST_F(ServerTest, ServesUnderTlsAndNeverInClearInstead) {
  start();
  server->set_transport(Transport::tls);
  EXPECT_EQ(exchange(get()), "");  // no certificate yet
  EXPECT_EQ(statuses, std::vector<int>{0});

  const auto now = SystemClock().now();
  const auto root = io::test::Authority::root("Test", now - std::chrono::hours{1}, std::chrono::days{2});
  const auto issued = root.issue_with_key("localhost", now - std::chrono::hours{1}, std::chrono::days{1});
  auto context = io::TlsServerContext::create({{.chain_pem = issued.pem, .key_pem = std::string(issued.key->to_pem().view()), .ocsp_staple = {}}});
  ASSERT_TRUE(context) << context.error().message;
  server->set_tls(std::make_shared<const io::TlsServerContext>(std::move(*context)));

  const auto client = io::TlsClientContext::create();
  ASSERT_TRUE(client);
  Browser browser(loop, at);
  ASSERT_TRUE(browser.stream.start_tls_client(*client, "localhost", io::TlsStart::immediate));
  browser.stream.write(get("Connection: close\r\n"));
  ASSERT_TRUE(until([&] { return browser.ended; }));
  EXPECT_EQ(browser.tls, "TLSv1.3");
  EXPECT_THAT(browser.heard, EndsWith("hello"));

  EXPECT_THAT(exchange(get()), Not(HasSubstr("HTTP")));
}

}  // namespace
}  // namespace postern::web
