/// The resolver process seen from its clients: mail::dns::Resolver over a channel, and the answer's form on the wire.
#pragma once

#include <chrono>

#include "mail/dns.h"
#include "privsep/peers.h"

namespace postern::privsep {

/// Records of another type than asked are dropped: the judges rely on it, and the resolver is a peer like any other.
mail::dns::Answer to_answer(const DnsAnswer& message);
/// An answer whose records do not fit the row is cut to those that do, at most kDnsRecords.
DnsAnswer to_message(mail::dns::Type type, const mail::dns::Answer& answer);

class DnsClient final : public mail::dns::Resolver {
 public:
  explicit DnsClient(Peers& peers, std::chrono::milliseconds patience = std::chrono::seconds{12}) : peers_(peers), patience_(patience) {}
  void ask(const mail::dns::Question& question, Done done) override;

 private:
  Peers& peers_;
  std::chrono::milliseconds patience_;
};

}  // namespace postern::privsep
