#include "io/loop.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/listen.h"
#include "io/timer.h"
#include "io/watch.h"

namespace postern::io {
namespace {

using namespace std::chrono_literals;

TEST(Loop, RunsPostedFunctionsInOrderAndReturnsWhenNothingIsLeft) {
  Loop loop;
  std::string order;
  loop.post([&] {
    order += 'a';
    loop.post([&] { order += 'c'; });
  });
  loop.post([&] { order += 'b'; });
  loop.run();
  EXPECT_EQ(order, "abc");
}

TEST(Loop, HookRunsAfterPostedWorkAndBeforeDeferredTasks) {
  Loop loop;
  std::string order;
  Deferred task(loop, [&] { order += 'd'; });
  loop.before_block([&] {
    if (order == "p") order += 'h';
  });
  loop.post([&] {
    task.arm();
    task.arm();  // once is enough
    order += 'p';
  });
  loop.run();
  EXPECT_EQ(order, "phd");
}

TEST(Loop, WorkMadeByTheHookDoesNotWaitForAnEvent) {
  Loop loop;
  Timer far(loop);
  far.start(1h, [] { FAIL() << "slept"; });
  int commits = 0;
  bool request = true;
  Deferred answer(loop, [&] { loop.stop(); });
  loop.before_block([&] {
    if (!std::exchange(request, false)) return;
    ++commits;
    loop.post([&] { answer.arm(); });
  });
  loop.run();
  EXPECT_EQ(commits, 1);
}

TEST(Loop, ManyRoundsOfPostsLetEventsThrough) {
  Loop loop;
  bool fired = false;
  Timer timer(loop);
  timer.start(0ms, [&] { fired = true; });
  std::function<void()> again = [&] {
    if (!fired) loop.post(again);
  };
  loop.post(again);
  loop.run();
  EXPECT_TRUE(fired);
}

TEST(Loop, EndsWithoutRunningWhatWasPosted) {
  int runs = 0;
  const auto held = std::make_shared<int>(1);
  {
    Loop loop;
    // Its last holder goes with it, and would post again.
    const std::shared_ptr<void> poster(nullptr, [&](void*) { loop.post([&runs] { ++runs; }); });
    loop.post([&runs, held, poster] { ++runs; });
  }
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(held.use_count(), 1);
}

// A stream that only a posted function held ends with it, and the loop still ends whole.
TEST(Loop, EndsAlsoWhenWhatWasPostedHoldsHandles) {
  std::weak_ptr<Timer> held;
  {
    Loop loop;
    auto timer = std::make_shared<Timer>(loop);
    held = timer;
    timer->start(10s, [] {});
    loop.post([timer] { timer->stop(); });
    timer.reset();
    EXPECT_FALSE(held.expired());
  }
  EXPECT_TRUE(held.expired());
}

TEST(Loop, DeliversASignalAsAnEvent) {
  Loop loop;
  loop.on_signal(SIGUSR1, [&] { loop.stop(); });
  Timer watchdog(loop);
  watchdog.start(10s, [] { FAIL() << "no signal"; });
  loop.post([] { std::raise(SIGUSR1); });
  loop.run();
}

TEST(Loop, OffloadedWorkRunsOnAnotherThreadAndEndsOnThisOne) {
  Loop loop;
  ASSERT_TRUE(loop.start_threads(2));
  const auto here = std::this_thread::get_id();
  std::thread::id worker;
  std::thread::id finisher;
  loop.offload([&] { worker = std::this_thread::get_id(); }, [&] { finisher = std::this_thread::get_id(); });
  loop.run();
  EXPECT_NE(worker, here);
  EXPECT_NE(worker, std::thread::id{});
  EXPECT_EQ(finisher, here);
}

TEST(Deferred, EndedTaskDoesNotRunAndItsNeighboursDo) {
  Loop loop;
  std::string ran;
  Deferred a(loop, [&] { ran += 'a'; });
  std::optional<Deferred> b;
  b.emplace(loop, [&] { ran += 'b'; });
  Deferred c(loop, [&] { ran += 'c'; });
  Deferred d(loop, [&] { ran += 'd'; });
  a.arm();
  b->arm();
  c.arm();
  d.arm();
  b.reset();
  d.disarm();
  loop.run();
  EXPECT_EQ(ran, "ac");
}

TEST(Deferred, MayEndATaskThatWaitsBehindIt) {
  Loop loop;
  std::optional<Deferred> second;
  Deferred first(loop, [&] { second.reset(); });
  second.emplace(loop, [] { FAIL() << "ran"; });
  first.arm();
  second->arm();
  loop.run();
}

TEST(Timer, FiresOnceAndCanBeStartedAnewFromItsOwnCallback) {
  Loop loop;
  Timer timer(loop);
  int fired = 0;
  timer.start(0ms, [&] {
    ++fired;
    timer.start(0ms, [&] { fired += 10; });
  });
  loop.run();
  EXPECT_EQ(fired, 11);
  EXPECT_FALSE(timer.active());
}

TEST(Timer, RestartRunsTheLastFunctionAgain) {
  Loop loop;
  Timer timer(loop);
  int fired = 0;
  timer.start(0ms, [&] {
    if (++fired < 3) timer.restart(1ms);
  });
  loop.run();
  EXPECT_EQ(fired, 3);
}

TEST(Timer, MayEndInsideItsOwnCallback) {
  Loop loop;
  auto timer = std::make_unique<Timer>(loop);
  std::string kept(64, 'x');
  timer->start(0ms, [&timer, &loop, kept] {
    timer.reset();
    EXPECT_EQ(kept.size(), 64U);  // the function outlives its timer
    loop.stop();
  });
  loop.run();
}

TEST(Timer, RepeatsUntilStopped) {
  Loop loop;
  Timer timer(loop);
  int fired = 0;
  timer.repeat(1ms, [&] {
    if (++fired == 3) timer.stop();
  });
  loop.run();
  EXPECT_EQ(fired, 3);
}

struct Pair {
  Pair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    a = Fd(fds[0]);
    b = Fd(fds[1]);
  }
  Fd a, b;
};

TEST(Watch, ReportsReadableUntilItIsRead) {
  Loop loop;
  Pair pair;
  int calls = 0;
  Watch watch(loop, pair.a.get(), [&](Interest ready) {
    EXPECT_TRUE(has(ready, Interest::readable));
    if (++calls < 2) return;
    char byte = 0;
    EXPECT_EQ(::recv(pair.a.get(), &byte, 1, 0), 1);
    loop.stop();
  });
  watch.set(Interest::readable);
  ASSERT_EQ(::send(pair.b.get(), "x", 1, 0), 1);
  loop.run();
  EXPECT_EQ(calls, 2);
}

TEST(Watch, HangUpIsReportedAsReadable) {
  Loop loop;
  Pair pair;
  std::unique_ptr<Watch> watch;
  watch = std::make_unique<Watch>(loop, pair.a.get(), [&](Interest ready) {
    EXPECT_TRUE(has(ready, Interest::readable));
    char byte = 0;
    EXPECT_EQ(::recv(pair.a.get(), &byte, 1, 0), 0);
    watch.reset();
    pair.a.reset();  // at once
  });
  watch->set(Interest::readable);
  pair.b.reset();
  loop.run();
  EXPECT_EQ(watch, nullptr);
}

TEST(Watch, WritableOnlyWhileWanted) {
  Loop loop;
  Pair pair;
  int calls = 0;
  std::optional<Watch> watch;
  watch.emplace(loop, pair.a.get(), [&](Interest ready) {
    EXPECT_TRUE(has(ready, Interest::writable));
    ++calls;
    watch->set(Interest::readable);
    loop.post([&] { loop.stop(); });
  });
  watch->set(Interest::both);
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(Endpoint, TextRoundTrips) {
  for (const char* text : {"192.0.2.1:25", "[2001:db8::1]:465", "0.0.0.0:0"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint->to_string(), text);
  }
  for (const char* text : {"192.0.2.1", "192.0.2.1:", ":25", "2001:db8::1:25", "[192.0.2.1]:25", "192.0.2.1:65536", "[::1]25", ""})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

/// Connects a blocking client; the kernel completes it without accept.
Fd client_of(const Endpoint& server) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage address;
  const socklen_t size = to_sockaddr(server, address);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  return fd;
}

TEST(Acceptor, TellsWhoCameAndTakesNobodyWhilePaused) {
  Loop loop;
  auto listening = listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 16);
  ASSERT_TRUE(listening);
  const Endpoint at = *local_endpoint(listening->get());
  std::vector<Endpoint> peers;
  std::optional<Acceptor> acceptor;
  acceptor.emplace(loop, *std::move(listening), [&](Fd client, const Endpoint& peer) {
    EXPECT_TRUE(client);
    peers.push_back(peer);
    if (peers.size() == 1) acceptor->pause();
  });
  const Fd first = client_of(at);
  const Fd second = client_of(at);
  loop.turn();
  loop.turn();
  ASSERT_EQ(peers.size(), 1U);
  EXPECT_EQ(peers[0], *local_endpoint(first.get()));
  acceptor->resume();
  loop.turn();
  ASSERT_EQ(peers.size(), 2U);
  EXPECT_EQ(peers[1], *local_endpoint(second.get()));
}

TEST(Acceptor, OutOfDescriptorsItTurnsClientsAwayAndDoesNotSpin) {
  Loop loop;
  auto listening = listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 16);
  ASSERT_TRUE(listening);
  const Endpoint at = *local_endpoint(listening->get());
  int accepted = 0;
  std::optional<Acceptor> acceptor;
  acceptor.emplace(loop, *std::move(listening), [&](Fd, const Endpoint&) { ++accepted; });
  const Fd client = client_of(at);
  loop.turn();
  EXPECT_EQ(accepted, 1);

  const Fd late = client_of(at);
  std::vector<Fd> hoard;  // until none is left
  for (;;) {
    Fd one = late.duplicate();
    if (!one) break;
    hoard.push_back(std::move(one));
  }
  loop.turn();
  loop.turn();
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(acceptor->turned_away(), 1U);
  hoard.clear();
  char byte = 0;
  EXPECT_LE(::recv(late.get(), &byte, 1, 0), 0);  // closed, not left waiting
}

}  // namespace
}  // namespace postern::io
