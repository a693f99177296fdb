// postern: the parent. Reads the configuration, opens what the others need, starts them and watches over them.
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "privsep/parent/host_name.h"
#include "privsep/parent/ipc.h"
#include "privsep/parent/logs.h"
#include "privsep/parent/snapshot.h"
#include "sandbox/audit.h"
#include "sandbox/lock.h"
#include "sandbox/policies.h"

namespace postern::privsep {
namespace {

constexpr const char* kVersion = "0.1.0";
constexpr std::chrono::seconds kSnapshotPeriod{1};

struct Options {
  std::string file = "/etc/postern/postern.toml";
  bool check_only = false;
  bool unprivileged = false;
};

Result<Settings> read_settings(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return failure("config", file + ": " + std::strerror(errno));
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  TRY_ASSIGN(Settings settings, Settings::parse(content, file));
  if (settings.get("server.host_name").empty()) {
    const auto name = full_host_name(machine_host_name(), canonical_by_resolver);
    if (!name) return failure("config", file + ": " + name.error().message);
    settings.set("server.host_name", *name);
  }
  return settings;
}

/// The folder this program stands in; the others stand beside it.
std::string own_folder() {
  char path[PATH_MAX] = {};
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path - 1);
  const std::string whole(path, length > 0 ? static_cast<std::size_t>(length) : 0);
  return whole.substr(0, whole.rfind('/'));
}

/// The keys that cannot change while the daemon runs: what was opened or started by them stays as it is.
std::string needs_restart(const Settings& old, const Settings& fresh) {
  std::string out;
  for (std::string_view key : {"server.state_dir", "server.run_dir", "server.user_prefix", "smtp.listen", "smtp.listeners", "tls.certificate",
                               "tls.key", "verify.processes", "mailbox.maildir", "web.listen", "log.format", "relay.ca_file"})
    if (old.get(key) != fresh.get(key)) out += (out.empty() ? "" : " ") + std::string(key);
  return out;
}

/// The parent's own policy: it stays root in the host's root, but for what neither it nor a child at its start ever needs. Its filter
/// lies under every child's.
Result<void> lock_parent() {
  TRY_ASSIGN(const sandbox::Policy policy, sandbox::policy_for("parent"));
  TRY(sandbox::lock(policy, {}));
  return {};
}

/// A file that is not good changes nothing.
Result<void> reread_settings(const std::string& file, Settings& settings, Supervisor& supervisor, const Log& log) {
  auto fresh = read_settings(file);
  if (!fresh) {
    log.error("the new configuration is not used", {{"why", fresh.error().message}});
    return tl::unexpected<Error>(fresh.error());
  }
  if (const std::string keys = needs_restart(settings, *fresh); !keys.empty())
    log.warning("these keys take effect at the next start", {{"keys", keys}});
  settings = *std::move(fresh);
  supervisor.reload();
  log.notice("configuration reloaded", {{"file", file}});
  return {};
}

/// The service manager ends a parent that hangs, as the parent does with its children: four signs of life within its limit.
void give_signs_of_life(io::Timer& timer) {
  std::uint64_t limit = 0;  // microseconds
  if (::sd_watchdog_enabled(0, &limit) <= 0) return;
  timer.repeat(std::chrono::ceil<std::chrono::milliseconds>(std::chrono::microseconds(limit / 4)), [] { ::sd_notify(0, "WATCHDOG=1"); });
}

int run(const Options& options, Settings settings) {
  LogOutput output(settings.get("log.format") == "json" ? LogFormat::json : LogFormat::logfmt);
  const Log log([&](Severity severity, std::string_view line) { output.write("parent", severity, line); }, Severity::info);
  if (options.unprivileged)
    log.warning("started without root: no uids, no empty roots, no namespaces of their own; the audit reports them as missing");
  ::signal(SIGPIPE, SIG_IGN);
  const std::int64_t outer_filters = sandbox::own_filters();
  if (auto locked = lock_parent(); !locked) {
    log.error("cannot start", {{"why", locked.error().message}});
    return 1;
  }
  io::Loop loop;
  Peers peers(loop, log, Role::parent);
  peers.set_locked();
  std::string reason;
  Supervisor supervisor(loop, log, peers, settings, {own_folder(), !options.unprivileged}, [&](std::string why) {
    reason = std::move(why);
    loop.stop();
  });
  const auto reread = [&] { return reread_settings(options.file, settings, supervisor, log); };
  ParentService service(log, output, peers, settings, supervisor, reread, outer_filters);
  peers.set_receiver(service.receiver());
  peers.set_closed([&](From peer, std::string_view why) { supervisor.breach(peer, why); });
  loop.on_signal(SIGCHLD, [&] { supervisor.child_signal(); });
  loop.on_signal(SIGTERM, [&] { supervisor.stop(""); });
  loop.on_signal(SIGINT, [&] { supervisor.stop(""); });
  loop.on_signal(SIGHUP, [&] { (void)reread(); });
  io::Timer snapshots(loop);
  bool announced = false;
  std::string last;
  snapshots.repeat(kSnapshotPeriod, [&] {
    if (!announced && supervisor.all_running()) announced = ::sd_notify(0, "READY=1") >= 0;
    supervisor.every_second();
    StatusSnapshot snapshot{status_json(supervisor, loop.now()), metrics_text(supervisor)};
    if (snapshot.status_json == last) return;
    last = snapshot.status_json;
    peers.tell_all(Role::web | Role::control, snapshot);
  });
  io::Timer signs_of_life(loop);
  give_signs_of_life(signs_of_life);
  if (auto started = supervisor.start(); !started) {
    log.error("cannot start", {{"why", started.error().message}});
    supervisor.stop(started.error().message);
    if (supervisor.processes().empty()) return 1;
  }
  loop.run();
  ::sd_notify(0, "STOPPING=1");
  if (!reason.empty()) std::cerr << "postern: " << reason << "\n";
  return reason.empty() ? 0 : 1;
}

}  // namespace
}  // namespace postern::privsep

int main(int argc, char** argv) {
  using namespace postern;
  using namespace postern::privsep;
  CLI::App app{"Postern, a mail server of separated processes. Runs in the foreground."};
  Options options;
  app.add_option("-c,--config", options.file, "configuration file")->capture_default_str();
  app.add_flag("-n,--check", options.check_only, "check the configuration and end");
  app.add_flag("--unprivileged", options.unprivileged, "start without root, for development: less is enforced, and said so");
  app.set_version_flag("--version", std::string("postern ") + kVersion);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  auto settings = read_settings(options.file);
  if (!settings) {
    std::cerr << settings.error().message << "\n";
    return 1;
  }
  if (options.check_only) {
    std::cout << options.file << ": good\n";
    return 0;
  }
  if (::geteuid() != 0 && !options.unprivileged) {
    std::cerr << "postern: needs root to separate its processes (or --unprivileged, for development)\n";
    return 1;
  }
  return run(options, *std::move(settings));
}
