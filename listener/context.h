/// What all sessions of the process share: settings, time, counters, the budget, and whether mail is taken now.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/ip.h"
#include "base/log.h"
#include "listener/budget.h"
#include "listener/data_sink.h"
#include "listener/poison.h"
#include "privsep/config.h"
#include "privsep/metrics.h"

namespace postern::listener {

/// The smtp.* keys of the configuration.
struct Settings {
  std::string host_name = "localhost";
  std::uint64_t max_message_size = 25 * 1024 * 1024;
  std::size_t max_recipients = 1000;
  std::size_t max_connections = 5000;
  std::size_t max_connections_per_client = 200;
  std::uint64_t memory_budget = 512ULL * 1024 * 1024;
  std::uint64_t max_commands = 10'000;
  std::uint64_t max_errors = 20;
  std::uint64_t max_messages = 10'000;
  std::size_t max_received = 50;
  std::chrono::seconds command_timeout{300};
  std::chrono::seconds data_timeout{180};
  std::chrono::seconds transaction_timeout{1800};
  BareNewline bare_newline = BareNewline::reject;
  std::chrono::seconds banner_delay{0};
  std::vector<IpPrefix> relay_networks;

  static Settings read(const privsep::Config& config, const std::string& machine_name);
  bool may_relay(const IpAddress& client) const;
};

struct Context {
  Context(Settings given, const Clock& its_clock, crypto::Entropy& its_entropy, const Log& its_log, privsep::Metrics& its_metrics)
      : clock(its_clock), entropy(its_entropy), log(its_log), metrics(its_metrics), budget(given.memory_budget), poison(its_clock) {
    apply(std::move(given));
  }
  /// New settings: for sessions that run, too.
  void apply(Settings given);

  Settings settings;
  const Clock& clock;
  crypto::Entropy& entropy;
  const Log& log;
  privsep::Metrics& metrics;
  Budget budget;
  PoisonWatch poison;
  bool accepting = true;          ///< false: the queue takes nothing now
  privsep::SmtpReply not_accepting;  ///< what MAIL is answered then
  bool has_tls = false;           ///< whether STARTTLS is offered
  bool stopping = false;
  std::string ehlo_clear;         ///< the keyword lines of EHLO, without and with STARTTLS, and under TLS
  std::string ehlo_starttls;
  std::string ehlo_tls;
};

/// The number a message is known by everywhere: 16 letters and digits from 80 random bits.
std::string make_message_id(crypto::Entropy& entropy);

}  // namespace postern::listener
