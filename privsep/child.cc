#include "privsep/child.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdio>
#include <ctime>

#include "base/check.h"
#include "base/text.h"
#include "privsep/child_lock.h"

namespace postern::privsep {

namespace {

constexpr int kParentFd = 3;                             // by agreement with supervisor.cc
constexpr std::size_t kLogQueueBytes = 4UL * 1024 * 1024;  // log lines waiting for the parent; past it they are dropped and counted
constexpr std::chrono::seconds kMetricsPeriod{1};
constexpr int kSignOfLife = 5;  // periods without a change after which the parent hears all the same that the loop turns
constexpr std::chrono::seconds kStartPatience{60};         // the parent passes everything at once; longer means it is gone
constexpr From kParent{Role::parent, 0};

/// What the parent passed before the lock.
struct Start {
  ChildStart child;
  std::vector<PassedFile> files;
  struct PassedChannel {
    From peer;
    Fd socket;
  };
  std::vector<PassedChannel> channels;
};

Result<void> take_start_frame(Start& start, const FrameView& frame, Fd descriptor, bool& complete) {
  if (frame.row->number == ChildStart::row.number) {
    TRY_ASSIGN(start.child, decode<ChildStart>(frame.payload));
  } else if (frame.row->number == ChildFile::row.number) {
    TRY_ASSIGN(const ChildFile file, decode<ChildFile>(frame.payload));
    start.files.push_back({file.name, file.detail, std::move(descriptor)});
  } else if (frame.row->number == PeerChannel::row.number) {
    TRY_ASSIGN(const PeerChannel channel, decode<PeerChannel>(frame.payload));
    start.channels.push_back({{channel.peer, channel.instance}, std::move(descriptor)});
  } else {
    complete = frame.row->number == StartComplete::row.number;
  }
  return {};
}

/// Reads frames from the parent until it says that nothing more comes. The role is not known before the first frame, and the
/// table lets the parent send these rows to every child.
Result<Start> receive_start() {
  Start start;
  std::string buffer;
  for (bool complete = false; !complete;) {
    pollfd entry{kParentFd, POLLIN, 0};
    if (::poll(&entry, 1, static_cast<int>(std::chrono::milliseconds(kStartPatience).count())) <= 0)
      return failure("child.start", "the parent passes nothing");
    auto received = receive_frame(kParentFd, buffer);
    if (!received && received.error().code == "ipc.again") continue;
    if (!received || received->bytes == 0) return failure("child.start", "the parent went away");
    TRY_ASSIGN(const FrameView frame, check_frame(std::string_view(buffer).substr(0, received->bytes), received->descriptors,
                                                  {Role::listener, Role::parent, false}));
    TRY(take_start_frame(start, frame, std::move(received->descriptor), complete));
    if (frame.row->secret) wipe_bytes(buffer.data(), received->bytes);
  }
  return start;
}

/// The receiver of everything: the parent's life rows here, all else by the service's table.
class LifeReceiver final : public Receiver {
 public:
  LifeReceiver(Child& child, Service& service) : child_(child), service_(service) {}

  Result<void> receive(const FrameView& frame, std::shared_ptr<Channel> channel, Fd descriptor) override {
    const std::uint16_t number = frame.row->number;
    if (number == PeerChannel::row.number) {
      TRY_ASSIGN(const PeerChannel row, decode<PeerChannel>(frame.payload));
      add_peer({row.peer, row.instance}, std::move(descriptor));
      service_.peer_came({row.peer, row.instance});
      return {};
    }
    if (number == Stop::row.number) {
      service_.stop([this] { child_.loop.stop(); });
      return {};
    }
    if (number == Reload::row.number) {
      TRY_ASSIGN(Reload row, decode<Reload>(frame.payload));
      child_.config = Config(row.config);
      wipe(row);
      service_.reload();
      return {};
    }
    return service_.receiver().receive(frame, std::move(channel), std::move(descriptor));
  }

  void add_peer(From peer, Fd socket) {
    const bool waits = peer.role == Role::signer && (child_.role == Role::listener || child_.role == Role::web);
    if (waits)
      child_.signer.set_socket(std::move(socket));
    else
      child_.peers.add(peer, std::move(socket));
  }

 private:
  Child& child_;
  Service& service_;
};

/// Log lines go to the parent; when it does not keep up they are dropped, and how many is said once there is room again.
class LogToParent {
 public:
  explicit LogToParent(Peers& peers) : peers_(peers) {}
  void operator()(Severity severity, std::string_view line) {
    if (peers_.queued_bytes(kParent) > kLogQueueBytes) {
      ++dropped_;
      return;
    }
    if (dropped_ > 0) peers_.tell(Role::parent, LogLine{static_cast<std::uint8_t>(Severity::warning),
                                                        "event=\"log lines dropped\" count=" + std::to_string(std::exchange(dropped_, 0))});
    constexpr std::size_t kLineBytes = 8000;
    peers_.tell(Role::parent, LogLine{static_cast<std::uint8_t>(severity), std::string(line.substr(0, kLineBytes))});
  }

 private:
  Peers& peers_;
  std::size_t dropped_ = 0;
};

/// The folders among what was passed, as descriptors of our own: the service takes the others away.
std::vector<Fd> folders_of(const std::vector<PassedFile>& files) {
  std::vector<Fd> folders;
  for (const PassedFile& file : files) {
    struct stat status {};
    if (::fstat(file.fd.get(), &status) == 0 && S_ISDIR(status.st_mode)) folders.push_back(file.fd.duplicate());
  }
  return folders;
}

Severity severity_named(std::string_view name) {
  for (Severity s : {Severity::debug, Severity::info, Severity::notice, Severity::warning})
    if (name_of(s) == name) return s;
  return Severity::error;
}

int fail_start(const Error& error) {
  std::fprintf(stderr, "event=\"cannot start\" why=%s\n", logfmt_value(error.message).c_str());
  return 1;
}

/// Opens, locks and serves. Everything of the process lives in this frame.
int serve(Start start, const ChildMain& main) {
  io::Loop loop;
  Config config(start.child.config);
  const Role role = start.child.role;
  std::unique_ptr<LogToParent> sink;
  const Log log([&](Severity severity, std::string_view line) { if (sink) (*sink)(severity, line); }, severity_named(config.text("log.level")));
  Peers peers(loop, log, role);
  peers.add(kParent, Fd(kParentFd));
  sink = std::make_unique<LogToParent>(peers);
  Metrics metrics;
  crypto::SystemEntropy entropy;
  SyncChannel signer(loop, role, Role::signer);
  const Secret ticket_key{std::string(text_of(start.child.ticket_key))};
  wipe(start.child);  // the configuration and the key live on where they are used
  Child child{role, start.child.instance, loop, log, loop, entropy, config, peers, metrics, ticket_key, signer, start.files};
  const std::unique_ptr<Service> service = main.make(child);
  LifeReceiver receiver(child, *service);
  peers.set_receiver(receiver);

  ChildLock lock{.role = role, .uid = start.child.uid, .gid = start.child.gid, .privileged = start.child.privileged,
                 .parent_socket = kParentFd, .folders = {}, .before_filter = {}};
  const std::vector<Fd> folders = folders_of(start.files);
  for (const Fd& folder : folders) lock.folders.push_back(folder.get());
  // Threads inherit the sandbox only when they are made inside it.
  lock.before_filter = [&]() -> Result<void> { return main.threads > 0 ? loop.start_threads(main.threads) : Result<void>(); };
  if (auto opened = service->open(); !opened) return fail_start(opened.error());
  const auto locked = lock_child(lock);
  if (!locked) return fail_start(locked.error());
  peers.set_locked();

  peers.set_closed([&](From peer, std::string_view why) {
    if (peer.role == Role::parent) return loop.stop();
    if (!why.empty()) peers.tell(Role::parent, PeerBroken{peer.role, peer.instance, text::printable(why, 512)});
    service->peer_gone(peer);
  });
  signer.on_breach([&](std::string_view what) { peers.tell(Role::parent, PeerBroken{Role::signer, 0, text::printable(what, 512)}); });
  for (auto& [peer, socket] : start.channels) receiver.add_peer(peer, std::move(socket));
  io::Timer metrics_timer(loop);
  metrics_timer.repeat(kMetricsPeriod, [&, quiet = 0]() mutable {
    auto samples = metrics.changed();
    if (samples.empty() && ++quiet < kSignOfLife) return;
    quiet = 0;
    peers.tell(Role::parent, MetricsReport{std::move(samples)});
  });
  service->start();
  peers.tell(Role::parent, Ready{locked->in_force, locked->missing});
  loop.run();
  const bool parent_there = peers.has(Role::parent);
  peers.set_closed(nullptr);
  return parent_there ? 0 : 70;
}

}  // namespace

Result<Fd> Child::take_file(std::string_view name) {
  for (PassedFile& file : files)
    if (file.name == name && file.fd) return std::move(file.fd);
  return failure("child.file", "the parent passed no " + std::string(name));
}

int child_main(int argc, char** /*argv*/, const ChildMain& main) {
  if (argc > 1 || ::fcntl(kParentFd, F_GETFD) < 0) {
    std::fprintf(stderr, "This program is part of postern and is started by it.\n");
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);   // the parent says what to do, in frames
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::tzset();                   // libtls reads the time zone later, when no file can be opened
  auto start = receive_start();
  if (!start) return fail_start(start.error());
  bool ours = false;
  for (Role role : main.roles) ours = ours || role == start->child.role;
  if (!ours) return fail_start({"child.role", "this program is no " + std::string(name_of(start->child.role))});
  return serve(*std::move(start), main);
}

}  // namespace postern::privsep
