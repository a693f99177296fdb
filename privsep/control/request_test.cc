#include "privsep/control/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "privsep/control/limits.h"
#include "privsep/wire.h"

namespace postern::control {
namespace {

using privsep::Role;

std::vector<std::string> arguments_of(const privsep::AdminRequest& request) {
  std::vector<std::string> out;
  for (const auto& argument : request.arguments) out.push_back(argument.key + "=" + argument.value);
  return out;
}

TEST(ControlRequest, ReadsCommandAndArgumentsOfEveryKind) {
  const auto request = parse_request(
      R"({"command":"account add","arguments":{"address":"a@example.org","enabled":true,"limit":18446744073709551615,"target":["b","c"]}})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->command, "account add");
  EXPECT_EQ(request->uid, 0U);
  EXPECT_EQ(arguments_of(*request), (std::vector<std::string>{"address=a@example.org", "enabled=yes", "limit=18446744073709551615", "target=b", "target=c"}));
}

TEST(ControlRequest, NeedsNoArguments) {
  const auto request = parse_request(R"({"command":"status"})");
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->arguments.empty());
}

struct Bad {
  const char* why;
  std::string line;
};
class ControlRequestRefuses : public testing::TestWithParam<Bad> {};
TEST_P(ControlRequestRefuses, Malformed) {
  const auto request = parse_request(GetParam().line);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, "control.request");
}
INSTANTIATE_TEST_SUITE_P(, ControlRequestRefuses,
                         testing::Values(Bad{"Empty", ""}, Bad{"NoJson", "status"}, Bad{"NoObject", "[]"}, Bad{"NoCommand", "{}"},
                                         Bad{"CommandIsNoText", R"({"command":1})"}, Bad{"BigLetters", R"({"command":"Status"})"},
                                         Bad{"TwoBlanks", R"({"command":"queue  list"})"}, Bad{"BlankAtEnd", R"({"command":"queue "})"},
                                         Bad{"Newline", R"({"command":"queue\nlist"})"}, Bad{"Nul", R"({"command":"queue\u0000"})"},
                                         Bad{"LongCommand", R"({"command":")" + std::string(limits::kCommandBytes + 1, 'a') + R"("})"},
                                         Bad{"UnknownMember", R"({"command":"status","uid":0})"},
                                         Bad{"ArgumentsAreAList", R"({"command":"status","arguments":["a"]})"},
                                         Bad{"NestedValue", R"({"command":"status","arguments":{"a":{"b":1}}})"},
                                         Bad{"NestedList", R"({"command":"status","arguments":{"a":[["b"]]}})"},
                                         Bad{"NullValue", R"({"command":"status","arguments":{"a":null}})"},
                                         Bad{"NegativeNumber", R"({"command":"status","arguments":{"a":-1}})"},
                                         Bad{"BadKey", R"({"command":"status","arguments":{"a b":"c"}})"},
                                         Bad{"EmptyKey", R"({"command":"status","arguments":{"":"c"}})"},
                                         Bad{"NotUtf8", "{\"command\":\"status\",\"arguments\":{\"a\":\"\xff\"}}"},
                                         Bad{"DeepNesting", std::string(limits::kRequestBytes, '[')}),
                         [](const auto& param) { return std::string(param.param.why); });

std::string request_of_size(std::size_t bytes) {
  std::string line = R"({"command":"status","arguments":{"a":")";
  line.append(bytes - line.size() - 3, 'x');
  return line + R"("}})";
}

TEST(ControlRequest, IsBoundedInBytes) {
  EXPECT_TRUE(parse_request(request_of_size(limits::kRequestBytes)));
  EXPECT_FALSE(parse_request(request_of_size(limits::kRequestBytes + 1)));
}

std::string request_with(std::size_t values) {
  std::string line = R"({"command":"alias add","arguments":{"target":[)";
  for (std::size_t i = 0; i < values; ++i) line += i == 0 ? "\"x\"" : ",\"x\"";
  return line + "]}}";
}

TEST(ControlRequest, IsBoundedInArgumentsAndAlwaysFitsAFrame) {
  const auto most = parse_request(request_with(limits::kArguments));
  ASSERT_TRUE(most);
  EXPECT_LE(privsep::encode(*most).size(), privsep::AdminRequest::row.max_bytes);
  EXPECT_FALSE(parse_request(request_with(limits::kArguments + 1)));
}

TEST(ControlRoute, GoesToWhoOwnsTheThing) {
  const std::pair<const char*, Role> rows[] = {{"domain add", Role::mailbox}, {"account list", Role::mailbox}, {"alias add", Role::mailbox},
                                               {"mail show", Role::mailbox},  {"queue list", Role::queue},     {"message why", Role::queue},
                                               {"status", Role::parent},      {"audit", Role::parent},         {"reload", Role::parent},
                                               {"remote sessions", Role::remote}, {"keys list", Role::signer}};
  for (const auto& [command, role] : rows) EXPECT_EQ(route(command), role) << command;
  for (const char* command : {"", "stat", "statuses", "queuelist", "listener", " queue list"}) EXPECT_EQ(route(command), std::nullopt) << command;
}

TEST(ControlAnswer, IsOneLineOfJson) {
  const std::string line = render_answer({"", R"({"a": [1,
 "two"]})"}, 17, Role::queue);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto read = nlohmann::json::parse(line, nullptr, false);
  EXPECT_EQ(read, (nlohmann::json{{"error", ""}, {"bytes", 17}, {"result", {{"a", {1, "two"}}}}}));
}

TEST(ControlAnswer, EscapesAnErrorsControlCharacters) {
  const auto read = nlohmann::json::parse(render_answer({"bad\x1b[2J\nsecond", ""}, 5, Role::queue), nullptr, false);
  EXPECT_EQ(read["error"], "bad\\x1b[2J\\x0asecond");
  EXPECT_EQ(read["bytes"], 0);
}

TEST(ControlAnswer, NamesAProcessWhoseResultIsNoJson) {
  const auto read = nlohmann::json::parse(render_answer({"", "{\"a\":"}, 0, Role::mailbox), nullptr, false);
  EXPECT_EQ(read["error"], "mailbox answered in a way that cannot be read");
}

}  // namespace
}  // namespace postern::control
