#include "tests/sandbox/work.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <mutex>
#include <thread>
#include <vector>

#include "base/crypto.h"

namespace postern::probe {
namespace {

#define STEP(condition)                                                                                                   \
  do {                                                                                                                    \
    if (!(condition)) return failure("probe.work", std::string(#condition) + ": " + std::strerror(errno));                \
  } while (false)

Result<void> memory() {
  std::vector<char> big(8 << 20, 'x');
  big.resize(32 << 20, 'y');
  STEP(big.back() == 'y');
  std::vector<std::string> many(10'000, std::string(100, 'z'));
  STEP(many.back().size() == 100);
  return {};
}

Result<void> libc_habits() {
  STEP(std::fopen("/etc/hosts", "r") == nullptr && errno == ENOENT);
  STEP(access("/etc/hosts", R_OK) != 0);
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  STEP(localtime_r(&now, &parts) != nullptr);
  STEP(std::thread::hardware_concurrency() != 12345);
  STEP(sysconf(_SC_NPROCESSORS_ONLN) != 0);
  std::array<std::byte, 16> random{};
  crypto::SystemEntropy().fill(random);
  const timespec pause{0, 1000};
  STEP(nanosleep(&pause, nullptr) == 0);
  STEP(std::fprintf(stderr, "x") == 1);
  return {};
}

Result<void> channel(const Handed& handed) {
  char byte = 'b';
  iovec part{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int body = handed.memfd.get();
  std::memcpy(CMSG_DATA(header), &body, sizeof(int));
  STEP(sendmsg(handed.pair[0].get(), &message, MSG_NOSIGNAL) == 1);
  STEP(recvmsg(handed.pair[1].get(), &message, MSG_CMSG_CLOEXEC) == 1);
  int received = -1;
  std::memcpy(&received, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
  const Fd owned(received);
  STEP((fcntl(received, F_GET_SEALS) & F_SEAL_WRITE) != 0);
  struct stat status {};
  STEP(fstat(received, &status) == 0 && status.st_size == 4096);
  void* mapped = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, received, 0);
  STEP(mapped != MAP_FAILED);
  STEP(munmap(mapped, 4096) == 0);
  int kind = 0;
  socklen_t length = sizeof(kind);
  STEP(getsockopt(handed.pair[0].get(), SOL_SOCKET, SO_TYPE, &kind, &length) == 0);
  return {};
}

Result<void> loop(const Handed& handed) {
  const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  const Fd event(eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
  STEP(epoll && event);
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  STEP(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &wanted) == 0);
  STEP(epoll_wait(epoll.get(), &wanted, 1, 1000) == 1);
  int pipes[2];
  STEP(pipe2(pipes, O_CLOEXEC | O_NONBLOCK) == 0);
  const Fd ends[2] = {Fd(pipes[0]), Fd(pipes[1])};
  pollfd poll_for{.fd = handed.pair[0].get(), .events = POLLOUT, .revents = 0};
  STEP(poll(&poll_for, 1, 1000) == 1);
  return {};
}

Result<void> accept_client(const Handed& handed) {
  const Fd client(accept4(handed.listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  STEP(static_cast<bool>(client));
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  STEP(getpeername(client.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const int on = 1;
  if (handed.role != "control") STEP(setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
  STEP(send(client.get(), "220", 3, MSG_NOSIGNAL) == 3);
  STEP(shutdown(client.get(), SHUT_RDWR) == 0);
  return {};
}

Result<void> connect_out(const Handed& handed) {
  for (const int kind : {SOCK_STREAM, SOCK_DGRAM}) {
    const Fd out(socket(AF_INET, kind | SOCK_CLOEXEC, 0));
    STEP(static_cast<bool>(out));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(handed.port));
    STEP(connect(out.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    const int on = 1;
    STEP(setsockopt(out.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
  }
  return {};
}

Result<void> make_body() {
  const Fd body(memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  STEP(static_cast<bool>(body));
  STEP(write(body.get(), "text", 4) == 4);
  STEP(fcntl(body.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0);
  char back[4];
  STEP(pread(body.get(), back, sizeof(back), 0) == 4);
  return {};
}

Result<void> sync_file(const Handed& handed) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  STEP(fcntl(handed.file.get(), F_SETLK, &lock) == 0);
  STEP(pwrite(handed.file.get(), "page", 4, 4096) == 4);
  STEP(fdatasync(handed.file.get()) == 0);
  STEP(ftruncate(handed.file.get(), 65536) == 0);
  struct statfs space {};
  STEP(fstatfs(handed.file.get(), &space) == 0);
  return {};
}

Result<void> keep_file(const Handed& handed) {
  Fd file(openat(handed.folder.get(), "temporary", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  STEP(static_cast<bool>(file));
  STEP(write(file.get(), "text", 4) == 4);
  STEP(fsync(file.get()) == 0);
  STEP(renameat(handed.folder.get(), "temporary", handed.folder.get(), "kept") == 0);
  STEP(fsync(handed.folder.get()) == 0);
  file.reset(openat(handed.folder.get(), "kept", O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  char back[4];
  STEP(read(file.get(), back, sizeof(back)) == 4);
  STEP(unlinkat(handed.folder.get(), "kept", 0) == 0);
  return {};
}

/// One worker with one job slot, as the mailbox's pool for password hashing.
struct Worker {
  std::mutex mutex;
  std::condition_variable changed;
  enum class State : std::uint8_t { idle, asked, done } state = State::idle;
  std::thread thread;
};
Worker& worker() {
  static Worker* one = new Worker;  // lives as long as the process: its thread never ends
  return *one;
}

Result<void> use_threads() {
  Worker& w = worker();
  std::unique_lock lock(w.mutex);
  w.state = Worker::State::asked;
  w.changed.notify_all();
  w.changed.wait(lock, [&w] { return w.state == Worker::State::done; });
  return {};
}

Result<void> new_thread() {
  bool ran = false;
  std::thread thread([&ran] {
    std::vector<char> own(1 << 20, 'x');
    ran = own.back() == 'x';
  });
  thread.join();
  STEP(ran);
  return {};
}

bool one_of(const std::string& role, std::initializer_list<std::string_view> roles) {
  return std::ranges::find(roles, role) != roles.end();
}

}  // namespace

Result<void> start_threads(const Handed& handed) {
  if (handed.role != "mailbox") return {};
  Worker& w = worker();
  w.thread = std::thread([&w] {
    std::unique_lock lock(w.mutex);
    w.changed.wait(lock, [&w] { return w.state == Worker::State::asked; });
    w.state = Worker::State::done;
    w.changed.notify_all();
    w.changed.wait(lock, [] { return false; });
  });
  return {};
}

Result<void> work(const Handed& handed) {
  TRY(memory());
  TRY(libc_habits());
  TRY(channel(handed));
  TRY(loop(handed));
  if (one_of(handed.role, {"listener", "web", "control"})) TRY(accept_client(handed));
  if (one_of(handed.role, {"remote", "resolver"})) TRY(connect_out(handed));
  if (one_of(handed.role, {"listener", "queue", "mailbox"})) TRY(make_body());
  if (handed.file) TRY(sync_file(handed));
  if (handed.folder) TRY(keep_file(handed));
  if (handed.role == "mailbox") TRY(use_threads());
  if (one_of(handed.role, {"queue", "mailbox"})) TRY(new_thread());
  return {};
}

}  // namespace postern::probe
