// Channels over real socket pairs and a real loop. The side under test is the mailbox; its peers are Peers too, or raw sockets
// that break the table.
#include "privsep/peers.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "privsep/dispatch.h"

namespace postern::privsep {
namespace {

using namespace std::chrono_literals;

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

constexpr From kListener{Role::listener, 0};

/// A mailbox that answers what it is asked, or keeps the questions.
class Mailbox {
 public:
  explicit Mailbox(Peers& peers) : dispatch_(*this, peers) {}

  void on(const RecipientQuery& m, Reply<RecipientQuery> reply, From from, Fd fd) {
    queries.push_back(m.recipient);
    last = from;
    descriptor = std::move(fd);
    if (keep) kept.push_back(reply);
    else reply(RecipientVerdict{{250, "2.1.5", m.recipient}, {}});
  }
  void on(const LocalDelivery& m, Reply<LocalDelivery> reply, From, Fd) {
    deliveries.push_back(m.id);
    reply(DeliveryResult{});
  }
  void on(const AdminRequest& m, Reply<AdminRequest> reply, From, Fd) {
    passwords.push_back(m.get("password"));
    reply(AdminAnswer{});
  }

  std::vector<std::string> queries, deliveries, passwords;
  std::vector<Reply<RecipientQuery>> kept;
  From last;
  Fd descriptor;
  bool keep = false;
  Dispatch<Role::mailbox, Mailbox> dispatch_;
};

class House : public testing::Test {
 protected:
  House() {
    mailbox_peers_.set_receiver(mailbox_.dispatch_);
    mailbox_peers_.set_locked();
    mailbox_peers_.set_closed([this](From peer, std::string_view why) { closed_.emplace_back(peer.role, why); });
    listener_peers_.set_locked();
  }
  /// Runs the loop until `done`, ten seconds at most.
  void run_until(const std::function<bool()>& done) {
    io::Timer watchdog(loop_), look(loop_);
    watchdog.start(10s, [&] { loop_.stop(); });
    look.repeat(1ms, [&] { if (done()) loop_.stop(); });
    if (!done()) loop_.run();
    EXPECT_TRUE(done()) << "did not come";
  }
  void connect(std::uint8_t instance = 0) {
    auto pair = make_channel_pair();
    ASSERT_TRUE(pair);
    mailbox_peers_.add({Role::listener, instance}, std::move(pair->first));
    listener_peers_.add({Role::mailbox, instance}, std::move(pair->second));
  }
  /// The other end of a channel on which the mailbox sees `peer`.
  Fd raw(From peer) {
    auto pair = make_channel_pair();
    EXPECT_TRUE(pair);
    mailbox_peers_.add(peer, std::move(pair->first));
    return std::move(pair->second);
  }
  void ask(std::string_view recipient, std::chrono::milliseconds patience = 10s, int descriptor = -1) {
    listener_peers_.ask<RecipientVerdict>(Role::mailbox, RecipientQuery{std::string(recipient), "", {}, 0}, descriptor, patience,
                                          [this](Result<RecipientVerdict> answer, Fd) {
                                            heard_.push_back(answer ? answer->reply.text : std::string(answer.error().code));
                                          });
  }
  std::string broken_reason() const { return closed_.empty() ? "" : closed_[0].second; }

  io::Loop loop_;
  std::vector<std::string> logged_;
  Log log_{[this](Severity, std::string_view line) { logged_.emplace_back(line); }, Severity::debug};
  Peers mailbox_peers_{loop_, log_, Role::mailbox};
  Peers listener_peers_{loop_, log_, Role::listener};
  Mailbox mailbox_{mailbox_peers_};
  std::vector<std::pair<Role, std::string>> closed_;
  std::vector<std::string> heard_;
};

TEST_F(House, AQuestionIsAnswered) {
  connect();
  ask("alice@example.org");
  EXPECT_TRUE(heard_.empty()) << "answered inside the call";
  run_until([&] { return heard_.size() == 1; });
  EXPECT_EQ(heard_[0], "alice@example.org");
  EXPECT_EQ(mailbox_.last.role, Role::listener);
}

bool lies_in_the_receive_buffer(Peers& peers, std::string_view words) { return peers.receive_buffer().find(words) != std::string_view::npos; }

TEST_F(House, APasswordDoesNotStayInTheReceiveBuffer) {
  const Fd control = raw({Role::control, 0});
  AdminRequest request{0, "account add", {{"address", "alice@example.org"}, {"password", "correct horse battery"}}};
  ASSERT_TRUE(send_frame(control.get(), make_frame(AdminRequest::row, 1, encode(request)), -1));
  run_until([&] { return mailbox_.passwords.size() == 1; });
  EXPECT_EQ(mailbox_.passwords[0], "correct horse battery");
  EXPECT_FALSE(lies_in_the_receive_buffer(mailbox_peers_, "battery"));
  // The control: what is no secret stays until the next frame.
  connect();
  ask("alice@example.org");
  run_until([&] { return heard_.size() == 1; });
  EXPECT_TRUE(lies_in_the_receive_buffer(mailbox_peers_, "alice@example.org"));
}

TEST(Wipe, EmptiesEveryTextOfAMessage) {
  AdminRequest request{7, "account add", {{"password", "correct horse battery"}}};
  const char* const at = request.arguments[0].value.data();
  wipe(request);
  EXPECT_EQ(std::string_view(at, 21), std::string_view(std::string(21, '\0')));
  EXPECT_TRUE(request.command.empty());
  EXPECT_EQ(request.uid, 7U);
}

TEST_F(House, AnswersMayComeInAnotherOrder) {
  connect();
  mailbox_.keep = true;
  ask("a");
  ask("b");
  run_until([&] { return mailbox_.kept.size() == 2; });
  mailbox_.kept[1](RecipientVerdict{{250, "", "second"}, {}});
  mailbox_.kept[0](RecipientVerdict{{250, "", "first"}, {}});
  run_until([&] { return heard_.size() == 2; });
  EXPECT_EQ(heard_, (std::vector<std::string>{"second", "first"}));
}

TEST_F(House, ADescriptorTravelsAndTheSenderKeepsItsOwn) {
  connect();
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ask("alice", 10s, null.get());
  run_until([&] { return heard_.size() == 1; });
  EXPECT_TRUE(mailbox_.descriptor);
  EXPECT_NE(mailbox_.descriptor.get(), null.get());
  EXPECT_GE(::fcntl(null.get(), F_GETFD), 0);
}

TEST_F(House, AQuestionWithoutAnswerTimesOutAndALateAnswerIsNoBreach) {
  connect();
  mailbox_.keep = true;
  ask("slow", 1ms);
  run_until([&] { return heard_.size() == 1; });
  EXPECT_EQ(heard_[0], "ipc.timeout");
  run_until([&] { return mailbox_.kept.size() == 1; });
  mailbox_.kept[0](RecipientVerdict{});
  mailbox_.keep = false;
  ask("next");
  run_until([&] { return heard_.size() == 2; });
  EXPECT_EQ(heard_[1], "next");
}

TEST_F(House, WithoutAPeerAQuestionFailsLater) {
  ask("nobody");
  EXPECT_TRUE(heard_.empty());
  run_until([&] { return heard_.size() == 1; });
  EXPECT_EQ(heard_[0], "ipc.gone");
}

TEST_F(House, APeerThatDiesFailsItsOpenQuestions) {
  connect();
  mailbox_.keep = true;
  ask("a");
  ask("b");
  run_until([&] { return mailbox_.kept.size() == 2; });
  mailbox_peers_.remove(kListener);
  run_until([&] { return heard_.size() == 2; });
  EXPECT_EQ(heard_, (std::vector<std::string>{"ipc.gone", "ipc.gone"}));
  EXPECT_FALSE(listener_peers_.has(Role::mailbox));
  mailbox_.kept[0](RecipientVerdict{});  // to one who has gone: nothing happens
}

TEST_F(House, AskingAPeerThatHasJustDiedFailsLaterNotInsideTheCall) {
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  listener_peers_.add({Role::mailbox, 0}, std::move(pair->first));
  pair->second.reset();
  ask("a");
  EXPECT_TRUE(heard_.empty());
  run_until([&] { return heard_.size() == 1; });
  EXPECT_EQ(heard_[0], "ipc.gone");
}

TEST_F(House, ANewChannelReplacesTheOldOne) {
  connect();
  mailbox_.keep = true;
  ask("old");
  run_until([&] { return mailbox_.kept.size() == 1; });
  mailbox_.keep = false;
  connect();
  run_until([&] { return heard_.size() == 1; });
  EXPECT_EQ(heard_[0], "ipc.gone");
  ask("new");
  run_until([&] { return heard_.size() == 2; });
  EXPECT_EQ(heard_[1], "new");
}

TEST_F(House, TheInstanceWithTheFewestOpenQuestionsIsAsked) {
  connect(0);
  connect(1);
  mailbox_.keep = true;
  for (int i = 0; i < 4; ++i) ask("q");
  run_until([&] { return mailbox_.kept.size() == 4; });
  mailbox_peers_.remove({Role::listener, 1});
  run_until([&] { return heard_.size() == 2; });
  EXPECT_EQ(heard_.size(), 2U) << "half of the questions were the other's";
}

TEST_F(House, InstancesWithAsManyOpenQuestionsTakeTurns) {
  connect(0);
  connect(1);
  for (std::size_t i = 1; i <= 4; ++i) {
    ask("q");
    run_until([&] { return heard_.size() == i; });
    EXPECT_EQ(mailbox_.last.instance, (i + 1) % 2);
  }
}

TEST_F(House, AnInstanceThatGivesNoAnswersIsAskedOnlyWhenThereIsNoOther) {
  connect(0);
  auto stuck = make_channel_pair();
  ASSERT_TRUE(stuck);
  listener_peers_.add({Role::mailbox, 1}, std::move(stuck->first));
  ask("a");
  ask("b", 10ms);
  run_until([&] { return heard_.size() == 2; });
  EXPECT_EQ(heard_[1], "ipc.timeout");
  for (std::size_t i = 3; i <= 6; ++i) {
    ask("q");
    run_until([&] { return heard_.size() == i; });
    EXPECT_EQ(heard_.back(), "q");
  }
  listener_peers_.remove({Role::mailbox, 0});
  ask("c", 10ms);
  run_until([&] { return heard_.size() == 7; });
  EXPECT_EQ(heard_.back(), "ipc.timeout") << "better asked than not";
}

TEST_F(House, TellingAllReachesTheLivingWhenOneHasJustDied) {
  Peers parent(loop_, log_, Role::parent);
  std::vector<Fd> ends;
  for (std::uint8_t i = 0; i < 3; ++i) {
    auto pair = make_channel_pair();
    ASSERT_TRUE(pair);
    parent.add({Role::web, i}, std::move(pair->first));
    ends.push_back(std::move(pair->second));
  }
  ends[0].reset();
  parent.tell_all(Role::web | Role::control, StatusSnapshot{"{}", ""});
  for (std::size_t i = 1; i < 3; ++i) {
    std::string buffer;
    EXPECT_TRUE(receive_frame(ends[i].get(), buffer)) << i;
  }
}

// ---- peers that break the table --------------------------------------------------------------------------------------

std::string query_frame(std::uint32_t request, std::string_view recipient) {
  return make_frame(RecipientQuery::row, request, encode(RecipientQuery{std::string(recipient), "", {}, 0}));
}

struct Breach {
  const char* what;
  std::string_view reason;  ///< part of what is said about it
  void (*send)(int socket);
};
void put(int socket, std::string_view frame, int descriptor = -1) { ASSERT_TRUE(send_frame(socket, frame, descriptor)); }

class BrokenPeer : public House, public testing::WithParamInterface<Breach> {};

TEST_P(BrokenPeer, IsClosedWithTheReasonWhileTheOthersAreServed) {
  const std::size_t before = open_descriptors();
  Fd offender = raw(kListener);
  const Fd honest = raw({Role::listener, 1});
  GetParam().send(offender.get());
  run_until([&] { return !closed_.empty(); });
  ASSERT_EQ(closed_.size(), 1U);
  EXPECT_EQ(closed_[0].first, Role::listener);
  EXPECT_NE(broken_reason().find(GetParam().reason), std::string::npos) << broken_reason();
  EXPECT_NE(logged_.back().find("broke the message table"), std::string::npos);
  EXPECT_TRUE(mailbox_.queries.empty() && mailbox_.deliveries.empty()) << "reached a handler";

  put(honest.get(), query_frame(1, "alice"));
  std::string buffer;
  run_until([&] { return !mailbox_.queries.empty(); });
  EXPECT_TRUE(receive_frame(honest.get(), buffer));
  mailbox_peers_.remove({Role::listener, 1});
  offender.reset();
  mailbox_.descriptor.reset();
  loop_.turn();
  EXPECT_EQ(open_descriptors(), before + 1) << "only the honest peer's own end is left";
}

INSTANTIATE_TEST_SUITE_P(Kinds, BrokenPeer, testing::Values(
    Breach{"Garbage", "no message", [](int s) { put(s, "\xFF\xFFgarbage"); }},
    Breach{"TooShort", "bytes", [](int s) { put(s, "abc"); }},
    Breach{"RowOfAnotherSender", "may not send local-delivery",
           [](int s) { put(s, make_frame(LocalDelivery::row, 1, encode(LocalDelivery{})), 0); }},
    Breach{"RowForAnotherReceiver", "not for mailbox",
           [](int s) { put(s, make_frame(Submission::row, 1, encode(Submission{})), 0); }},
    Breach{"StopWithoutBeingTheParent", "may not send stop", [](int s) { put(s, make_frame(Stop::row, 0, "")); }},
    Breach{"Oversized", "at most", [](int s) { put(s, make_frame(RecipientQuery::row, 1, std::string(RecipientQuery::row.max_bytes + 1, 'x'))); }},
    Breach{"LargerThanAnyRow", "larger than any row", [](int s) { put(s, make_frame(RecipientQuery::row, 1, std::string(kFrameBytes, 'x'))); }},
    Breach{"Undecodable", "recipient-query", [](int s) { put(s, make_frame(RecipientQuery::row, 1, "nonsense")); }},
    Breach{"TrailingByte", "recipient-query", [](int s) { put(s, query_frame(1, "a") + "x"); }},
    Breach{"RequestWithoutNumber", "request number", [](int s) { put(s, query_frame(0, "a")); }}),
    [](const auto& test) { return std::string(test.param.what); });

TEST_F(House, AnAnswerThatWasNeverAskedForIsABreach) {
  const Fd parent = raw({Role::parent, 0});
  put(parent.get(), make_frame(LmtpConnection::row, 1, encode(LmtpConnection{})));
  run_until([&] { return !closed_.empty(); });
  EXPECT_NE(broken_reason().find("not asked"), std::string::npos);
}

class Answering : public House {
 protected:
  /// The mailbox asks its parent, which answers with `frame`.
  std::string_view ask_and_answer(std::string_view frame) {
    const Fd parent = raw({Role::parent, 0});
    mailbox_peers_.ask<LmtpConnection>(Role::parent, LmtpConnect{"dovecot"}, -1, 10s, [this](Result<LmtpConnection> answer, Fd) {
      code_ = answer ? "ok" : answer.error().code;
    });
    put(parent.get(), frame);
    run_until([&] { return code_.has_value(); });
    return *code_;
  }
  std::optional<std::string_view> code_;
};

TEST_F(Answering, OfTheRightKindIsHeard) {
  EXPECT_EQ(ask_and_answer(make_frame(LmtpConnection::row, 1, encode(LmtpConnection{"no"}))), "ok");
  EXPECT_TRUE(closed_.empty());
}

TEST_F(Answering, OfTheWrongKindClosesAndFailsTheQuestion) {
  EXPECT_EQ(ask_and_answer(make_frame(SpoolAnswer::row, 1, encode(SpoolAnswer{}))), "ipc.gone");
  EXPECT_FALSE(broken_reason().empty());
}

TEST_F(Answering, ThatDoesNotDecodeIsABreach) {
  EXPECT_EQ(ask_and_answer(make_frame(LmtpConnection::row, 1, "xx")), "wire.short");
  EXPECT_NE(broken_reason().find("lmtp-connection"), std::string::npos);
}

TEST_F(House, WhatADeadPeerHadSentIsStillTaken) {
  Fd listener = raw(kListener);
  constexpr std::size_t kFrames = 1000;  // more than one event takes
  for (std::uint32_t i = 1; i <= kFrames; ++i) put(listener.get(), query_frame(i, "a"));
  listener.reset();
  mailbox_peers_.drain(kListener);
  EXPECT_EQ(mailbox_.queries.size(), kFrames);
}

TEST_F(House, APeerThatDoesNotReadIsWaitedForInOrderAndThenGivenUp) {
  Peers parent(loop_, log_, Role::parent);
  std::string reason;
  parent.set_closed([&](From, std::string_view why) { reason = why; });
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  parent.add({Role::web, 0}, std::move(pair->first));
  std::size_t sent = 0;
  const auto tell = [&] { parent.tell(Role::web, StatusSnapshot{std::to_string(sent++), std::string(100000, 'm')}); };
  while (parent.queued_bytes({Role::web, 0}) < 4'000'000) tell();

  std::size_t taken = 0;
  std::string buffer;
  run_until([&] {
    while (auto got = receive_frame(pair->second.get(), buffer)) {
      const auto snapshot = decode<StatusSnapshot>(std::string_view(buffer).substr(kFrameHeaderBytes, got->bytes - kFrameHeaderBytes));
      EXPECT_TRUE(snapshot && snapshot->status_json == std::to_string(taken)) << "out of order at " << taken;
      ++taken;
    }
    return taken == sent;
  });
  EXPECT_EQ(parent.queued_bytes({Role::web, 0}), 0U);

  for (int i = 0; i < 2000 && parent.has(Role::web); ++i) tell();
  EXPECT_FALSE(parent.has(Role::web));
  EXPECT_NE(reason.find("does not read"), std::string::npos);
}

TEST_F(House, DescriptorsThatWaitAreClosedWithTheChannel) {
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  Peers queue(loop_, log_, Role::queue);
  queue.add({Role::mailbox, 0}, std::move(pair->first));
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::size_t before = open_descriptors();
  LocalDelivery large;
  large.content.prefix = std::string(500000, 'p');
  for (int i = 0; i < 30; ++i) queue.ask<DeliveryResult>(Role::mailbox, large, null.get(), 10s, [](Result<DeliveryResult>, Fd) {});
  EXPECT_GT(open_descriptors(), before);
  queue.remove({Role::mailbox, 0});
  loop_.turn();
  EXPECT_EQ(open_descriptors(), before - 1) << "its own end, and every copy";
}

/// In a process of its own, whose few descriptors on their way make the kernel refuse more (unix(7), ETOOMANYREFS; root is free of it).
/// Returns 0, or which expectation did not hold.
int send_more_descriptors_than_may_be_on_their_way() {
  constexpr rlimit kFew{64, 64};
  constexpr unsigned kNobody = 65534;
  constexpr int kFrames = 100, kMostTurns = 200;
  if (::setrlimit(RLIMIT_NOFILE, &kFew) != 0) return 10;
  if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) return 11;
  io::Loop loop;
  const Log log([](Severity, std::string_view) {}, Severity::error);
  Peers peers(loop, log, Role::listener);
  auto pair = make_channel_pair();
  if (!pair) return 12;
  peers.add({Role::mailbox, 0}, std::move(pair->first));
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (int i = 0; i < kFrames; ++i)
    peers.ask<RecipientVerdict>(Role::mailbox, RecipientQuery{"a", "", {}, 0}, null.get(), 60s, [](const Result<RecipientVerdict>&, const Fd&) {});
  if (peers.queued_bytes({Role::mailbox, 0}) == 0) return 13;  // all went out: nothing was tested
  int turns = 0;
  loop.before_block([&] { ++turns; });
  io::Timer end(loop), read(loop);
  end.start(400ms, [&] { loop.stop(); });
  loop.run();
  if (turns > kMostTurns) return 14;
  int received = 0;
  std::string buffer;
  end.start(30s, [&] { loop.stop(); });
  read.repeat(1ms, [&] {
    while (receive_frame(pair->second.get(), buffer)) ++received;
    if (received == kFrames) loop.stop();
  });
  loop.run();
  return received == kFrames ? 0 : 15;
}

TEST(Channel, WhereTheKernelHasNoRoomItWaitsWithoutSpinningAndLosesNothing) {
  const int pid = ::fork();
  if (pid == 0) ::_exit(send_more_descriptors_than_may_be_on_their_way());
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace postern::privsep
