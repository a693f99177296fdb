/// What the web process is told: pictures of the house, once a second. What it asks: certificates and signatures.
#pragma once

#include <memory>

#include "io/timer.h"
#include "privsep/child.h"
#include "web/house.h"
#include "web/pages.h"
#include "web/server.h"
#include "web/wellknown.h"

namespace postern::web {

class WebService final : public privsep::Service {
 public:
  explicit WebService(privsep::Child& child);

  Result<void> open() override;
  void start() override;
  void reload() override;
  void stop(std::function<void()> done) override { server_.stop(std::move(done)); }
  void peer_came(privsep::From peer) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::StatusSnapshot& snapshot, privsep::From from, Fd);

 private:
  void apply_config();
  std::vector<std::string> apply_policies();
  void load_certificates();
  Result<Bytes> sign(const io::KeyId& id, io::KeyOperation operation, ByteView data);
  void count(int status);

  privsep::Child& child_;
  House house_;
  StatusPages pages_;
  WellKnown files_;
  std::string host_name_;      // of the machine
  Server server_;
  bool tls_wanted_ = false;
  io::Timer retry_certificates_;
  privsep::Dispatch<privsep::Role::web, WebService> dispatch_;
};

}  // namespace postern::web
