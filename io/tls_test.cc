// Handshakes whose private keys are elsewhere. libcrypto's methods are replaced for the whole test program, so everything else in it
// also runs through them, as it would in a process.
#include "io/tls.h"

#include <gtest/gtest.h>

#include <optional>

#include "io/listen.h"
#include "io/stream.h"
#include "io/timer.h"

namespace postern::io {
namespace {

using namespace std::chrono_literals;

/// Stands for the process that owns the keys.
struct Keyholder {
  std::vector<std::pair<KeyId, const PrivateKey*>> keys;
  std::vector<KeyOperation> operations;
  bool dead = false;

  Result<Bytes> sign(const KeyId& id, KeyOperation operation, ByteView data) {
    operations.push_back(operation);
    if (dead) return failure("test.dead", "no answer");
    for (const auto& [known, key] : keys)
      if (known == id) return key->operate(operation, data);
    return failure("test.unknown", "no such key");
  }
};
Keyholder& keyholder() {
  static Keyholder* const one = [] {
    auto* made = new Keyholder;  // NOLINT: lives as long as libcrypto's methods
    EXPECT_TRUE(install_remote_keys([made](const KeyId& id, KeyOperation o, ByteView d) { return made->sign(id, o, d); }));
    return made;
  }();
  return *one;
}

struct Side : StreamHandler {
  TcpStream stream;
  std::optional<TlsInfo> tls;
  std::optional<End> ended;
  void on_data(ByteView) override {}
  void on_tls(const TlsInfo& info) override { tls = info; }
  void on_end(End reason, std::string_view) override { ended = reason; }
};

class RemoteKeys : public ::testing::Test {
 protected:
  RemoteKeys() : holder(keyholder()) {
    holder.keys.clear();
    holder.operations.clear();
    holder.dead = false;
  }
  ServerCertificate certificate(const PrivateKey& key, std::string_view host) {
    holder.keys.emplace_back(key.id(), &key);
    return {*key.self_signed(host, SystemClock().now() - 24h, std::chrono::days{9}), "", ""};
  }
  /// One handshake for `servername`; whether both ends came through.
  bool shake(const TlsServerContext& context, const std::string& servername) {
    auto listening = listen_tcp({*IpAddress::parse("127.0.0.1"), 0}, 4);
    EXPECT_TRUE(listening);
    const Endpoint at = *local_endpoint(listening->get());
    server = std::make_unique<Side>();
    client = std::make_unique<Side>();
    Acceptor acceptor(loop, *std::move(listening), [&](Fd fd, const Endpoint&) {
      server->stream = TcpStream(loop, std::move(fd), *server);
      EXPECT_TRUE(server->stream.start_tls_server(context, TlsStart::immediate));
    });
    client->stream = TcpStream::connect(loop, at, 5s, *client);
    bool late = false;
    Timer limit(loop);
    limit.start(10s, [&] { late = true; });
    bool started = false;
    while (!late && !(client->tls && server->tls) && !client->ended) {
      loop.turn();
      if (!started && server->stream.open())
        started = client->stream.start_tls_client(client_context, servername, TlsStart::immediate).has_value();
    }
    return client->tls && server->tls;
  }
  Loop loop;
  Keyholder& holder;
  TlsClientContext client_context = *TlsClientContext::create();
  std::unique_ptr<Side> server, client;
};

TEST_F(RemoteKeys, EcdsaHandshakeIsSignedByTheKeyholder) {
  const auto key = *PrivateKey::generate(KeyType::ec_p256);
  const auto context = TlsServerContext::create({certificate(key, "mx.example")});
  ASSERT_TRUE(context) << context.error().message;
  EXPECT_TRUE(shake(*context, "mx.example"));
  EXPECT_EQ(holder.operations, std::vector{KeyOperation::ecdsa});
}

TEST_F(RemoteKeys, RsaHandshakeIsSignedByTheKeyholder) {
  const auto key = *PrivateKey::generate(KeyType::rsa);
  const auto context = TlsServerContext::create({certificate(key, "mx.example")});
  ASSERT_TRUE(context) << context.error().message;
  EXPECT_TRUE(shake(*context, "mx.example"));
  EXPECT_EQ(holder.operations, std::vector{KeyOperation::rsa_raw});
}

TEST_F(RemoteKeys, SniChoosesAmongCertificates) {
  const auto first = *PrivateKey::generate(KeyType::ec_p256);
  const auto second = *PrivateKey::generate(KeyType::ec_p256);
  const auto a = certificate(first, "a.example"), b = certificate(second, "b.example");
  const auto context = TlsServerContext::create({a, b});
  ASSERT_TRUE(context) << context.error().message;
  ASSERT_TRUE(shake(*context, "b.example"));
  EXPECT_EQ(client->tls->peer_chain_pem, b.chain_pem);
  ASSERT_TRUE(shake(*context, "a.example"));
  EXPECT_EQ(client->tls->peer_chain_pem, a.chain_pem);
  ASSERT_TRUE(shake(*context, "unknown.example"));
  EXPECT_EQ(client->tls->peer_chain_pem, a.chain_pem);
}

TEST_F(RemoteKeys, DeadKeyholderFailsTheHandshakeOnly) {
  const auto key = *PrivateKey::generate(KeyType::ec_p256);
  const auto context = TlsServerContext::create({certificate(key, "mx.example")});
  ASSERT_TRUE(context);
  holder.dead = true;
  EXPECT_FALSE(shake(*context, "mx.example"));
  EXPECT_EQ(client->ended, End::handshake);
  holder.dead = false;
  EXPECT_TRUE(shake(*context, "mx.example"));
}

TEST_F(RemoteKeys, KeysInMemoryAreNotAskedFor) {
  const auto key = *PrivateKey::generate(KeyType::ec_p256);
  auto c = certificate(key, "mx.example");
  c.key_pem = std::string(key.to_pem().view());
  const auto context = TlsServerContext::create({c});
  ASSERT_TRUE(context);
  EXPECT_TRUE(shake(*context, "mx.example"));
  EXPECT_TRUE(holder.operations.empty());
}

TEST_F(RemoteKeys, SecondInstallIsRefused) {
  EXPECT_EQ(install_remote_keys([](const KeyId&, KeyOperation, ByteView) -> Result<Bytes> { return Bytes(); }).error().code, "tls.keys");
}

TEST(TlsContext, RefusesBrokenCertificates) {
  EXPECT_EQ(TlsServerContext::create({}).error().code, "tls.certificate");
  EXPECT_EQ(TlsServerContext::create({{"no certificate", "no key", ""}}).error().code, "tls.certificate");
  const auto a = *PrivateKey::generate(KeyType::ec_p256), b = *PrivateKey::generate(KeyType::ec_p256);
  const auto pem = *a.self_signed("mx.example", SystemClock().now(), std::chrono::days{1});
  EXPECT_EQ(TlsServerContext::create({{pem, std::string(b.to_pem().view()), ""}}).error().code, "tls.certificate");
}

}  // namespace
}  // namespace postern::io
