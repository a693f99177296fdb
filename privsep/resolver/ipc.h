/// What the resolver is asked: a question to the DNS, answered from its cache or by the upstream.
#pragma once

#include <memory>

#include "io/dns.h"
#include "io/timer.h"
#include "mail/dns_cache.h"
#include "privsep/child.h"

namespace postern::resolver {

class ResolverService final : public privsep::Service {
 public:
  explicit ResolverService(privsep::Child& child);

  Result<void> open() override;
  void start() override;
  void peer_came(privsep::From peer) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::DnsQuery& query, privsep::Reply<privsep::DnsQuery> reply, privsep::From from, Fd);

 private:
  void probe();
  void judge_probe(mail::dns::Security secure_name, const mail::dns::Answer* bogus_name);
  void set_trust(bool trusted, std::string reason);
  void not_told();

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::resolver, ResolverService> dispatch_;
  std::unique_ptr<io::StubResolver> stub_;
  std::unique_ptr<mail::dns::CachingResolver> cache_;
  io::Timer probe_timer_;
  bool may_trust_ = false;     // every upstream is on loopback and the configuration wants it
  privsep::DnssecState state_;
};

}  // namespace postern::resolver
