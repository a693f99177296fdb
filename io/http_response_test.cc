#include "io/http_response.h"

#include <gtest/gtest.h>

namespace postern::io {
namespace {

constexpr std::size_t kMost = 20;

struct Row {
  const char* says;
  std::string bytes;
  std::string expected;  // "200 text/plain|body", or the error's code
  bool ended = false;    // the server closes in order behind it
};

std::string head(const std::string& fields, const std::string& status = "HTTP/1.1 200 OK") { return status + "\r\n" + fields + "\r\n"; }

const Row kRows[] = {
    {"a counted body", head("Content-Type: text/plain\r\nContent-Length: 5\r\n") + "hello", "200 text/plain|hello"},
    {"what follows is not looked at", head("Content-Length: 5\r\n") + "hello and more", "200 |hello"},
    {"an empty body", head("Content-Length: 0\r\n"), "200 |"},
    {"no status text, parameters, any case", head("cOnTent-TYPE:  Text/Plain ; charset=utf-8\r\ncontent-length:1\r\n", "HTTP/1.1 200") + "x", "200 text/plain|x"},
    {"chunks, an extension, a trailer", head("Transfer-Encoding: chunked\r\n") + "3;a=b\r\nabc\r\n00002\r\nde\r\n0\r\nX: y\r\n\r\n", "200 |abcde"},
    {"until the end", head("") + "hello", "200 |hello", true},
    {"HTTP/1.0", head("", "HTTP/1.0 404 Not Found"), "404 |", true},
    {"204 has no body", head("", "HTTP/1.1 204 No Content"), "204 |"},
    {"304 neither", head("Content-Length: 7\r\n", "HTTP/1.1 304 Not Modified"), "304 |"},
    {"the largest body", head("Content-Length: 20\r\n") + std::string(20, 'x'), "200 |" + std::string(20, 'x')},
    {"one byte more, announced", head("Content-Length: 21\r\n"), "http.large"},
    {"one byte more, in chunks", head("Transfer-Encoding: chunked\r\n") + "14\r\n" + std::string(20, 'x') + "\r\n1\r\nx", "http.large"},
    {"one byte more, until the end", head("") + std::string(21, 'x'), "http.large"},
    {"the same length twice", head("Content-Length: 1\r\nContent-Length: 1\r\n") + "x", "200 |x"},
    {"two lengths", head("Content-Length: 1\r\nContent-Length: 2\r\n") + "xx", "http.syntax"},
    {"a list of lengths", head("Content-Length: 1, 1\r\n") + "x", "http.syntax"},
    {"a negative length", head("Content-Length: -1\r\n"), "http.syntax"},
    {"two framings", head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", "http.syntax"},
    {"another coding", head("Transfer-Encoding: gzip, chunked\r\n"), "http.syntax"},
    {"chunked twice", head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "http.syntax"},
    {"a folded field", head("A: b\r\n c\r\n"), "http.syntax"},
    {"a blank before the colon", head("A : b\r\n"), "http.syntax"},
    {"a field without a name", head(": b\r\n"), "http.syntax"},
    {"a chunk size that is none", head("Transfer-Encoding: chunked\r\n") + "g\r\n", "http.syntax"},
    {"a chunk size too long to be one", head("Transfer-Encoding: chunked\r\n") + "000000001\r\nx", "http.syntax"},
    {"a chunk longer than it says", head("Transfer-Encoding: chunked\r\n") + "1\r\nxx\r\n", "http.syntax"},
    {"a line of a chunk that ends in LF", head("Transfer-Encoding: chunked\r\n") + "1\nx", "http.syntax"},
    {"not HTTP", "220 mx.example ESMTP\r\n\r\n", "http.syntax"},
    {"HTTP/2", head("", "HTTP/2.0 200 OK"), "http.syntax"},
    {"an interim status, never asked for", head("", "HTTP/1.1 100 Continue"), "http.syntax"},
    {"a status of four digits", head("", "HTTP/1.1 2000 OK"), "http.syntax"},
    {"cut in the head", "HTTP/1.1 200 OK\r\nContent-Le", "http.syntax", true},
    {"cut in a counted body", head("Content-Length: 5\r\n") + "hell", "http.syntax", true},
    {"cut in chunks", head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n", "http.syntax", true},
    {"too many fields", head([] {
       std::string many;
       for (std::size_t i = 0; i <= HttpResponseReader::kFields; ++i) many += "A: b\r\n";
       return many;
     }()), "http.large"},
    {"a head without an end", "HTTP/1.1 200 OK\r\nA: " + std::string(HttpResponseReader::kHeadBytes, 'x'), "http.large"},
    {"a chunk's line without an end", head("Transfer-Encoding: chunked\r\n") + "1;" + std::string(2000, 'x'), "http.large"},
};

std::string read_in_pieces(const Row& row, std::size_t piece) {
  HttpResponseReader reader(kMost);
  bool complete = false;
  for (std::size_t at = 0; at < row.bytes.size() && !complete; at += piece) {
    const auto fed = reader.feed(std::string_view(row.bytes).substr(at, piece));
    if (!fed) return std::string(fed.error().code);
    complete = *fed;
  }
  if (!complete && row.ended) {
    if (const auto whole = reader.ended(); !whole) return std::string(whole.error().code);
    complete = true;
  }
  if (!complete) return "waits";
  const HttpResponse& r = reader.response();
  return std::to_string(r.status) + " " + r.content_type + "|" + r.body;
}

TEST(HttpResponse, IsReadTheSameHoweverItIsCut) {
  for (const Row& row : kRows)
    for (const std::size_t piece : {row.bytes.size(), std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{64}})
      EXPECT_EQ(read_in_pieces(row, std::max<std::size_t>(piece, 1)), row.expected) << row.says << ", in pieces of " << piece;
}

}  // namespace
}  // namespace postern::io
