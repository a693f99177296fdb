/// What the parent hears from its children.
#pragma once

#include "privsep/dispatch.h"
#include "privsep/parent/supervisor.h"

namespace postern::privsep {

class LogOutput;

class ParentService {
 public:
  /// `reread` reads the configuration file again and puts it in force, or says why not. `outer_filters`: see audit.h.
  ParentService(const Log& log, LogOutput& output, Peers& peers, Settings& settings, Supervisor& supervisor,
                std::function<Result<void>()> reread, std::int64_t outer_filters);

  void on(const Ready& m, From from, Fd);
  void on(const LogLine& m, From from, Fd);
  void on(const MetricsReport& m, From from, Fd);
  void on(const PeerBroken& m, From from, Fd);
  void on(const SyscallReport& m, From from, Fd);
  void on(const LmtpConnect& m, Reply<LmtpConnect> reply, From from, Fd);
  void on(const AdminRequest& m, Reply<AdminRequest> reply, From from, Fd);

  Receiver& receiver() { return dispatch_; }

 private:
  AdminAnswer answer(const AdminRequest& request);

  const Log& log_;
  LogOutput& output_;
  Settings& settings_;
  Supervisor& supervisor_;
  std::function<Result<void>()> reread_;
  std::int64_t outer_filters_;
  Dispatch<Role::parent, ParentService> dispatch_;
};

}  // namespace postern::privsep
