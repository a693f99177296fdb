// Every row of the table against every way of breaking it. The cases come from kRows: a new row is covered by itself.
#include "privsep/frame.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "privsep/test_messages.h"

namespace postern::privsep {
namespace {

std::string_view code_of(const Row& row, std::size_t payload, std::size_t descriptors, std::uint32_t request, Receiving receiving) {
  const std::string frame = make_frame(row, request, std::string(payload, 'x'));
  const auto checked = check_frame(frame, descriptors, receiving);
  return checked ? "ok" : checked.error().code;
}

/// A frame that is right in all but what the test changes.
struct Right {
  explicit Right(const Row& r) : row(r), descriptors(allowed_descriptors(r)), request(allowed_request(r)) {
    const Pair pair = allowed_pair(r);
    receiving = {.self = pair.to, .peer = pair.from, .locked = pair.locked};
  }
  std::string_view code() const { return code_of(row, payload, descriptors, request, receiving); }

  const Row& row;
  std::size_t payload = 0;
  std::size_t descriptors;
  std::uint32_t request;
  Receiving receiving{};
};

class FrameOfRow : public testing::TestWithParam<Row> {};

TEST_P(FrameOfRow, PassesBetweenEveryPairItNames) {
  for (Role from : kRoles)
    for (Role to : kRoles) {
      if (!GetParam().from.has(from) || !GetParam().to.has(to)) continue;
      Right frame(GetParam());
      frame.receiving.peer = from;
      frame.receiving.self = to;
      EXPECT_EQ(frame.code(), "ok") << name_of(from) << " to " << name_of(to);
    }
}

TEST_P(FrameOfRow, IsRefusedFromEveryOtherSender) {
  for (Role role : kRoles) {
    if (GetParam().from.has(role)) continue;
    Right frame(GetParam());
    frame.receiving.peer = role;
    EXPECT_EQ(frame.code(), "ipc.sender") << name_of(role);
  }
}

TEST_P(FrameOfRow, IsRefusedByEveryOtherReceiver) {
  for (Role role : kRoles) {
    if (GetParam().to.has(role)) continue;
    Right frame(GetParam());
    frame.receiving.self = role;
    EXPECT_EQ(frame.code(), "ipc.receiver") << name_of(role);
  }
}

TEST_P(FrameOfRow, MayBeAsLargeAsItsRowSaysAndNotAByteLarger) {
  Right frame(GetParam());
  frame.payload = GetParam().max_bytes;
  EXPECT_EQ(frame.code(), "ok");
  ++frame.payload;
  EXPECT_EQ(frame.code(), "ipc.size");
  EXPECT_LE(GetParam().max_bytes + kFrameHeaderBytes, kFrameBytes) << "does not fit the receive buffer";
}

TEST_P(FrameOfRow, CarriesTheDescriptorsItsRowSays) {
  for (std::size_t count = 0; count <= 3; ++count) {
    Right frame(GetParam());
    frame.descriptors = count;
    const bool fits = GetParam().descriptor == Descriptor::none       ? count == 0
                      : GetParam().descriptor == Descriptor::required ? count == 1
                                                                      : count <= 1;
    EXPECT_EQ(frame.code(), fits ? "ok" : "ipc.descriptor") << count;
  }
}

TEST_P(FrameOfRow, ComesInItsPhaseOnly) {
  for (bool locked : {false, true}) {
    Right frame(GetParam());
    frame.receiving.locked = locked;
    const bool fits = GetParam().phase == Phase::any || (GetParam().phase == Phase::running) == locked;
    EXPECT_EQ(frame.code(), fits ? "ok" : "ipc.phase") << (locked ? "locked" : "starting");
  }
}

TEST_P(FrameOfRow, HasARequestNumberExactlyWhenItAsksOrAnswers) {
  for (std::uint32_t request : {0U, 1U, 0xFFFFFFFFU}) {
    Right frame(GetParam());
    frame.request = request;
    EXPECT_EQ(frame.code(), (GetParam().kind == Kind::tell) == (request == 0) ? "ok" : "ipc.request") << request;
  }
}

TEST_P(FrameOfRow, GivesBackWhatWasPutIn) {
  const Right right(GetParam());
  const std::string payload(std::min<std::size_t>(GetParam().max_bytes, 5), 'p');
  const std::string frame = make_frame(GetParam(), right.request, payload);
  const auto checked = check_frame(frame, right.descriptors, right.receiving);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->row->name, GetParam().name);
  EXPECT_EQ(checked->request, right.request);
  EXPECT_EQ(checked->payload, payload);
}

INSTANTIATE_TEST_SUITE_P(Rows, FrameOfRow, testing::ValuesIn(kRows), [](const auto& test) {
  std::string name(test.param.name);
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
});

TEST(Frame, ShorterThanItsHeaderIsRefused) {
  const std::string frame = make_frame(Stop::row, 0, "");
  for (std::size_t size = 0; size < kFrameHeaderBytes; ++size) {
    const auto checked = check_frame(std::string_view(frame).substr(0, size), 0, {Role::queue, Role::parent, true});
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, "ipc.short");
  }
}

TEST(Frame, NumbersOutsideTheTableAreRefused) {
  for (std::uint32_t number = 0; number <= 0xFFFF; ++number) {
    if (row_numbered(static_cast<std::uint16_t>(number)) != nullptr) continue;
    Row row;
    row.number = static_cast<std::uint16_t>(number);
    const auto checked = check_frame(make_frame(row, 0, ""), 0, {Role::queue, Role::parent, true});
    ASSERT_FALSE(checked) << number;
    ASSERT_EQ(checked.error().code, "ipc.unknown");
  }
}

TEST(Frame, ReservedBytesMustBeZero) {
  for (std::size_t at : {2U, 3U}) {
    std::string frame = make_frame(Stop::row, 0, "");
    frame[at] = 1;
    EXPECT_EQ(check_frame(frame, 0, {Role::queue, Role::parent, true}).error().code, "ipc.unknown");
  }
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

TEST(FrameSocket, CarriesTheLargestFrameAndItsDescriptor) {
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  std::size_t most = 0;
  for (const Row& row : kRows) most = std::max(most, row.max_bytes);
  const std::string frame = make_frame(SpoolRequest::row, 1, std::string(most, 'b'));
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto sent = send_frame(pair->first.get(), frame, null.get());
  ASSERT_TRUE(sent) << sent.error().message;
  std::string buffer;
  const auto got = receive_frame(pair->second.get(), buffer);
  ASSERT_TRUE(got);
  EXPECT_EQ(std::string_view(buffer).substr(0, got->bytes), frame);
  EXPECT_EQ(got->descriptors, 1U);
  EXPECT_FALSE(got->truncated);
  EXPECT_EQ(::fcntl(got->descriptor.get(), F_GETFD), FD_CLOEXEC);
}

TEST(FrameSocket, SaysWhenThereIsNothingAndWhenThePeerHasGone) {
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  std::string buffer;
  EXPECT_EQ(receive_frame(pair->first.get(), buffer).error().code, "ipc.again");
  pair->second.reset();
  const auto end = receive_frame(pair->first.get(), buffer);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->bytes, 0U);
  EXPECT_EQ(send_frame(pair->first.get(), make_frame(Stop::row, 0, ""), -1).error().code, "ipc.gone");
}

TEST(FrameSocket, WhatAPeerSaidBeforeItClosedIsReadEvenWhenItLeftOursUnread) {
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  const std::string last_words = make_frame(SyscallReport::row, 0, encode(SyscallReport{}));
  ASSERT_TRUE(send_frame(pair->second.get(), last_words, -1));
  ASSERT_TRUE(send_frame(pair->first.get(), make_frame(Stop::row, 0, ""), -1));
  pair->second.reset();
  std::string buffer;
  const auto got = receive_frame(pair->first.get(), buffer);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(std::string_view(buffer).substr(0, got->bytes), last_words);
  const auto end = receive_frame(pair->first.get(), buffer);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->bytes, 0U);
}

/// Sends `count` descriptors in one datagram, as no honest peer does.
void send_many(int socket, std::string frame, std::size_t count) {
  std::vector<int> numbers(count, 0);
  std::vector<char> control(CMSG_SPACE(count * sizeof(int)));
  iovec part{frame.data(), frame.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::memcpy(CMSG_DATA(header), numbers.data(), count * sizeof(int));
  ASSERT_GT(::sendmsg(socket, &message, 0), 0);
}

TEST(FrameSocket, SurplusDescriptorsAreSeenAndClosed) {
  auto pair = make_channel_pair();
  ASSERT_TRUE(pair);
  std::string buffer;
  for (std::size_t count : {2U, 4U, 5U, 200U}) {
    const std::size_t before = open_descriptors();
    send_many(pair->first.get(), make_frame(Stop::row, 0, ""), count);
    {
      const auto got = receive_frame(pair->second.get(), buffer);
      ASSERT_TRUE(got);
      EXPECT_TRUE(got->truncated || got->descriptors == count) << count;
      EXPECT_GT(got->descriptors, 1U);
    }
    EXPECT_EQ(open_descriptors(), before) << count;
  }
}

// ---- the kept corpora: a valid frame and payload of each row, made here -----------------------------------------------

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Set POSTERN_WRITE_CORPUS to write the files anew after the table has changed.
TEST(FrameCorpus, HoldsAFrameAndAPayloadOfEveryRow) {
  const std::filesystem::path root = std::filesystem::path(POSTERN_SOURCE_DIR) / "tests/corpus";
  Messages::each([&]<class M>() {
    const std::string payload = encode(Generator::make<M>(3));
    const Pair pair = allowed_pair(M::row);
    // As frame_fuzz reads it: receiver, sender, descriptors with the phase in the top bit, frame.
    std::string frame{static_cast<char>(pair.to), static_cast<char>(pair.from),
                      static_cast<char>(allowed_descriptors(M::row) | (pair.locked ? 0x80U : 0U))};
    frame += make_frame(M::row, allowed_request(M::row), payload);
    const std::string name(M::row.name);
    for (const auto& [folder, bytes] : {std::pair{"frame_fuzz", frame}, std::pair{"messages_fuzz", payload}}) {
      const auto path = root / folder / name;
      if (std::getenv("POSTERN_WRITE_CORPUS") != nullptr) {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << bytes;
      }
      ASSERT_TRUE(std::filesystem::exists(path)) << path;
    }
    // What is kept must still be what the table takes: a frame that is refused at once would test nothing.
    const std::string kept = slurp(root / "frame_fuzz" / name);
    ASSERT_GT(kept.size(), 3U + kFrameHeaderBytes - 1);
    const auto checked = check_frame(std::string_view(kept).substr(3), allowed_descriptors(M::row), {pair.to, pair.from, pair.locked});
    ASSERT_TRUE(checked) << name << ": " << checked.error().message;
    EXPECT_TRUE(decode<M>(checked->payload)) << name << " has changed: run this test once with POSTERN_WRITE_CORPUS=1";
    EXPECT_TRUE(decode<M>(slurp(root / "messages_fuzz" / name))) << name;
  });
}

}  // namespace
}  // namespace postern::privsep
