/// Asks DNS questions without waiting: a stub over getdns, to one or more recursive resolvers.
///
/// Trust: the answers are as good as the upstream. With `trust_ad` its AD bit counts as proof: only for a validating resolver on
/// loopback or behind an equally safe path (RFC 7672 §2.2, RFC 6840 §5.8). This is the only code that parses DNS packets; it
/// runs in a process of its own.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "io/endpoint.h"
#include "io/loop.h"
#include "mail/dns.h"

namespace postern::io {

struct StubOptions {
  std::vector<Endpoint> upstreams = {};
  std::chrono::milliseconds timeout{2500};  ///< of one try
  unsigned tries = 2;                        ///< in all, after time-outs and broken connections
  bool trust_ad = false;                     ///< Security::secure when the upstream says AD
  std::size_t max_in_flight = 100;           ///< more wait in a queue
  std::size_t max_waiting = 10'000;          ///< more are answered with Status::failure at once
  /// Validates here instead: DS or DNSKEY records in zone-file form (RFC 4034), one a line. Needs an upstream that passes DNSSEC
  /// records on. Slow, and open to hostile zones' CPU cost: for a check by hand or a process that may die.
  std::string trust_anchor = {};
};

struct StubStats {
  std::uint64_t asked = 0, answered = 0, failed = 0, timed_out = 0, refused_full = 0;
  std::size_t in_flight = 0, waiting = 0;
};

class StubResolver final : public mail::dns::Resolver {
 public:
  /// Opens what it needs of the file system; make it before the sandbox closes. Errors: "dns.setup".
  static Result<std::unique_ptr<StubResolver>> create(Loop& loop, StubOptions options);
  /// Not from inside a callback. Questions in flight are forgotten, their callbacks dropped.
  ~StubResolver() override;

  void ask(const mail::dns::Question& question, Done done) override;
  StubStats stats() const;
  struct Impl;  ///< for io/ only

  /// Whether the upstream proves what it says: "." must come back secure. `done(Security)`: secure; insecure (no DNSSEC: DANE must
  /// be off); bogus; unknown (no answer).
  void probe_dnssec(std::function<void(mail::dns::Security)> done);

 private:
  explicit StubResolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::io
