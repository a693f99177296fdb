// A policy server on loopback, good and bad, and what a fetch makes of it.
#include "io/https_fetch.h"

#include <gmock/gmock.h>

#include <map>

#include "io/listen.h"
#include "io/stream.h"
#include "io/test_authority.h"
#include "io/timer.h"
#include "io/tls.h"

namespace postern::io {
namespace {

using namespace std::chrono_literals;
using mail::dns::Answer;
using mail::dns::Question;
using mail::dns::Status;
using mail::dns::Type;
using ::testing::HasSubstr;

constexpr const char* kHost = "files.test";

/// Answers every request with the same bytes.
class FileServer {
 public:
  FileServer(Loop& loop, const std::string& address, TlsServerContext context, std::uint16_t port = 0) : loop_(loop), context_(std::move(context)) {
    auto listening = listen_tcp({*IpAddress::parse(address), port}, 16);
    EXPECT_TRUE(listening);
    at = *local_endpoint(listening->get());
    acceptor_ = std::make_unique<Acceptor>(loop, *std::move(listening), [this](Fd fd, const Endpoint&) { clients_.push_back(std::make_unique<Client>(*this, std::move(fd))); });
  }
  Endpoint at;
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
  bool closes = true;      // in order, after the bytes
  bool speaks_tls = true;
  std::vector<std::string> requests;

 private:
  struct Client : StreamHandler {
    Client(FileServer& s, Fd fd) : server(s), stream(s.loop_, std::move(fd), *this) {
      if (!server.speaks_tls) return;
      EXPECT_TRUE(stream.start_tls_server(server.context_, TlsStart::immediate));
    }
    void on_data(ByteView data) override {
      in += text_of(data);
      if (!server.speaks_tls) return stream.write("HTTP/1.1 400 Bad Request\r\n\r\n");
      if (!in.ends_with("\r\n\r\n")) return;
      server.requests.push_back(std::exchange(in, {}));
      stream.write(server.bytes);
      if (server.closes) stream.finish();
    }
    void on_end(End, std::string_view) override { stream.close(); }
    FileServer& server;
    TcpStream stream;
    std::string in;
  };
  Loop& loop_;
  TlsServerContext context_;
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<std::unique_ptr<Client>> clients_;
};

class TableResolver final : public mail::dns::Resolver {
 public:
  void ask(const Question& question, Done done) override {
    const auto row = table.find(question);
    Answer none;
    none.status = Status::none;
    done(row == table.end() ? none : row->second);
  }
  void set(const std::string& name, Type type, const std::vector<std::string>& addresses) {
    Answer answer;
    answer.status = Status::found;
    for (const auto& text : addresses) answer.records.emplace_back(*IpAddress::parse(text));
    table[{name, type}] = answer;
  }
  std::map<Question, Answer> table;
};

class Https : public ::testing::Test {
 protected:
  Https() {
    const auto issued = root.issue_with_key(kHost, loop.now() - std::chrono::days{1}, std::chrono::days{10});
    context.emplace(*TlsServerContext::create({{issued.pem, std::string(issued.key->to_pem().view()), ""}}));
    server = std::make_unique<FileServer>(loop, "127.0.0.1", *context);
    request = {server->at, kHost, "/file", 1000, 10s};
    rules.port = server->at.port;
    rules.allow_special = true;
    rules.most_body = 1000;
    names.set(kHost, Type::a, {"127.0.0.1"});
  }
  static std::string shown(const Result<HttpResponse>& r) { return r ? std::to_string(r->status) + " " + r->body : std::string(r.error().code); }
  std::string get() {
    std::optional<std::string> result;
    HttpsGet fetch(loop, request, *store, [&](Result<HttpResponse> r) { result = shown(r); });
    return until(result);
  }
  std::string fetch(const std::string& host = kHost) {
    std::optional<std::string> result;
    HttpsFetch by_name(loop, names, *store, rules, host, "/file", [&](Result<HttpResponse> r) {
      if (!r) why = r.error().message;
      result = shown(r);
    });
    return until(result);
  }
  std::string until(const std::optional<std::string>& result) {
    bool timed_out = false;
    Timer limit(loop);
    limit.start(20s, [&] { timed_out = true; });
    while (!result && !timed_out) loop.turn();
    return result.value_or("never");
  }

  Loop loop;
  test::Authority root = test::Authority::root("Root", loop.now() - std::chrono::days{2}, std::chrono::days{30});
  std::optional<TrustStore> store{*TrustStore::load(root.pem())};
  std::optional<TlsServerContext> context;
  std::unique_ptr<FileServer> server;
  HttpsRequest request;
  TableResolver names;
  HttpsRules rules;
  std::string why;
};

TEST_F(Https, GetsAFile) {
  EXPECT_EQ(get(), "200 hello");
  ASSERT_EQ(server->requests.size(), 1U);
  EXPECT_THAT(server->requests[0], HasSubstr("GET /file HTTP/1.1\r\nHost: files.test:"));
  server->closes = false;
  EXPECT_EQ(get(), "200 hello") << "a counted body needs no end of the connection";
}

TEST_F(Https, ARedirectIsAnAnswerLikeAnyOther) {
  server->bytes = "HTTP/1.1 302 Found\r\nLocation: https://files.test/other\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(get(), "302 ");
  EXPECT_EQ(server->requests.size(), 1U);
}

TEST_F(Https, AsksNothingOfAServerThatDoesNotProveTheName) {
  request.host = "other.test";
  EXPECT_EQ(get(), "https.certificate");
  request.host = kHost;
  const auto stranger = test::Authority::root("Stranger", loop.now() - std::chrono::days{2}, std::chrono::days{30});
  store.emplace(*TrustStore::load(stranger.pem()));
  EXPECT_EQ(get(), "https.certificate");
  EXPECT_TRUE(server->requests.empty());
}

TEST_F(Https, BoundsSizeAndTime) {
  server->bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n";
  EXPECT_EQ(get(), "http.large");
  server->bytes = "HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x');
  EXPECT_EQ(get(), "http.large");
  server->bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell";
  server->closes = false;
  request.time = 200ms;
  EXPECT_EQ(get(), "https.time");
}

TEST_F(Https, ACutResponseIsNone) {
  server->bytes = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell";
  EXPECT_EQ(get(), "http.syntax");
  server->bytes = "garbage\r\n\r\n";
  EXPECT_EQ(get(), "http.syntax");
}

TEST_F(Https, NoConnectionAndNoTls) {
  server->speaks_tls = false;
  EXPECT_EQ(get(), "https.tls");
  request.to = {*IpAddress::parse("127.0.0.9"), server->at.port};
  EXPECT_EQ(get(), "https.connect");
}

TEST_F(Https, AFetchDoesNotFollowANameToAddressesOfOurs) {
  rules.allow_special = false;
  for (const auto& [type, address] : std::initializer_list<std::pair<Type, const char*>>{
           {Type::a, "127.0.0.1"}, {Type::a, "10.0.0.1"}, {Type::a, "192.168.1.1"}, {Type::a, "169.254.169.254"}, {Type::a, "0.0.0.0"}, {Type::aaaa, "::1"},
           {Type::aaaa, "fd00::1"}, {Type::aaaa, "fe80::1"}, {Type::aaaa, "::ffff:127.0.0.1"}, {Type::aaaa, "64:ff9b::7f00:1"}}) {
    names.table.clear();
    names.set(kHost, type, {address});
    EXPECT_EQ(fetch(), "https.address") << address;
    EXPECT_THAT(why, HasSubstr(IpAddress::parse(address)->to_string()));
  }
  EXPECT_TRUE(server->requests.empty());
}

TEST_F(Https, AFetchTriesTheNextAddress) {
  names.set(kHost, Type::a, {"127.0.0.9", "127.0.0.1"});
  EXPECT_EQ(fetch(), "200 hello");
  server->bytes = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  names.set(kHost, Type::a, {"127.0.0.1", "127.0.0.1"});
  const std::size_t before = server->requests.size();
  EXPECT_EQ(fetch(), "404 ");
  EXPECT_EQ(server->requests.size(), before + 1) << "an answer is an answer";
}

TEST_F(Https, AFetchWithoutAnAddressFails) {
  EXPECT_EQ(fetch("nowhere.test"), "https.address");
  Answer failed;
  names.table[{"lost.test", Type::a}] = failed;
  EXPECT_EQ(fetch("lost.test"), "https.address");
  EXPECT_THAT(why, HasSubstr("does not tell"));
}

}  // namespace
}  // namespace postern::io
