#include "privsep/control/caller.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <optional>

#include "io/loop.h"
#include "io/memfd.h"
#include "privsep/control/limits.h"

namespace postern::control {
namespace {

/// A caller on one end of a socket pair; the test is at the other end and answers the requests itself.
class CallerTest : public testing::Test {
 protected:
  CallerTest() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ours = Fd(pair[0]);
    const auto caller = std::make_shared<Caller>(
        loop, Fd(pair[1]), 1234,
        [this](privsep::AdminRequest request, Caller::Answered answered) {
          asked = std::move(request);
          answer = std::move(answered);
        },
        [this](Caller&) {
          ended = true;
          held.reset();
        });
    held = caller;
    caller->start();
  }

  void send(std::string_view bytes) { ASSERT_EQ(::send(ours.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size())); }
  void turn() {
    for (int i = 0; i < 4; ++i) loop.turn();
  }
  /// All that comes until the other end closes.
  std::string receive() {
    std::string out;
    std::array<char, 65536> buffer;
    while (true) {
      const ssize_t got = ::recv(ours.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (got == 0) return out;
      if (got > 0) out.append(buffer.data(), static_cast<std::size_t>(got));
      if (got < 0 && ended) return out;
      loop.turn();
    }
  }

  io::Loop loop;
  Fd ours;
  std::shared_ptr<Caller> held;
  std::optional<privsep::AdminRequest> asked;
  Caller::Answered answer;
  bool ended = false;
};

TEST_F(CallerTest, AsksWithTheKernelsUidOnceTheLineIsWhole) {
  send("{\"command\":\"queue");
  turn();
  EXPECT_FALSE(asked);
  send(" list\"}\n");
  turn();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->command, "queue list");
  EXPECT_EQ(asked->uid, 1234U);
  EXPECT_FALSE(ended);
  answer({"the answer\n", {}, 0});
  EXPECT_EQ(receive(), "the answer\n");
  turn();
  EXPECT_TRUE(ended);
}

TEST_F(CallerTest, StreamsTheOutputAfterTheLine) {
  std::string body(3 * limits::kPieceBytes + 17, 'b');
  body[0] = '\0';
  auto memfd = io::sealed_memfd("test", bytes_of(body));
  ASSERT_TRUE(memfd);
  send("{\"command\":\"mail show\"}\n");
  turn();
  ASSERT_TRUE(asked);
  answer({"line\n", *std::move(memfd), body.size()});
  EXPECT_EQ(receive(), "line\n" + body);
}

TEST_F(CallerTest, IsToldWhatIsWrongAndEnded) {
  send("{\"command\":\n");
  EXPECT_NE(receive().find("one JSON object"), std::string::npos);
  EXPECT_FALSE(asked);
  turn();
  EXPECT_TRUE(ended);
}

TEST_F(CallerTest, IsHeardOnce) {
  send("{\"command\":\"status\"}\n{\"command\":\"reload\"}\n");
  EXPECT_NE(receive().find("bytes after the request"), std::string::npos);
  EXPECT_FALSE(asked);
}

TEST_F(CallerTest, IsEndedWhenItsLineIsTooLong) {
  const std::string part(16 * 1024, 'x');
  for (std::size_t sent = 0; sent <= limits::kRequestBytes; sent += part.size()) {
    send(part);
    turn();
  }
  EXPECT_NE(receive().find("longer than"), std::string::npos);
  EXPECT_FALSE(asked);
}

TEST_F(CallerTest, MayLeaveBeforeItsAnswer) {
  send("{\"command\":\"status\"}\n");
  turn();
  ASSERT_TRUE(asked);
  ours.reset();
  answer({"nobody reads this\n", {}, 0});
  turn();
  EXPECT_TRUE(ended);
  answer({"late\n", {}, 0});  // a second answer to one that is gone is nothing
}

}  // namespace
}  // namespace postern::control
