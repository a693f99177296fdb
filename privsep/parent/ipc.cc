#include "privsep/parent/ipc.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "privsep/parent/logs.h"
#include "privsep/parent/snapshot.h"
#include "sandbox/audit.h"
#include "sandbox/policies.h"

namespace postern::privsep {

namespace {

Severity severity_of(std::uint8_t value) { return value > 4 ? Severity::error : static_cast<Severity>(value); }

/// Connects to a configured unix socket. A full backlog is an error, not a wait.
Result<Fd> connect_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("lmtp.connect", path + ": longer than a socket's name may be");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failure("lmtp.connect", path + ": " + std::strerror(errno));
  return fd;
}

}  // namespace

ParentService::ParentService(const Log& log, LogOutput& output, Peers& peers, Settings& settings, Supervisor& supervisor,
                             std::function<Result<void>()> reread)
    : log_(log), output_(output), settings_(settings), supervisor_(supervisor), reread_(std::move(reread)), dispatch_(*this, peers) {}

void ParentService::on(const Ready& m, From from, Fd) { supervisor_.ready(from, m); }

void ParentService::on(const LogLine& m, From from, Fd) {
  const std::string name = from.instance == 0 ? std::string(name_of(from.role)) : std::string(name_of(from.role)) + "/" + std::to_string(from.instance);
  output_.write(name, severity_of(m.severity), m.text);
}

void ParentService::on(const MetricsReport& m, From from, Fd) { supervisor_.report(from, m.samples); }

void ParentService::on(const PeerBroken& m, From from, Fd) { supervisor_.broken(from, m, name_of(from.role)); }

void ParentService::on(const SyscallReport& m, From from, Fd) { supervisor_.blocked(from, m); }

void ParentService::on(const LmtpConnect& m, Reply<LmtpConnect> reply, From, Fd) {
  for (const std::string& entry : settings_.list("mailbox.lmtp_sockets")) {
    const auto equals = entry.find('=');
    if (equals == std::string::npos || entry.substr(0, equals) != m.name) continue;
    const auto socket = connect_unix(entry.substr(equals + 1));
    if (socket) return reply(LmtpConnection{}, socket->get());
    return reply(LmtpConnection{text::printable(socket.error().message, 400)});
  }
  reply(LmtpConnection{"mailbox.lmtp_sockets has no " + text::printable(m.name, 100)});
}

void ParentService::on(const AdminRequest& m, Reply<AdminRequest> reply, From, Fd) {
  log_.info("administration", {{"uid", m.uid}, {"command", m.command}});
  reply(answer(m));
}

AdminAnswer ParentService::answer(const AdminRequest& request) {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  if (request.command == "status") return {"", status_json(supervisor_, now)};
  if (request.command == "audit") return {"", audit_json(supervisor_)};
  if (request.command == "reload") {
    if (auto done = reread_(); !done) return {text::printable(done.error().message, 2000), ""};
    return {"", R"({"reloaded":true})"};
  }
  return {"the parent knows no command " + text::printable(request.command, 100), ""};
}

std::string audit_json(const Supervisor& supervisor) {
  nlohmann::json processes = nlohmann::json::array();
  bool clean = true;
  const auto host = sandbox::own_namespaces();
  for (const auto& process : supervisor.processes()) {
    nlohmann::json entry{{"name", process->name()}, {"pid", process->pid}, {"checks", 0}, {"differences", nlohmann::json::array()}};
    const auto policy = sandbox::policy_for(name_of(process->row->role));
    sandbox::Expectation expected{.uid = process->ids.uid, .gid = process->ids.gid, .filters = 1, .host_namespaces = {}};
    if (host) expected.host_namespaces = *host;
    if (process->state != ProcessState::running) {
      entry["differences"].push_back("not running: " + std::string(name_of(process->state)));
    } else if (!policy) {
      entry["differences"].push_back(policy.error().message);
    } else if (const auto report = sandbox::audit(process->pid, *policy, expected); !report) {
      entry["differences"].push_back(report.error().message);
    } else {
      entry["checks"] = report->checks;
      for (const std::string& difference : report->differences) entry["differences"].push_back(difference);
    }
    for (const std::string& layer : process->missing) entry["differences"].push_back("missing since its start: " + layer);
    clean = clean && entry["differences"].empty();
    processes.push_back(std::move(entry));
  }
  const nlohmann::json out{{"clean", clean}, {"processes", std::move(processes)}};
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace postern::privsep
