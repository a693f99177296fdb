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

  SyncChannel channel_{Role::listener, Role::signer};
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

TEST_F(Sync, LateAnswersDoNotHoldTheCallerPastItsPatience) {
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ask(0ms).error().code, "ipc.timeout");
  for (int i = 0; i < 100; ++i) put_signature(1, "again");
  EXPECT_EQ(ask(0ms).error().code, "ipc.timeout");
}

TEST_F(Sync, WithoutAPeerItFailsAtOnce) {
  SyncChannel lonely(Role::web, Role::signer);
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

TEST_P(SyncBreach, ClosesTheChannel) {
  GetParam().send(signer_.get());
  EXPECT_FALSE(ask());
  EXPECT_FALSE(channel_.is_open());
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
