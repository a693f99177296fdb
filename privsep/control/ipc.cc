#include "privsep/control/ipc.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "io/memfd.h"
#include "privsep/control/limits.h"
#include "privsep/control/request.h"

namespace postern::control {

using namespace privsep;

namespace {

constexpr std::chrono::milliseconds kRest{500};

/// Who connected; of a listening socket, who called listen().
std::optional<std::uint32_t> uid_behind(const Fd& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 || size != sizeof credentials) return std::nullopt;
  return credentials.uid;
}

CallerAnswer answer_of(Result<AdminAnswer> answer, Fd output, Role from) {
  const std::string name(name_of(from));
  if (!answer) {
    const bool gone = answer.error().code == "ipc.gone";
    return {render_error(name + (gone ? " is not running now; try again in a moment" : " did not answer: " + answer.error().message)), {}, 0};
  }
  if (!output || !answer->error.empty()) return {render_answer(*answer, 0, from), {}, 0};
  struct stat status{};
  const auto bytes = ::fstat(output.get(), &status) == 0 && status.st_size >= 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  if (auto sealed = io::check_sealed(output, bytes, limits::kOutputBytes); !sealed)
    return {render_error(name + " sent an output that is not sealed or too large"), {}, 0};
  return {render_answer(*answer, bytes, from), std::move(output), bytes};
}

}  // namespace

ControlService::ControlService(Child& child) : child_(child), dispatch_(*this, child.peers), rest_(child.loop) {}

Result<void> ControlService::open() {
  TRY_ASSIGN(listening_, child_.take_file("control"));
  const auto owner = uid_behind(listening_);
  if (!owner) return failure("control.socket", "the control socket does not say whose it is");
  owner_ = *owner;
  return {};
}

void ControlService::start() {
  door_ = std::make_unique<io::Watch>(child_.loop, listening_.get(), [this](io::Interest) { accept(); });
  watch_door();
}

void ControlService::watch_door() {
  const bool open = !stopping_ && !resting_ && callers_.size() < limits::kClients;
  door_->set(open ? io::Interest::readable : io::Interest::none);
}

void ControlService::accept() {
  while (!stopping_ && callers_.size() < limits::kClients) {
    Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket) {
      take(std::move(socket));
      continue;
    }
    if (errno == ECONNABORTED || errno == EINTR) continue;
    if (errno != EAGAIN) {  // no descriptor or no memory: rest, instead of spinning on a socket that stays ready
      resting_ = true;
      rest_.start(kRest, [this] {
        resting_ = false;
        watch_door();
      });
    }
    break;
  }
  watch_door();
}

void ControlService::take(Fd socket) {
  const auto uid = uid_behind(socket);
  if (!uid || (*uid != 0 && *uid != owner_)) {
    child_.metrics.count("control_requests_total", "result=\"refused\"");
    child_.log.warning("a caller was refused", {{"uid", uid ? std::to_string(*uid) : "unknown"}});
    return;
  }
  const auto caller = std::make_shared<Caller>(
      child_.loop, std::move(socket), *uid,
      [this](AdminRequest request, const Caller::Answered& answered) { ask(std::move(request), answered); },
      [this](Caller& ending) { ended(ending); });
  callers_.insert(caller);
  caller->start();
}

void ControlService::ask(AdminRequest request, const Caller::Answered& answered) {
  const auto role = route(request.command);
  if (!role) {
    child_.metrics.count("control_requests_total", "result=\"unknown\"");
    return answered({render_error("there is no command \"" + request.command + "\""), {}, 0});
  }
  child_.metrics.count("control_requests_total", "result=\"asked\"");
  child_.log.info("asked", {{"uid", request.uid}, {"command", request.command}, {"process", name_of(*role)}});
  child_.peers.ask<AdminAnswer>(*role, request, -1, limits::kPatience, [answered, role](Result<AdminAnswer> answer, Fd output) {
    answered(answer_of(std::move(answer), std::move(output), *role));
  });
  wipe(request);  // it may hold a password, and has been sent
}

void ControlService::ended(Caller& caller) {
  callers_.erase(caller.shared_from_this());
  if (stopping_ && callers_.empty() && stopped_) return std::exchange(stopped_, nullptr)();
  if (door_) watch_door();
}

void ControlService::stop(std::function<void()> done) {
  stopping_ = true;
  if (door_) watch_door();
  if (callers_.empty()) return done();
  stopped_ = std::move(done);
}

}  // namespace postern::control
