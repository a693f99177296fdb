// The gate: what passes, what is refused and with which status.
#include "web/request.h"

#include <gtest/gtest.h>

#include "web/limits.h"

namespace postern::web {
namespace {

std::variant<Request, Refusal> read(std::string_view head, const std::vector<std::string>& names = {}) {
  HeadCollector collector;
  const auto seen = collector.look(head);
  if (const auto* refusal = std::get_if<Refusal>(&seen)) return *refusal;
  if (std::holds_alternative<std::monostate>(seen)) return Refusal{0, "not whole"};
  return parse_head(head.substr(0, std::get<std::size_t>(seen)), Hosts(names));
}
int status_of(std::string_view head, const std::vector<std::string>& names = {}) {
  const auto result = read(head, names);
  const auto* refusal = std::get_if<Refusal>(&result);
  return refusal != nullptr ? refusal->status : 200;
}
std::string get(std::string_view fields) { return "GET / HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n"; }

TEST(Gate, LetsAPlainRequestPass) {
  const auto result = read("GET /metrics?x=1&y=%00 HTTP/1.1\r\nHost: LocalHost:8025\r\nAccept: */*\r\n\r\n");
  ASSERT_TRUE(std::holds_alternative<Request>(result)) << std::get<Refusal>(result).why;
  const auto& request = std::get<Request>(result);
  EXPECT_EQ(request.method, Method::get);
  EXPECT_EQ(request.path, "/metrics");
  EXPECT_EQ(request.host, "localhost");
  EXPECT_TRUE(request.keep_alive);
}

TEST(Gate, WritesARequestAnewWithNothingOfTheClientsFields) {
  const auto result = read("HEAD /a%0D%0AX:y HTTP/1.1\r\nHost: [::1]:8025\r\nREMOTE_ADDR: 6.6.6.6\r\nX: %0D%0ASet-Cookie: a\r\nRange: bytes=0-1\r\n\r\n");
  ASSERT_TRUE(std::holds_alternative<Request>(result));
  EXPECT_EQ(canonical_head(std::get<Request>(result)), "HEAD /a%0D%0AX:y HTTP/1.1\r\nHost: [::1]\r\n\r\n");
}

TEST(Gate, KeepsTheConnectionAsBothVersionsSay) {  // RFC 9112 §9.3
  const auto keeps = [](std::string_view head) { return std::get<Request>(read(head)).keep_alive; };
  EXPECT_TRUE(keeps(get("")));
  EXPECT_FALSE(keeps(get("Connection: foo, Close\r\n")));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"));
}

struct Case {
  std::string name;
  std::string head;
  int status;
};
class GateCases : public testing::TestWithParam<Case> {};
TEST_P(GateCases, AreAnsweredWith) { EXPECT_EQ(status_of(GetParam().head), GetParam().status); }

INSTANTIATE_TEST_SUITE_P(
    Head, GateCases,
    testing::Values(Case{"Post", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405}, Case{"Connect", "CONNECT a:25 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
                    Case{"Options", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 405}, Case{"LowerCaseGet", "get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405},
                    Case{"MethodIsNoToken", "G\x01T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400}, Case{"TwoBlanks", "GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
                    Case{"NoVersion", "GET /\r\nHost: localhost\r\n\r\n", 400}, Case{"Http2", "PRI * HTTP/2.0\r\nHost: localhost\r\n\r\n", 505},
                    Case{"Asterisk", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400}, Case{"Fragment", "GET /#a HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
                    Case{"HighByteInTarget", "GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400},
                    Case{"AbsoluteForm", "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
                    Case{"AbsoluteFormElsewhere", "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421},
                    Case{"AbsoluteFormWithoutName", "GET http:/// HTTP/1.1\r\nHost: localhost\r\n\r\n", 400}, Case{"EmptyFirstLine", "\r\nGET / HTTP/1.1\r\n\r\n", 400}),
    [](const auto& param) { return param.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Fields, GateCases,
    testing::Values(Case{"TransferEncoding", get("Transfer-Encoding: chunked\r\n"), 501}, Case{"TransferEncodingIdentity", get("transfer-encoding: identity\r\n"), 501},
                    Case{"LengthAndTransferEncoding", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
                    Case{"TransferEncodingAndLengthZero", get("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"), 400},
                    Case{"LengthTwice", get("Content-Length: 0\r\nContent-Length: 0\r\n"), 400}, Case{"LengthList", get("Content-Length: 0, 0\r\n"), 400},
                    Case{"LengthNegative", get("Content-Length: -2\r\n"), 400}, Case{"LengthSigned", get("Content-Length: +0\r\n"), 400},
                    Case{"LengthEmpty", get("Content-Length:\r\n"), 400}, Case{"LengthOverflows", get("Content-Length: 18446744073709551616\r\n"), 400},
                    Case{"LengthZero", get("Content-Length: 0\r\n"), 200}, Case{"Body", get("Content-Length: 1\r\n"), 413}, Case{"Expect", get("Expect: 100-continue\r\n"), 417},
                    Case{"BlankBeforeColon", get("Transfer-Encoding : chunked\r\n"), 400}, Case{"Folded", get("A: b\r\n c\r\n"), 400}, Case{"NoColon", get("abc\r\n"), 400},
                    Case{"NoName", get(": b\r\n"), 400}, Case{"BareLf", get("A: b\nTransfer-Encoding: chunked\r\n"), 400}, Case{"BareCr", get("A: b\rc: d\r\n"), 400},
                    Case{"Nul", get(std::string("A: b\0c\r\n", 8)), 400}, Case{"Delete", get("A: \x7f\r\n"), 400}, Case{"Utf8Value", get("A: \xc3\xa9\r\n"), 200}),
    [](const auto& param) { return param.param.name; });

TEST(Gate, AnswersOnlyToItsNames) {
  struct Row {
    std::string host;
    std::vector<std::string> names;
    int status;
  };
  const Row rows[] = {
      {"localhost", {}, 200},          {"127.0.0.1", {}, 200},        {"127.9.9.9:80", {}, 200},       {"[::1]:8025", {}, 200},       {"[0:0:0:0:0:0:0:1]", {}, 200},
      {"LOCALHOST.", {}, 200},         {"evil.example", {}, 421},     {"192.0.2.1", {}, 421},          {"localhost.evil.example", {}, 421},
      {"", {}, 400},                   {"a b", {}, 400},              {"localhost:99999", {}, 400},    {"localhost:x", {}, 400},      {"[::1", {}, 400},
      {"[localhost]", {}, 400},        {"a,b", {}, 400},              {"user@localhost", {}, 400},     {"mail.example", {"Mail.Example"}, 200},
      {"MAIL.example:443", {"mail.example"}, 200}, {"localhost", {"mail.example"}, 421}, {"192.0.2.1", {"192.0.2.1"}, 200}, {"[2001:db8::1]", {"2001:DB8:0::1"}, 200},
  };
  for (const Row& row : rows) EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: " + row.host + "\r\n\r\n", row.names), row.status) << row.host;
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 400);
}

TEST(Gate, TakesTheLimitAndNotOneMore) {
  const auto target = [](std::size_t size) { return "GET /" + std::string(size - 1, 'a') + " HTTP/1.1\r\nHost: localhost\r\n\r\n"; };
  EXPECT_EQ(status_of(target(limits::kTargetBytes)), 200);
  EXPECT_EQ(status_of(target(limits::kTargetBytes + 1)), 414);
  EXPECT_EQ(status_of(target(8192)), 414);
  const auto fields = [](std::size_t count) {
    std::string out;
    for (std::size_t i = 1; i < count; ++i) out += "a: b\r\n";  // Host is the first
    return get(out);
  };
  EXPECT_EQ(status_of(fields(limits::kFields)), 200);
  EXPECT_EQ(status_of(fields(limits::kFields + 1)), 431);
  const auto field = [](std::size_t size) { return get("a:" + std::string(size - 2, 'b') + "\r\n"); };
  EXPECT_EQ(status_of(field(limits::kFieldBytes - 1)), 200);  // its CR counts
  EXPECT_EQ(status_of(field(limits::kFieldBytes + 1)), 431);
  const auto head = [](std::size_t size) {
    std::string out = "GET / HTTP/1.1\r\nHost: localhost\r\n";
    while (size - out.size() > 9000) out += "a: " + std::string(7995, 'b') + "\r\n";
    const std::size_t rest = size - out.size() - 2;
    return out + "a: " + std::string(rest - 5, 'b') + "\r\n\r\n";
  };
  ASSERT_EQ(head(limits::kHeadBytes).size(), limits::kHeadBytes);
  EXPECT_EQ(status_of(head(limits::kHeadBytes)), 200);
  EXPECT_EQ(status_of(head(limits::kHeadBytes + 1)), 431);
}

TEST(Gate, RefusesWhatCanNoLongerBecomeGoodBeforeItsEnd) {
  HeadCollector line;
  EXPECT_TRUE(std::holds_alternative<Refusal>(line.look(std::string(limits::kRequestLineBytes + 2, 'A'))));
  HeadCollector field;
  EXPECT_TRUE(std::holds_alternative<Refusal>(field.look("GET / HTTP/1.1\r\n" + std::string(limits::kFieldBytes + 2, 'A'))));
}

TEST(Gate, FindsTheSameEndHoweverTheBytesArrive) {
  const std::string head = get("A: b\r\n");
  const std::string input = head + "GET /next";
  for (std::size_t split = 0; split <= head.size(); ++split) {
    HeadCollector collector;
    const auto first = collector.look(std::string_view(input).substr(0, split));
    if (split < head.size()) {
      ASSERT_TRUE(std::holds_alternative<std::monostate>(first)) << split;
    }
    const auto second = split < head.size() ? collector.look(input) : first;
    ASSERT_TRUE(std::holds_alternative<std::size_t>(second)) << split;
    EXPECT_EQ(std::get<std::size_t>(second), head.size());
  }
}

}  // namespace
}  // namespace postern::web
