/// The service of postern-control: takes callers from the unix socket, and has their requests answered by who owns the thing.
#pragma once

#include <memory>
#include <set>

#include "io/timer.h"
#include "io/watch.h"
#include "privsep/child.h"
#include "privsep/control/caller.h"

namespace postern::control {

class ControlService final : public privsep::Service {
 public:
  explicit ControlService(privsep::Child& child);

  /// Takes the socket and reads whose it is: root and that user may call. Errors: "child.file", "control.socket".
  Result<void> open() override;
  void start() override;
  void stop(std::function<void()> done) override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::StatusSnapshot&, privsep::From, Fd) {}  // `status` asks the parent itself

 private:
  void accept();
  void take(Fd socket);
  void ask(privsep::AdminRequest request, const Caller::Answered& answered);
  void ended(Caller& caller);
  void watch_door();

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::control, ControlService> dispatch_;
  Fd listening_;
  std::uint32_t owner_ = 0;  ///< of the daemon: root, or who started it without root
  bool stopping_ = false;
  bool resting_ = false;     ///< out of descriptors
  std::set<std::shared_ptr<Caller>> callers_;
  std::function<void()> stopped_;
  io::Timer rest_;
  std::unique_ptr<io::Watch> door_;
};

}  // namespace postern::control
