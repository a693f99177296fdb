/// A spool full of small messages, for the test and the measurement of how it is loaded.
#pragma once

#include <string>

#include "queue/engine.h"
#include "queue/limits.h"
#include "queue/spool.h"

namespace postern::queue {

/// Stores `messages`, one recipient each, at `destinations` places; every other one has been tried before and waits for its time.
inline Result<void> fill(Spool& spool, std::uint32_t messages, std::uint32_t destinations, WallTime now) {
  constexpr std::uint32_t kBatch = 2000;
  const TextBody body("x");
  for (std::uint32_t i = 0; i < messages;) {
    TRY_ASSIGN(const auto batch, spool.begin());
    for (const std::uint32_t end = std::min(messages, i + kBatch); i < end; ++i) {
      NewMessage m;
      m.message.id = "LOAD" + std::to_string(i);
      m.message.reverse_path = "sender" + std::to_string(i % 50'000) + "@example.org";
      m.message.content = {"Received: from client.example.org by mx.example.com; Tue, 24 Nov 2026 09:00:00 +0000\r\n", 1, {}};
      m.message.chunks = chunks_of(1);
      m.schedule.received = now;
      m.schedule.expires = now + std::chrono::hours{120};
      m.schedule.warn_at = now + std::chrono::hours{4};
      m.schedule.sender = i % 50'000;
      RecipientRecord r;
      r.destination = "destination" + std::to_string(i % destinations) + ".example";
      r.recipient = r.target = "someone" + std::to_string(i) + "@" + r.destination;
      r.route = Route::remote;
      r.due = now;
      if (i % 2 == 0) {
        r.attempts = 1;
        r.due = now + std::chrono::minutes{5};
        r.reply = {451, "4.3.0", "Temporary trouble at this server, please come back in a while"};
        r.server = "mx." + r.destination + " [192.0.2.1]";
      }
      m.recipients.push_back(std::move(r));
      TRY(batch->add(spool.take_number(), m, &body));
    }
    TRY(batch->commit());
  }
  return {};
}

/// Takes deliveries and never tells.
struct SilentCourier final : Courier {
  void deliver(const privsep::LocalDelivery&, int, Done) override {}
  void deliver(const privsep::RemoteDelivery&, int, Done) override {}
};

}  // namespace postern::queue
