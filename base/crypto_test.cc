#include "base/crypto.h"

#include <gtest/gtest.h>

#include <set>

namespace postern::crypto {
namespace {

std::string digest(std::string_view text) { return hex(sha256(bytes_of(text))); }

TEST(Crypto, Sha256IsThatOfFips180) {
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Crypto, HmacIsThatOfRfc4231) {
  EXPECT_EQ(hex(hmac_sha256(std::string(20, '\x0b'), bytes_of("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(hmac_sha256("Jefe", bytes_of("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'), bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hex(hmac_sha256({}, {})), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(Crypto, EqualComparesLengthAndContent) {
  EXPECT_TRUE(equal(bytes_of("same"), bytes_of("same")));
  EXPECT_TRUE(equal({}, {}));
  EXPECT_FALSE(equal(bytes_of("same"), bytes_of("sane")));
  EXPECT_FALSE(equal(bytes_of("same"), bytes_of("sam")));
}

TEST(Crypto, HexGoesThereAndBack) {
  const Bytes bytes = to_bytes(std::string_view("\x00\x7f\x80\xff", 4));
  EXPECT_EQ(hex(bytes), "007f80ff");
  EXPECT_EQ(from_hex("007F80fF"), bytes);
  EXPECT_EQ(from_hex(""), Bytes{});
  for (const char* bad : {"0", "0g", "0x", " 00", "00 "}) EXPECT_FALSE(from_hex(bad)) << bad;
}

TEST(Crypto, Base64IsThatOfRfc4648) {
  const char* cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
                            {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xFE", "+//+"}};
  for (const auto& [plain, coded] : cases) {
    EXPECT_EQ(base64(bytes_of(plain)), coded);
    EXPECT_EQ(from_base64(coded), to_bytes(plain)) << coded;
  }
}

TEST(Crypto, Base64HasOneTextForOneValue) {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "=Zm9", "Zm 9", "Zm9v\n", "Zm9-", "Zm9_", "Z=9v"})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Crypto, EntropyFillsAllAndDoesNotRepeat) {
  SystemEntropy entropy;
  std::set<std::string> seen;
  for (int i = 0; i < 8; ++i) {
    std::array<std::byte, 32> bytes{};
    entropy.fill(bytes);
    seen.insert(hex(bytes));
  }
  EXPECT_EQ(seen.size(), 8U);
  entropy.fill({});
}

}  // namespace
}  // namespace postern::crypto
