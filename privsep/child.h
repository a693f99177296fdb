/// The start and life of a child, the same for all: take what the parent passes, open, lock, serve, stop.
/// A process's main() is one call of child_main() with its role and its service; its policy is sandbox::policy_for(role).
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "base/secret.h"
#include "io/loop.h"
#include "privsep/config.h"
#include "privsep/dispatch.h"
#include "privsep/metrics.h"
#include "privsep/peers.h"
#include "privsep/sync_channel.h"

namespace postern::privsep {

/// A descriptor the parent passed at the start.
struct PassedFile {
  std::string name;
  std::string detail;
  Fd fd;
};

/// Everything a service works with. One for each process, made by child_main(); outlives the service.
struct Child {
  Role role;
  std::uint8_t instance;
  io::Loop& loop;
  const Log& log;
  const Clock& clock;
  crypto::Entropy& entropy;
  Config& config;                ///< replaced at reload, before Service::reload()
  Peers& peers;
  Metrics& metrics;
  const Secret& ticket_key;      ///< empty but in mailbox, queue and verifier-out
  SyncChannel& signer;           ///< listener and web only: their channel to the signer, which they ask and wait
  std::vector<PassedFile>& files;

  /// The passed file of that name, moved out. Errors: "child.file".
  Result<Fd> take_file(std::string_view name);
};

class Service {
 public:
  virtual ~Service() = default;
  /// Before the lock: open what may be opened (LMDB, folders, time zone, contexts). No byte from outside is read here.
  virtual Result<void> open() { return {}; }
  /// After the lock: begin to serve.
  virtual void start() = 0;
  /// A new configuration is in `config`.
  virtual void reload() {}
  /// Accept nothing new, finish what is running, then call `done`. The parent ends who takes longer than `stop` seconds.
  virtual void stop(std::function<void()> done) { done(); }
  /// A peer came (back): open questions to it were failed, new ones can be asked.
  virtual void peer_came(From) {}
  virtual void peer_gone(From) {}
  virtual Receiver& receiver() = 0;
};

struct ChildMain {
  std::initializer_list<Role> roles;   ///< the roles this executable may be started as
  unsigned threads = 0;                ///< pool made before the lock
  std::function<std::unique_ptr<Service>(Child&)> make;
};

/// Never returns before the end. Exit status: 0 stopped in order, 1 could not start, 70 the parent went away.
int child_main(int argc, char** argv, const ChildMain& main);

}  // namespace postern::privsep
