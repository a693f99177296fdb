#include "privsep/parent/ipc.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "privsep/parent/audit.h"
#include "privsep/parent/logs.h"
#include "privsep/parent/snapshot.h"

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
                             std::function<Result<void>()> reread, std::int64_t outer_filters)
    : log_(log), output_(output), settings_(settings), supervisor_(supervisor), reread_(std::move(reread)), outer_filters_(outer_filters),
      dispatch_(*this, peers) {}

void ParentService::on(const Ready& m, From from, Fd) { supervisor_.ready(from, m); }

void ParentService::on(const LogLine& m, From from, Fd) {
  const std::string name = from.instance == 0 ? std::string(name_of(from.role)) : std::string(name_of(from.role)) + "/" + std::to_string(from.instance);
  if (supervisor_.may_log(from, m.text.size())) output_.write(name, severity_of(m.severity), m.text);
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
  AdminAnswer said = answer(m);
  constexpr std::size_t kLengths = 16;  // of the two texts, as they travel
  if (said.error.size() + said.json.size() + kLengths > AdminAnswer::row.max_bytes) said = {"the answer is longer than may be sent", ""};
  reply(said);
}

AdminAnswer ParentService::answer(const AdminRequest& request) {
  const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  if (request.command == "status") return {"", status_json(supervisor_, now)};
  if (request.command == "audit") return {"", audit_json(supervisor_, outer_filters_)};
  if (request.command == "reload") {
    if (auto done = reread_(); !done) return {text::printable(done.error().message, 2000), ""};
    return {"", R"({"reloaded":true})"};
  }
  return {"the parent knows no command " + text::printable(request.command, 100), ""};
}

}  // namespace postern::privsep
