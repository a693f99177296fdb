/// What the verifier is told: a message to judge and to pass on. Inbound: mail from outside, judged. Outbound: mail of those who may
/// relay, whose tickets it checks.
#pragma once

#include <memory>
#include <optional>

#include "io/memfd.h"
#include "mail/auth/orgdomain.h"
#include "mail/dns_cache.h"
#include "privsep/dns_client.h"
#include "verifier/pipeline.h"
#include "verifier/stall_guard.h"

namespace postern::verifier {

class VerifierService : public privsep::Service {
 public:
  explicit VerifierService(privsep::Child& child) : VerifierService(child, patience_for(child.config.number("smtp.max_message_size"))) {}
  /// `patience`: the processor time that one step over a message may take; past it this process ends.
  VerifierService(privsep::Child& child, std::chrono::seconds patience);

  Result<void> open() override;
  void start() override;
  void reload() override {
    rules_ = rules_from(child_.config);
    answers_.clear();
  }
  void stop(std::function<void()> done) override;
  void peer_came(privsep::From peer) override;
  privsep::Receiver& receiver() override;

  void on(const privsep::Submission& submission, privsep::Reply<privsep::Submission> reply, privsep::From from, Fd body);

 protected:
  /// A message between its arrival and its answer.
  struct Work {
    privsep::SpoolRequest request;
    privsep::Reply<privsep::Submission> reply;
    Fd body;
    io::SealedBody bytes;
  };
  // What a test puts itself in front of.
  virtual void judge(std::shared_ptr<Work> work);
  virtual void judged(const std::shared_ptr<Work>& work, Judgement::Outcome outcome);

 private:
  void take(std::shared_ptr<Work> work);
  void park(const std::shared_ptr<Work>& work);
  void spool(const std::shared_ptr<Work>& work);
  void answer(const std::shared_ptr<Work>& work, privsep::SmtpReply reply);
  std::optional<privsep::SmtpReply> refuse_tickets(const privsep::Envelope& envelope) const;

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::verifier_in, VerifierService> inbound_;
  privsep::Dispatch<privsep::Role::verifier_out, VerifierService> outbound_;
  privsep::DnsClient resolver_;
  mail::dns::CachingResolver answers_;  // what many messages ask is asked of the resolver once: a question costs more than a judgement
  Rules rules_;
  Marker marker_;
  std::chrono::seconds patience_;
  std::optional<mail::orgdomain::SuffixList> suffixes_;
  std::size_t running_ = 0;
  std::function<void()> stopped_;
};

}  // namespace postern::verifier
