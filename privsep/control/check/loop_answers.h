/// Answers for judges on a loop, where a command also makes connections: with the upstream's AD bit or with validation of our own.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "io/dns.h"
#include "io/loop.h"
#include "mail/dns.h"
#include "privsep/control/check/dns_driver.h"

namespace postern::check {

class LoopAnswers {
 public:
  /// `loop` must outlive this. Errors: "dns.setup".
  static Result<LoopAnswers> create(io::Loop& loop, io::StubOptions options);

  /// Asks side by side, runs the loop, and adds an answer for each: Status::failure for what is not there at `deadline`.
  void answer(const mail::dns::Questions& questions, mail::dns::Facts& facts, SteadyTime deadline);
  /// As a driver of judges wants it. This must outlive what is returned.
  Answerer until(SteadyTime deadline);
  /// For what asks by itself on the same loop.
  mail::dns::Resolver& resolver() { return *resolver_; }

 private:
  LoopAnswers(io::Loop& loop, std::unique_ptr<io::StubResolver> resolver) : loop_(&loop), resolver_(std::move(resolver)) {}
  io::Loop* loop_;
  std::unique_ptr<io::StubResolver> resolver_;
};

}  // namespace postern::check
