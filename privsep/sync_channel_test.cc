// The peer's words lie in the socket before they are read: request numbers start at 1 and grow, so no second thread is needed.
#include "privsep/sync_channel.h"

#include <gtest/gtest.h>

#include "privsep/message_table.h"

namespace postern::privsep {
namespace {

using namespace std::chrono_literals;

class Sync : public testing::Test {
 protected:
  void SetUp() override { connect(); }
  void connect() {
    auto pair = make_channel_pair();
    ASSERT_TRUE(pair);
    channel_.set_socket(std::move(pair->first));
    signer_ = std::move(pair->second);
  }
  void put(const Row& row, std::uint32_t request, std::string_view payload, int descriptor = -1) {
    ASSERT_TRUE(send_frame(signer_.get(), make_frame(row, request, payload), descriptor));
  }
  void put_signature(std::uint32_t request, std::string_view signature) {
    put(TlsSignature::row, request, encode(TlsSignature{"", to_bytes(signature)}));
  }
  Result<TlsSignature> ask(std::chrono::milliseconds patience = 10s) {
    return channel_.ask<TlsSignature>(TlsSign{to_bytes("key"), TlsSign::Operation::ecdsa, to_bytes("digest")}, patience);
  }

  std::size_t questions_received() {
    std::size_t count = 0;
    std::string buffer;
    while (receive_frame(signer_.get(), buffer)) ++count;
    return count;
  }

  FakeClock clock_;
  SyncChannel channel_{clock_, Role::listener, Role::signer};
  Fd signer_;
};

TEST_F(Sync, AsksAndHearsTheAnswer) {
  put_signature(1, "signed");
  const auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(text_of(answer->signature), "signed");
  std::string buffer;
  const auto asked = receive_frame(signer_.get(), buffer);
  ASSERT_TRUE(asked);
  const auto frame = check_frame(std::string_view(buffer).substr(0, asked->bytes), asked->descriptors, {Role::signer, Role::listener, true});
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->request, 1U);
  EXPECT_EQ(text_of(decode<TlsSign>(frame->payload)->data), "digest");
}

TEST_F(Sync, SilenceIsATimeoutAndTheLateAnswerIsSkipped) {
  EXPECT_EQ(ask(1ms).error().code, "ipc.timeout");
  EXPECT_TRUE(channel_.is_open());
  put_signature(1, "late");
  put_signature(2, "right");
  const auto answer = ask();
  ASSERT_TRUE(answer);
  EXPECT_EQ(text_of(answer->signature), "right");
}

// The questions that reached the peer: those that failed at once were not sent.
TEST_F(Sync, AfterATimeoutNobodyWaitsUntilTheQuietTimeIsOver) {
  ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ask(10s).error().code, "ipc.timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
  EXPECT_EQ(questions_received(), 1U);
  clock_.advance(SyncChannel::kQuiet - 1ms);
  EXPECT_EQ(ask(10s).error().code, "ipc.timeout");
  EXPECT_EQ(questions_received(), 0U);
}

TEST_F(Sync, AfterTheQuietTimeOneProbeIsMadeWithLittlePatience) {
  ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
  clock_.advance(SyncChannel::kQuiet);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(600s).error().code, "ipc.timeout");
  EXPECT_GE(std::chrono::steady_clock::now() - began, SyncChannel::kProbePatience);
  EXPECT_EQ(ask(600s).error().code, "ipc.timeout");  // quiet again
  EXPECT_EQ(questions_received(), 2U);
  clock_.advance(SyncChannel::kQuiet);
  put_signature(3, "back");
  EXPECT_TRUE(ask());
}

TEST_F(Sync, WordsOfASilentPeerThatAnswerNothingBuyItNoTime) {
  ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
  put_signature(1, "late");
  EXPECT_EQ(ask(600s).error().code, "ipc.timeout");
}

TEST_F(Sync, APeerThatSpeaksAgainIsAskedAtOnce) {
  ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
  put_signature(1, "late");
  put_signature(2, "right");
  const auto answer = ask();
  ASSERT_TRUE(answer);
  EXPECT_EQ(text_of(answer->signature), "right");
}

TEST_F(Sync, ASuccessorIsNotTakenForSilent) {
  ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
  connect();
  put_signature(1, "new");
  EXPECT_TRUE(ask());
}

TEST_F(Sync, LateAnswersDoNotHoldTheCallerPastItsPatience) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
    clock_.advance(SyncChannel::kQuiet);
  }
  for (int i = 0; i < 100; ++i) put_signature(1, "again");
  EXPECT_EQ(ask(0ms).error().code, "ipc.timeout");
}

TEST_F(Sync, WithoutAPeerItFailsAtOnce) {
  SyncChannel lonely(clock_, Role::web, Role::signer);
  EXPECT_EQ(lonely.ask<Certificates>(CertificatesQuery{}, 10s).error().code, "ipc.gone");
}

TEST_F(Sync, APeerThatGoesIsNoticedAndItsSuccessorIsAsked) {
  signer_.reset();
  EXPECT_EQ(ask().error().code, "ipc.gone");
  EXPECT_FALSE(channel_.is_open());
  connect();
  put_signature(1, "new");
  EXPECT_TRUE(ask());
}

struct Breach {
  const char* what;
  void (*send)(int socket);
};

void send_raw(int socket, std::string_view frame, int descriptor = -1) { ASSERT_TRUE(send_frame(socket, frame, descriptor)); }

class SyncBreach : public Sync, public testing::WithParamInterface<Breach> {};

TEST_P(SyncBreach, ClosesTheChannelAndIsSaid) {
  std::vector<std::string> said;
  channel_.on_breach([&](std::string_view what) { said.emplace_back(what); });
  GetParam().send(signer_.get());
  EXPECT_FALSE(ask());
  EXPECT_FALSE(channel_.is_open());
  EXPECT_EQ(said.size(), 1U);
  EXPECT_EQ(ask().error().code, "ipc.gone");
  EXPECT_EQ(said.size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Kinds, SyncBreach, testing::Values(
    Breach{"AnswerOfAnotherKind", [](int s) { send_raw(s, make_frame(Certificates::row, 1, encode(Certificates{}))); }},
    Breach{"AnswerToAQuestionNeverAsked", [](int s) { send_raw(s, make_frame(TlsSignature::row, 2, encode(TlsSignature{}))); }},
    Breach{"AnswerWithDescriptor", [](int s) { send_raw(s, make_frame(TlsSignature::row, 1, encode(TlsSignature{})), 0); }},
    Breach{"AnswerTooLarge", [](int s) { send_raw(s, make_frame(TlsSignature::row, 1, std::string(TlsSignature::row.max_bytes + 1, 'x'))); }},
    Breach{"AnswerThatDoesNotDecode", [](int s) { send_raw(s, make_frame(TlsSignature::row, 1, "x")); }},
    Breach{"RowOfAnotherSender", [](int s) { send_raw(s, make_frame(Stop::row, 0, "")); }},
    Breach{"Garbage", [](int s) { send_raw(s, "0123456789"); }}),
    [](const auto& test) { return std::string(test.param.what); });

}  // namespace
}  // namespace postern::privsep
