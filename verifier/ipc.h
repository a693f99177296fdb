/// What the verifier is told: a message to judge and to pass on. Inbound: mail from outside, judged. Outbound: mail of those who may
/// relay, whose tickets it checks.
#pragma once

#include <memory>
#include <optional>

#include "mail/auth/orgdomain.h"
#include "privsep/dns_client.h"
#include "verifier/pipeline.h"

namespace postern::verifier {

class VerifierService final : public privsep::Service {
 public:
  explicit VerifierService(privsep::Child& child);

  Result<void> open() override;
  void start() override {}
  void reload() override { rules_ = rules_from(child_.config); }
  void stop(std::function<void()> done) override;
  privsep::Receiver& receiver() override;

  void on(const privsep::Submission& submission, privsep::Reply<privsep::Submission> reply, privsep::From from, Fd body);

 private:
  struct Work;  // a message between its arrival and its answer
  void judge(std::shared_ptr<Work> work);
  void judged(const std::shared_ptr<Work>& work, Judgement::Outcome outcome);
  void spool(const std::shared_ptr<Work>& work);
  void answer(const std::shared_ptr<Work>& work, privsep::SmtpReply reply);
  std::optional<privsep::SmtpReply> refuse_tickets(const privsep::Envelope& envelope) const;

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::verifier_in, VerifierService> inbound_;
  privsep::Dispatch<privsep::Role::verifier_out, VerifierService> outbound_;
  privsep::DnsClient resolver_;
  Rules rules_;
  std::optional<mail::orgdomain::SuffixList> suffixes_;
  std::size_t running_ = 0;
  std::function<void()> stopped_;
};

}  // namespace postern::verifier
