#include "privsep/wire.h"

#include <gtest/gtest.h>

#include "privsep/test_messages.h"

namespace postern::privsep {
namespace {

constexpr std::uint32_t kSeeds = 20;

/// Calls `f<M>(message)` for generated messages of every row.
template <class F>
void for_each_message(F&& f) {
  Messages::each([&]<class M>() {
    SCOPED_TRACE(M::row.name);
    for (std::uint32_t seed = 1; seed <= kSeeds; ++seed) f.template operator()<M>(Generator::make<M>(seed));
  });
}

TEST(Wire, EveryMessageSurvivesBeingWrittenAndRead) {
  for_each_message([]<class M>(const M& message) {
    const std::string written = encode(message);
    const auto read = decode<M>(written);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(encode(*read), written);
  });
}

TEST(Wire, EveryMessageCutAtAnyByteIsRefused) {
  for_each_message([]<class M>(const M& message) {
    const std::string written = encode(message);
    for (std::size_t cut = 0; cut < written.size(); ++cut) {
      const auto read = decode<M>(std::string_view(written).substr(0, cut));
      ASSERT_FALSE(read) << "cut after " << cut;
      EXPECT_EQ(read.error().code, "wire.short");
    }
  });
}

TEST(Wire, EveryMessageWithATrailingByteIsRefused) {
  for_each_message([]<class M>(const M& message) {
    const auto read = decode<M>(encode(message) + '\0');
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, "wire.trailing");
  });
}

enum class Colour : std::uint16_t { red = 1, blue = 300 };
constexpr bool is_known(Colour c) { return c == Colour::red || c == Colour::blue; }

struct Everything {
  bool flag = false;
  Colour colour = Colour::red;
  std::int32_t negative = 0;
  IpAddress address;
  std::optional<std::string> maybe;
  std::array<std::uint16_t, 2> pair{};
  std::chrono::milliseconds pause{0};
  void fields(auto& codec) { codec(flag, colour, negative, address, maybe, pair, pause); }
};

TEST(Wire, WritesFieldsInTheirOrderLittleEndianWithLengths) {
  const Everything message{true, Colour::blue, -2, *IpAddress::parse("192.0.2.1"), "ab", {1, 0x0203}, std::chrono::milliseconds(258)};
  using namespace std::string_literals;
  EXPECT_EQ(encode(message), "\x01" "\x2C\x01" "\xFE\xFF\xFF\xFF" "\x04\0\0\0\xC0\0\x02\x01" "\x01\x02\0\0\0ab" "\x01\0\x03\x02"
                             "\x02\x01\0\0\0\0\0\0"s);
  const auto read = decode<Everything>(encode(message));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->negative, -2);
  EXPECT_EQ(read->colour, Colour::blue);
  EXPECT_EQ(read->maybe, "ab");
  EXPECT_EQ(read->pause, std::chrono::milliseconds(258));
}

struct OnlyColour { Colour value{}; void fields(auto& c) { c(value); } };
struct OnlyFlag { bool value = false; void fields(auto& c) { c(value); } };
struct OnlyAddress { IpAddress value; void fields(auto& c) { c(value); } };
struct OnlyMaybe { std::optional<std::uint8_t> value; void fields(auto& c) { c(value); } };

template <class M>
std::string_view code_of(std::string_view payload) {
  const auto read = decode<M>(payload);
  return read ? "ok" : read.error().code;
}

TEST(Wire, ValuesThatDoNotExistAreRefused) {
  using namespace std::string_view_literals;
  EXPECT_EQ(code_of<OnlyColour>("\x01\0"sv), "ok");
  EXPECT_EQ(code_of<OnlyColour>("\x02\0"sv), "wire.value");
  EXPECT_EQ(code_of<OnlyColour>("\x2D\x01"sv), "wire.value");
  EXPECT_EQ(code_of<OnlyFlag>("\x01"sv), "ok");
  EXPECT_EQ(code_of<OnlyFlag>("\x02"sv), "wire.value");
  EXPECT_EQ(code_of<OnlyMaybe>("\x02\x01"sv), "wire.value");
  EXPECT_EQ(code_of<OnlyMaybe>("\x01"sv), "wire.short");
  EXPECT_EQ(code_of<OnlyAddress>("\x04\0\0\0abcd"sv), "ok");
  EXPECT_EQ(code_of<OnlyAddress>("\x05\0\0\0abcde"sv), "wire.value");
  EXPECT_EQ(code_of<OnlyAddress>("\0\0\0\0"sv), "wire.value");
}

TEST(Wire, EveryEnumOfTheMessagesRefusesTheValueBehindItsLast) {
  // The first byte of these payloads is the enum itself.
  EXPECT_EQ(code_of<PeerChannel>(std::string{static_cast<char>(kRoles.size()), '\0'}), "wire.value");
  EXPECT_EQ(code_of<PeerChannel>(std::string{static_cast<char>(kRoles.size() - 1), '\0'}), "ok");
  EXPECT_EQ(code_of<PeerBroken>(std::string(6, '\xFF')), "wire.value");
}

struct Texts { std::vector<std::string> values; void fields(auto& c) { c(values); } };
struct Wide { std::array<std::uint64_t, 1000> v{}; void fields(auto& c) { c(v); } };
struct Wides { std::vector<Wide> values; void fields(auto& c) { c(values); } };

TEST(Wire, CountsBeyondTheBytesThatAreThereMakeNothing) {
  using namespace std::string_view_literals;
  Texts texts;
  Decoder decoder("\xFF\xFF\xFF\xFF\x01\0\0\0a"sv);
  texts.fields(decoder);
  EXPECT_EQ(decoder.finish().error().code, "wire.short");
  EXPECT_EQ(texts.values.capacity(), 0U);

  // A count that could be true of the smallest elements: they are made one by one, and the first that fails is the last.
  Wides wides;
  const std::string payload = std::string("\xE8\x03\0\0"sv) + std::string(1000, 'x');
  Decoder second(payload);
  wides.fields(second);
  EXPECT_FALSE(second.finish());
  EXPECT_LE(wides.values.size(), 1U);

  EXPECT_EQ(code_of<LogLine>("\x01\xFF\xFF\xFF\xFFword"sv), "wire.short");
}

TEST(Wire, NothingIsReadAfterTheFirstError) {
  using namespace std::string_view_literals;
  Everything read;
  Decoder decoder("\x02\x01\0\xFE\xFF\xFF\xFF"sv);  // no such flag
  read.fields(decoder);
  EXPECT_EQ(decoder.finish().error().code, "wire.value");
  EXPECT_EQ(read.negative, 0);
}

}  // namespace
}  // namespace postern::privsep
