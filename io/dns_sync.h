/// Asks DNS questions and waits: for commands, where there is no loop to return to. Processes of the daemon use io/dns.h.
///
/// Trust: the answers are as good as the upstream. Its AD bit counts as proof only where the caller says so.
#pragma once

#include <chrono>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "io/endpoint.h"
#include "mail/dns.h"

namespace postern::io {

struct SyncOptions {
  Endpoint upstream;
  std::chrono::milliseconds timeout{2800};  ///< of one try
  unsigned tries = 2;                       ///< in all, after time-outs
  bool trust_ad = false;                    ///< Security::secure when the upstream says AD
};

class SyncResolver {
 public:
  /// Errors: "dns.setup".
  static Result<SyncResolver> create(const SyncOptions& options);
  SyncResolver(SyncResolver&&) noexcept;
  SyncResolver& operator=(SyncResolver&&) noexcept;
  ~SyncResolver();

  /// Asks all `questions` side by side and adds an answer for each to `facts`: Status::failure for what has none at `deadline`
  /// or after the tries, and Status::none for a name that cannot be asked.
  void answer(const mail::dns::Questions& questions, mail::dns::Facts& facts, SteadyTime deadline);

 private:
  struct Impl;
  explicit SyncResolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::io
