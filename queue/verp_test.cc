#include "queue/verp.h"

#include <gtest/gtest.h>

namespace postern::queue::verp {
namespace {

const Secret kKey{"a key of the spool"};

TEST(Verp, NamesItsMessageAndKeepsTheSendersAddressReadable) {
  for (const Number number : {Number{1}, Number{31}, Number{32}, Number{1'000'000}, Number{UINT64_MAX}}) {
    const auto path = return_path("Alice@Example.org", number, "+", kKey);
    EXPECT_TRUE(path.starts_with("Alice+b-")) << path;
    EXPECT_TRUE(path.ends_with("@Example.org")) << path;
    EXPECT_EQ(number_of(path, "+", kKey), number) << path;
  }
}

TEST(Verp, LetterCaseDoesNotCount) {
  auto path = return_path("alice@example.org", 77, "+", kKey);
  for (char& c : path) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(number_of(path, "+", kKey), 77U);
}

TEST(Verp, AnyChangeMakesItNobodys) {
  const auto path = return_path("alice@example.org", 77, "+", kKey);
  for (std::size_t i = 0; i < path.size(); ++i) {
    std::string forged = path;
    forged[i] = forged[i] == 'q' ? 'r' : 'q';
    EXPECT_EQ(number_of(forged, "+", kKey), std::nullopt) << forged;
  }
  EXPECT_EQ(number_of(path, "+", Secret{"another key"}), std::nullopt);
  EXPECT_EQ(number_of("bob" + path.substr(5), "+", kKey), std::nullopt) << "another sender's";
  for (const char* address : {"alice@example.org", "alice+b-@example.org", "alice+b-aa@example.org", "alice+b-aa-@example.org", "alice+b-", "+b-a-b", "",
                              "alice+b-aaaaaaaaaaaaaaaaaaaa-aaaaaaaaaaaaa@example.org"})
    EXPECT_EQ(number_of(address, "+", kKey), std::nullopt) << address;
}

TEST(Verp, WhereThereIsNoRoomThePathStaysAsItIs) {
  const std::string thirty(30, 'x'), sixty(60, 'x');
  for (const std::string& path : {std::string("\"a b\"@example.org"), std::string("alice+lists@example.org"), sixty + "@example.org", std::string("nobody")})
    EXPECT_EQ(return_path(path, 5, "+", kKey), path);
  EXPECT_EQ(return_path("alice@example.org", 5, "", kKey), "alice@example.org") << "details are not in use";
  EXPECT_EQ(number_of(return_path(thirty + "@example.org", UINT64_MAX, "+", kKey), "+", kKey), UINT64_MAX);
}

}  // namespace
}  // namespace postern::queue::verp
