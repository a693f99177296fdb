#include "privsep/control/posternctl/control_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <future>

#include "base/unique.h"
#include "privsep/control/request.h"

namespace postern::posternctl {
namespace {

using std::chrono_literals::operator""ms;

TEST(ControlSocket, WritesWhatTheDaemonReads) {
  const std::string line = request_line({"alias add", {{"address", "a@b"}, {"target", "x"}, {"target", "y"}, {"target", "z"}}});
  EXPECT_EQ(line, "{\"arguments\":{\"address\":\"a@b\",\"target\":[\"x\",\"y\",\"z\"]},\"command\":\"alias add\"}\n");
}

TEST(ControlSocket, ReadsAnswersAndRefusesWhatIsNone) {
  const auto good = read_answer(R"({"error":"","result":{"a":1},"bytes":7})");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->result, "{\"a\":1}");
  EXPECT_EQ(good->bytes, 7U);
  const auto error = read_answer(R"({"error":"no such account","result":null,"bytes":0})");
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().code, "control.error");
  EXPECT_EQ(error.error().message, "no such account");
  for (const char* line : {"", "{}", "[]", R"({"error":"","result":1})", R"({"error":"","result":1,"bytes":-1})", R"({"error":1,"result":1,"bytes":0})"}) {
    const auto bad = read_answer(line);
    ASSERT_FALSE(bad) << line;
    EXPECT_EQ(bad.error().code, "control.answer") << line;
  }
}

/// A daemon that answers one caller with fixed bytes.
class FakeDaemon {
 public:
  explicit FakeDaemon(std::string answer) {
    char name[] = "/tmp/posternctl-test-XXXXXX";
    folder_ = ::mkdtemp(name);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    listening_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listening_.get(), 1), 0);
    served_ = std::async(std::launch::async, [this, answer = std::move(answer)] {
      const Fd client(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      std::string request(65536, '\0');
      const ssize_t got = ::recv(client.get(), request.data(), request.size(), 0);
      request.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
      std::string_view left = answer;
      while (!left.empty()) {
        const ssize_t sent = ::send(client.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) break;
        left.remove_prefix(static_cast<std::size_t>(sent));
      }
      return request;
    });
  }
  ~FakeDaemon() {
    if (served_.valid()) served_.wait();
    std::filesystem::remove_all(folder_);
  }
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;
  std::string path() const { return folder_ + "/control.sock"; }
  std::string request() { return served_.get(); }

 private:
  std::string folder_;
  Fd listening_;
  std::future<std::string> served_;
};

TEST(ControlSocket, TakesExactlyTheAnnouncedOutput) {
  const std::string body(300'000, 'm');
  FakeDaemon daemon("{\"error\":\"\",\"result\":1,\"bytes\":300000}\n" + body);
  std::string taken;
  const auto answer = ask(daemon.path(), {"mail show", {}}, [&](std::string_view bytes) { return taken += bytes, Result<void>(); }, 5000ms);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(taken, body);
  const auto request = control::parse_request(daemon.request().substr(0, request_line({"mail show", {}}).size() - 1));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->command, "mail show");
}

struct Broken {
  const char* what;
  const char* answer;
  const char* code;
};
class ControlSocketBroken : public testing::TestWithParam<Broken> {};
TEST_P(ControlSocketBroken, IsAnError) {
  FakeDaemon daemon(GetParam().answer);
  const auto answer = ask(daemon.path(), {"status", {}}, [](std::string_view) { return Result<void>(); }, 5000ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, GetParam().code);
}
INSTANTIATE_TEST_SUITE_P(, ControlSocketBroken,
                         testing::Values(Broken{"Closed", "", "control.socket"}, Broken{"HalfALine", "{\"error\"", "control.socket"},
                                         Broken{"TooLittle", "{\"error\":\"\",\"result\":1,\"bytes\":4}\nabc", "control.socket"},
                                         Broken{"TooMuch", "{\"error\":\"\",\"result\":1,\"bytes\":2}\nabc", "control.answer"},
                                         Broken{"Error", "{\"error\":\"no\",\"result\":null,\"bytes\":0}\n", "control.error"}),
                         [](const auto& param) { return std::string(param.param.what); });

TEST(ControlSocket, SaysWhereNobodyListens) {
  const auto answer = ask("/nonexistent/control.sock", {"status", {}}, [](std::string_view) { return Result<void>(); });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "/nonexistent/control.sock: Postern is not running there");
}

}  // namespace
}  // namespace postern::posternctl
