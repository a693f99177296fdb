/// Delivers: finds the route, chooses the protection, tries one address after the other, and says what became of every recipient.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/unique.h"
#include "deliver/remote/route.h"
#include "deliver/remote/session_pool.h"
#include "deliver/remote/sts_cache.h"
#include "deliver/remote/tls_choice.h"
#include "mail/dns.h"
#include "privsep/messages.h"
#include "privsep/metrics.h"

namespace postern::remote {

/// What the configuration says of deliveries.
struct CourierRules {
  std::string own_name;
  std::vector<StaticRoute> routes;
  std::uint16_t port = 25;
  bool ipv6 = true;
  TlsLevels tls;
  std::uint64_t largest_body = 1024ULL * 1024 * 1024;
};

class Courier {
 public:
  using Done = std::function<void(privsep::DeliveryResult)>;

  /// All must outlive the courier; `resolver`, `sts` and `pool` must not call back after it has ended.
  Courier(mail::dns::Resolver& resolver, StsCache& sts, SessionPool& pool, crypto::Entropy& entropy, const Clock& clock, const Log& log, privsep::Metrics& metrics)
      : resolver_(resolver), sts_(sts), pool_(pool), entropy_(entropy), clock_(clock), log_(log), metrics_(metrics) {}

  CourierRules& rules() {
    named_.clear();
    return rules_;
  }
  /// Until it is known, hosts of the DNS are passed over.
  void set_dnssec(DnssecTrust trust) { dnssec_ = trust; }
  DnssecTrust dnssec() const { return dnssec_; }

  /// `done` is called exactly once, perhaps before this returns. `body` is checked and not needed afterwards.
  void deliver(const privsep::RemoteDelivery& request, const Fd& body, Done done);
  std::size_t under_way() const { return under_way_; }
  /// Called whenever the last delivery under way has ended.
  void set_idle(std::function<void()> idle) { idle_ = std::move(idle); }

 private:
  struct Errand;
  using ErrandPtr = std::shared_ptr<Errand>;

  void find_way(const ErrandPtr& errand);
  void ask(const ErrandPtr& errand, const mail::dns::Questions& questions, void (Courier::*next)(const ErrandPtr&));
  void try_next(const ErrandPtr& errand);
  void ask_sts(const ErrandPtr& errand);
  bool protect(const ErrandPtr& errand);
  void observe(Errand& errand, std::string_view policy_and_result);
  void observe_attempt(Errand& errand, const Attempt& attempt);
  void attempted(const ErrandPtr& errand, Attempt attempt);
  void skip_host(Errand& errand);
  void remember(Errand& errand, privsep::TlsUse use);
  void name_lapsed(const privsep::RemoteDelivery& request, WallTime now);
  void give_up(const ErrandPtr& errand);
  void refuse(const ErrandPtr& errand, const privsep::SmtpReply& reply);
  void finish(const ErrandPtr& errand);

  mail::dns::Resolver& resolver_;
  StsCache& sts_;
  SessionPool& pool_;
  crypto::Entropy& entropy_;
  const Clock& clock_;
  const Log& log_;
  privsep::Metrics& metrics_;
  CourierRules rules_;
  DnssecTrust dnssec_ = DnssecTrust::not_known;
  std::set<std::string> named_;  // lapsed exceptions that the log has named since the last reload
  std::size_t under_way_ = 0;
  std::function<void()> idle_;
};

}  // namespace postern::remote
