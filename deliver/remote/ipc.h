/// What the process is asked: deliveries, and how it is doing.
#pragma once

#include <memory>
#include <optional>

#include "deliver/remote/courier.h"
#include "deliver/remote/sts_fetch.h"
#include "io/timer.h"
#include "mail/dns_cache.h"
#include "privsep/child.h"
#include "privsep/dns_client.h"

namespace postern::remote {

/// The queue's disk, asked.
class QueueStsStore final : public StsStore {
 public:
  explicit QueueStsStore(privsep::Peers& peers) : peers_(peers) {}
  void load(const std::string& domain, Loaded loaded) override;
  void keep(const privsep::StsPolicy& policy) override;

 private:
  privsep::Peers& peers_;
};

class RemoteService final : public privsep::Service {
 public:
  explicit RemoteService(privsep::Child& child);
  ~RemoteService() override;

  Result<void> open() override;
  void start() override {}
  void reload() override;
  void stop(std::function<void()> done) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::RemoteDelivery& delivery, privsep::Reply<privsep::RemoteDelivery> reply, privsep::From from, Fd body);
  void on(const privsep::DnssecState& state, privsep::From from, Fd);
  void on(const privsep::StsRefresh& refresh, privsep::From from, Fd);
  void on(const privsep::AdminRequest& request, privsep::Reply<privsep::AdminRequest> reply, privsep::From from, Fd);

 private:
  void configure();

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::remote, RemoteService> dispatch_;
  privsep::DnsClient client_;
  mail::dns::CachingResolver cache_;
  std::optional<io::TlsClientContext> tls_;
  std::optional<io::TrustStore> authorities_;
  std::string machine_name_;
  SessionSettings settings_;
  SessionPool pool_;
  QueueStsStore sts_store_;
  HttpsStsFetcher sts_fetcher_;
  StsCache sts_;
  Courier courier_;
  std::string dnssec_reason_ = "the resolver has not said";
  std::function<void()> stopped_;
};

}  // namespace postern::remote
