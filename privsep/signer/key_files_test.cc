#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "io/x509.h"
#include "privsep/signer/ipc.h"

namespace postern::signer {
namespace {

class KeyFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "keys-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path = pattern;
    folder = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(folder);
  }
  void TearDown() override { std::filesystem::remove_all(path); }
  std::string path;
  Fd folder;
  SystemClock clock;
};

TEST_F(KeyFolder, TheFirstStartMakesAKeyAndTheNextFindsIt) {
  const auto first = own_key(folder, "mx.example", clock.now());
  ASSERT_TRUE(first) << first.error().message;
  const auto second = own_key(folder, "mx.example", clock.now());
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(first->key.id(), second->key.id());
  EXPECT_EQ(first->chain_pem, second->chain_pem);
  struct stat status {};
  ASSERT_EQ(::stat((path + "/tls.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  const auto chain = io::Chain::parse(first->chain_pem);
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->describe(0).names, std::vector<std::string>{"mx.example"});
}

TEST_F(KeyFolder, AKeyWithoutItsCertificateIsNamed) {
  ASSERT_TRUE(own_key(folder, "mx.example", clock.now()));
  std::filesystem::remove(path + "/tls.crt");
  const auto found = own_key(folder, "mx.example", clock.now());
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("tls.crt"), std::string::npos);
}

TEST_F(KeyFolder, ACertificateOfAnotherKeyIsRefused) {
  ASSERT_TRUE(own_key(folder, "mx.example", clock.now()));
  const auto other = io::PrivateKey::generate(io::KeyType::ec_p256);
  ASSERT_TRUE(other);
  std::ofstream(path + "/tls.key") << other->to_pem().view();
  const auto found = own_key(folder, "mx.example", clock.now());
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("another key"), std::string::npos);
}

TEST_F(KeyFolder, ALinkInThePlaceOfTheKeyIsNotFollowed) {
  ASSERT_TRUE(own_key(folder, "mx.example", clock.now()));
  std::filesystem::rename(path + "/tls.key", path + "/elsewhere");
  std::filesystem::create_symlink(path + "/elsewhere", path + "/tls.key");
  const auto first = own_key(folder, "mx.example", clock.now());
  ASSERT_TRUE(first) << first.error().message;  // a new key took the link's place
  EXPECT_FALSE(std::filesystem::is_symlink(path + "/tls.key"));
}

}  // namespace
}  // namespace postern::signer
