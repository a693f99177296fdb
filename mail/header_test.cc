#include "mail/header.h"

#include <gtest/gtest.h>

#include "mail/limits.h"

namespace postern::mail {
namespace {

HeaderBlockView parsed(std::string_view message) {
  auto block = parse_header(bytes_of(message));
  EXPECT_TRUE(block.has_value());
  return block ? *block : HeaderBlockView{};
}

TEST(Header, FieldKeepsItsBytesAndItsFolding) {
  const std::string_view message = "Subject: a\r\n b\r\nTO:x\r\n\r\nbody\r\n";
  const auto block = parsed(message);
  ASSERT_EQ(block.fields.size(), 2U);
  EXPECT_EQ(block.fields[0].name, "Subject");
  EXPECT_EQ(block.fields[0].raw, "Subject: a\r\n b\r\n");
  EXPECT_EQ(block.fields[0].value, " a\r\n b");
  EXPECT_EQ(unfold(block.fields[0].value), "a b");
  EXPECT_EQ(block.fields[1].value, "x");
  EXPECT_TRUE(block.has_separator);
  EXPECT_EQ(message.substr(block.body), "body\r\n");
  EXPECT_EQ(block.first("to"), &block.fields[1]);
  EXPECT_EQ(block.first("cc"), nullptr);
}

struct Shape {
  const char* what;
  std::string_view message;
  std::vector<std::string_view> names;
  std::string_view body;
};

TEST(Header, BodyBeginsAfterTheFirstEmptyLineOnly) {
  using namespace std::string_view_literals;
  const Shape shapes[] = {
      {"no message", "", {}, ""},
      {"no header", "\r\nbody", {}, "body"},
      {"no body", "A: 1\r\n", {"A"}, ""},
      {"last line is cut", "A: 1", {"A"}, ""},
      {"bare LF ends lines", "A: 1\nB: 2\n\nbody", {"A", "B"}, "body"},
      {"bare CR is text", "A: 1\rB: 2\r\n\r\nbody", {"A"}, "body"},
      {"a line of blanks continues (RFC 5322 §4.2)", "A: 1\r\n \r\nB: 2\r\n\r\nx", {"A", "B"}, "x"},
      {"blanks before the colon (RFC 5322 §4.5)", "A \t: 1\r\n\r\n", {"A"}, ""},
      {"a line without a colon is no field and no end", "A: 1\r\nnonsense\r\nB: 2\r\n\r\nx", {"A", "", "B"}, "x"},
      {"mbox line", "From me Mon Jan 1\r\nA: 1\r\n\r\nx", {"", "A"}, "x"},
      {"begins with a continuation", " x: 1\r\nA: 1\r\n\r\n", {"", "A"}, ""},
      {"empty name", ": 1\r\nA: 1\r\n\r\n", {"", "A"}, ""},
      {"a name with a byte above ASCII", "\xc3\xa9: 1\r\nA: 1\r\n\r\n", {"", "A"}, ""},
      {"NUL in a value", "A: \0\r\nB:\r\n\r\n\0"sv, {"A", "B"}, "\0"sv},
  };
  for (const Shape& shape : shapes) {
    SCOPED_TRACE(shape.what);
    const auto block = parsed(shape.message);
    std::vector<std::string_view> names;
    for (const auto& field : block.fields) names.push_back(field.name);
    EXPECT_EQ(names, shape.names);
    EXPECT_EQ(shape.message.substr(block.body), shape.body);
  }
}

TEST(Header, AllFindsEveryFieldOfANameInOrder) {
  const auto block = parsed("Received: 1\r\nX: a\r\nRECEIVED: 2\r\n\r\n");
  const auto found = block.all("received");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0]->value, " 1");
  EXPECT_EQ(found[1]->value, " 2");
}

std::string_view code_of(const std::string& message) {
  const auto block = parse_header(bytes_of(message));
  return block ? std::string_view("ok") : block.error().code;
}

TEST(Header, LimitsHoldAtAndPastTheirValue) {
  const auto fields = [](std::size_t n) {
    std::string out;
    for (std::size_t i = 0; i < n; ++i) out += "A:\r\n";
    return out;
  };
  EXPECT_EQ(code_of(fields(limits::kHeaderFields)), "ok");
  EXPECT_EQ(code_of(fields(limits::kHeaderFields + 1)), "header.too_many_fields");
  const auto field = [](std::size_t size) { return "A:" + std::string(size - 4, 'x') + "\r\n"; };
  EXPECT_EQ(code_of(field(limits::kHeaderFieldBytes)), "ok");
  EXPECT_EQ(code_of(field(limits::kHeaderFieldBytes + 1)), "header.field_too_large");
  std::string block;
  while (block.size() < limits::kHeaderBytes) block += field(1024);
  EXPECT_EQ(code_of(block + "\r\nbody"), "ok");
  EXPECT_EQ(code_of(block + "A:\r\n\r\nbody"), "header.too_large");
}

TEST(Header, UnfoldDropsOnlyLineEnds) {
  EXPECT_EQ(unfold(" a\r\n\tb\r\n  c "), "a\tb  c");
  EXPECT_EQ(unfold("a\n b\rc"), "a b\rc");
  EXPECT_EQ(unfold(""), "");
}

}  // namespace
}  // namespace postern::mail
