/// For tests: a courier with all it needs, on one loop, and deliveries in a line.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "deliver/remote/courier.h"
#include "deliver/remote/test_server.h"
#include "deliver/remote/sts_test.h"
#include "io/memfd.h"

namespace postern::remote::test {

class FixedEntropy final : public crypto::Entropy {
 public:
  void fill(std::span<std::byte> out) override { std::fill(out.begin(), out.end(), std::byte{7}); }
};

class Deliveries : public ::testing::Test {
 protected:
  static constexpr std::chrono::milliseconds kShort{300}, kLong{10'000};

  Deliveries() {
    settings.own_name = "us.test";
    settings.timeouts = {kLong, kLong, kLong, kLong, kLong, kLong, kLong, kLong};
    settings.tls = &tls;
    courier.rules().own_name = "us.test";
    courier.set_dnssec(DnssecTrust::off);
    courier.rules().port = server.at.port;
    courier.rules().routes.push_back(*parse_route("to.test=127.0.0.1:" + std::to_string(server.at.port), 25));
  }
  void hurry() { settings.timeouts = {kShort, kShort, kShort, kShort, kShort, kShort, kShort, kLong}; }

  static privsep::RemoteDelivery request(const std::vector<std::string>& targets = {"a@to.test"}) {
    privsep::RemoteDelivery r;
    r.id = "ID";
    r.destination = "to.test";
    r.reverse_path = "s@from.test";
    for (const auto& address : targets) r.targets.push_back({address, {}, ""});
    return r;
  }
  /// Starts a delivery; its result lands in results[returned value].
  std::size_t begin(privsep::RemoteDelivery r, const std::string& body) {
    r.content.size = body.size();
    const Fd fd = *io::sealed_memfd("body", bytes_of(body));
    const std::size_t index = results.size();
    results.emplace_back();
    courier.deliver(r, fd, [this, index](privsep::DeliveryResult result) {
      EXPECT_FALSE(results[index]) << "answered twice";
      results[index] = std::move(result);
    });
    return index;
  }
  privsep::DeliveryResult deliver(privsep::RemoteDelivery r = request(), const std::string& body = "Subject: x\r\n\r\nhello\r\n") {
    const std::size_t targets = r.targets.size();
    const std::size_t index = begin(std::move(r), body);
    until([&] { return results[index].has_value(); });
    if (!results[index]) return {};
    EXPECT_EQ(results[index]->outcomes.size(), targets);
    return *results[index];
  }
  void until(const std::function<bool()>& condition) {
    bool timed_out = false;
    io::Timer limit(loop);
    limit.start(std::chrono::seconds{20}, [&] { timed_out = true; });
    while (!condition() && !timed_out) loop.turn();
    EXPECT_TRUE(condition()) << "did not come true";
  }
  static std::string shown(const privsep::Outcome& o) { return std::to_string(o.reply.code) + " " + o.reply.enhanced; }

  io::Loop loop;
  TestServer server{loop, "127.0.0.1"};
  TestResolver resolver;
  FixedEntropy entropy;
  Log log{[](Severity, std::string_view) {}, Severity::debug};
  privsep::Metrics metrics;
  io::TlsClientContext tls = *io::TlsClientContext::create();
  SessionSettings settings;
  SessionPool pool{loop, settings, {}};
  FakePolicies policies;
  StsCache sts{resolver, policies, policies, loop, log, metrics};
  Courier courier{resolver, sts, pool, entropy, loop, log, metrics};
  std::vector<std::optional<privsep::DeliveryResult>> results;
};

}  // namespace postern::remote::test
