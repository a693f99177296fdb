/// For tests: an engine with a spool in memory, a clock that is moved by hand, and a courier whose deliveries the test answers.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "io/memfd.h"
#include "privsep/ticket.h"
#include "queue/admin.h"
#include "queue/engine.h"
#include "queue/memory_spool.h"

namespace postern::queue {

using namespace std::chrono_literals;
using privsep::Role;
using privsep::TicketKind;

struct FakeCourier final : Courier {
  template <class M>
  struct Asked {
    M request;
    std::string body;
    Done done;
  };
  std::vector<Asked<privsep::LocalDelivery>> local;
  std::vector<Asked<privsep::RemoteDelivery>> remote;

  static std::string read(int fd, std::uint64_t size) {
    std::string body(static_cast<std::size_t>(size), '\0');
    EXPECT_TRUE(FileBody(fd, size).read(0, {reinterpret_cast<std::byte*>(body.data()), body.size()}).has_value());
    return body;
  }
  void deliver(const privsep::LocalDelivery& request, int body, Done done) override { local.push_back({request, read(body, request.content.size), std::move(done)}); }
  void deliver(const privsep::RemoteDelivery& request, int body, Done done) override { remote.push_back({request, read(body, request.content.size), std::move(done)}); }
};

struct CountingEntropy final : crypto::Entropy {
  std::uint8_t next = 0;
  void fill(std::span<std::byte> out) override {
    for (auto& b : out) b = static_cast<std::byte>(next++);
    next = static_cast<std::uint8_t>(next + 7);
  }
};

inline privsep::Outcome outcome(std::uint16_t code, std::string enhanced, std::string text = "words") {
  privsep::Outcome o;
  o.reply = {code, std::move(enhanced), std::move(text)};
  return o;
}
inline privsep::DeliveryResult result(std::vector<privsep::Outcome> outcomes) {
  privsep::DeliveryResult r;
  r.outcomes = std::move(outcomes);
  return r;
}

struct House {
  FakeClock clock;
  MemorySpool spool;
  FakeCourier courier;
  CountingEntropy entropy;
  Log log{[](Severity, std::string_view) {}, Severity::error};
  privsep::Metrics metrics;
  Secret key{"the key of tests"};
  std::unique_ptr<Engine> engine;
  std::vector<privsep::SmtpReply> answers;
  int next_id = 1;
  std::vector<std::string> configured_holds;
  std::uint16_t max_attempts = 0;
  std::chrono::seconds warn_after = 4h;

  House() { restart(); }
  EngineOptions options() const {
    EngineOptions o;
    o.host = "mail.example.com";
    o.intake = {64U << 20, 120h, warn_after};
    o.curve = RetryCurve({5min, 10min, 1h});
    o.verp = true;
    o.holds = configured_holds;
    o.max_attempts = max_attempts;
    return o;
  }
  void restart() {
    courier = {};
    engine = std::make_unique<Engine>(spool, courier, clock, entropy, log, metrics, key, options());
    ASSERT_TRUE(engine->load().has_value());
  }
  privsep::SpoolRequest request(const std::vector<std::string>& to, TicketKind kind, const std::string& body) {
    privsep::SpoolRequest r;
    r.envelope.id = "MESSAGE" + std::to_string(next_id++);
    r.envelope.reverse_path = "alice@example.org";
    r.envelope.arrival.account = "alice@example.org";
    for (const auto& address : to) {
      privsep::Recipient recipient;
      recipient.ticket = {kind, address, address, clock.now() + 1h, {}, false};
      privsep::seal(recipient.ticket, key);
      r.envelope.recipients.push_back(recipient);
    }
    r.content.size = body.size();
    r.evidence = R"({"spf":"pass"})";
    return r;
  }
  std::string send(const privsep::SpoolRequest& r, const std::string& body) {
    engine->accept(r, Role::verifier_out, *io::sealed_memfd("t", bytes_of(body)), [this](privsep::SmtpReply reply) { answers.push_back(reply); });
    return r.envelope.id;
  }
  std::string send(const std::vector<std::string>& to, TicketKind kind = TicketKind::relay) {
    const std::string body = "Subject: hi\r\n\r\nhello\r\n";
    return send(request(to, kind, body), body);
  }
  void turn() {
    for (int i = 0; i < 50 && engine->turn(); ++i) {
    }
  }
  nlohmann::json admin(const std::string& command, std::vector<privsep::KeyValue> arguments = {}) {
    privsep::AdminRequest r;
    r.command = command;
    r.arguments = std::move(arguments);
    nlohmann::json out;
    administer(*engine, r, [&](privsep::AdminAnswer a) { out = a.error.empty() ? nlohmann::json::parse(a.json) : nlohmann::json{{"error", a.error}}; });
    turn();
    return out;
  }
  std::size_t queued() const { return engine->scheduler().messages(); }
  /// Counts of a metric with this in its name or labels.
  std::uint64_t counted(std::string_view name, std::string_view labels = {}) {
    std::uint64_t sum = 0;
    for (const auto& sample : metrics.changed())
      if (sample.name.find(name) != std::string::npos && sample.labels.find(labels) != std::string::npos) sum += sample.value;
    return sum;
  }
};

}  // namespace postern::queue
