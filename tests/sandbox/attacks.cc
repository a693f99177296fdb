#include "tests/sandbox/attacks.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace postern::probe {
namespace {

// Calls that the headers of Debian 12 have no name for, by their number, which is the same on every architecture.
constexpr long kSysMemfdSecret = 447;
constexpr long kSysFutexWaitv = 449;
constexpr long kSysMapShadowStack = 453;

template <class... T>
long call(long number, T... arguments) {
  return syscall(number, arguments...);
}

using H = const Handed&;
using S = const std::string&;

long connect_unix(int socket, std::string_view name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(name, address.sun_path);
  return call(SYS_connect, socket, &address, static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size()));
}

long bind_loopback(int socket) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return call(SYS_bind, socket, &address, sizeof(address));
}

void* some_page() { return mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

/// The call tables of other architectures know other numbers for the same calls.
long foreign_table() {
#if defined(__x86_64__)
  long result = 0;
  asm volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");  // i386's getpid
  return result;
#else
  return raise(SIGSYS);
#endif
}

long x32_table() {
#if defined(__x86_64__)
  return call(0x4000'0000 + SYS_getpid);
#else
  return raise(SIGSYS);
#endif
}

/// Blocks the trap's signal first, so that its handler cannot run: the kernel must end the process all the same.
long behind_a_blocked_signal() {
  const std::uint64_t all = ~std::uint64_t{0};
  call(SYS_rt_sigprocmask, SIG_BLOCK, &all, nullptr, sizeof(all));
  return call(SYS_getsid, 0);
}

const char* const kNoArguments[] = {"sh", nullptr};

const Attack kFiles[] = {
    {"open /etc/passwd", SYS_openat, refused(ENOENT), [](H, S) { return call(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }},
    {"open the root", SYS_openat, refused(ENOENT), [](H, S) { return call(SYS_openat, AT_FDCWD, "/", O_RDONLY); }},
    {"open /proc/self/mem", SYS_openat, refused(ENOENT), [](H, S) { return call(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR); }},
    {"open with an odd upper half", SYS_openat, refused(ENOENT),
     [](H, S) { return call(SYS_openat, static_cast<long>(0x1'FFFF'FF9C), "/etc/passwd", O_RDONLY); }},
    {"openat2 /etc/passwd", SYS_openat2, kBlocked,
     [](H, S) {
       const std::uint64_t how[3] = {O_RDONLY, 0, 0};
       return call(SYS_openat2, AT_FDCWD, "/etc/passwd", how, sizeof(how));
     }},
    {"climb out of a folder", SYS_openat, refused(ENOENT),
     [](H h, S) { return call(SYS_openat, h.folder.get(), "../../../../../../../../etc/passwd", O_RDONLY); }},
    {"absolute name beside a folder", SYS_openat, refused(ENOENT), [](H h, S) { return call(SYS_openat, h.folder.get(), "/etc/passwd", O_RDONLY); }},
    {"stat /etc/passwd", SYS_newfstatat, refused(ENOENT),
     [](H, S) {
       struct stat status {};
       return call(SYS_newfstatat, AT_FDCWD, "/etc/passwd", &status, 0);
     }},
    {"make a folder", SYS_mkdir, kBlocked, [](H, S) { return call(SYS_mkdir, "/x", 0700); }},
    {"make a link", SYS_symlink, kBlocked, [](H, S) { return call(SYS_symlink, "/etc/passwd", "/x"); }},
    {"remove a file", SYS_unlink, kBlocked, [](H, S s) { return call(SYS_unlink, (s + "/file").c_str()); }},
    {"rename a file", SYS_rename, kBlocked, [](H, S s) { return call(SYS_rename, (s + "/file").c_str(), (s + "/gone").c_str()); }},
    {"change a mode", SYS_chmod, kBlocked, [](H, S s) { return call(SYS_chmod, (s + "/file").c_str(), 0777); }},
    {"make a device", SYS_mknod, kBlocked, [](H, S) { return call(SYS_mknod, "/x", S_IFCHR, 0x103); }},
    {"open by handle", SYS_open_by_handle_at, kBlocked, [](H, S) { return call(SYS_open_by_handle_at, AT_FDCWD, nullptr, 0); }},
    {"watch files", SYS_inotify_init1, kBlocked, [](H, S) { return call(SYS_inotify_init1, 0); }},
    {"watch all files", SYS_fanotify_init, kBlocked, [](H, S) { return call(SYS_fanotify_init, 0, 0); }},
    {"change folder", SYS_chdir, kBlocked, [](H, S) { return call(SYS_chdir, "/"); }},
};

const Attack kPrograms[] = {
    {"run a shell", SYS_execve, kBlocked, [](H, S) { return call(SYS_execve, "/bin/sh", kNoArguments, kNoArguments + 1); }},
    {"run a body", SYS_execveat, kBlocked,
     [](H h, S) { return call(SYS_execveat, h.memfd.get(), "", kNoArguments, kNoArguments + 1, AT_EMPTY_PATH); }},
    {"fork", SYS_fork, kBlocked, [](H, S) { return call(SYS_fork); }},
    {"vfork", SYS_vfork, kBlocked, [](H, S) { return call(SYS_vfork); }},
    {"clone a process", SYS_clone, kBlocked, [](H, S) { return call(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0); }},
    {"clone3", SYS_clone3, kBlocked, [](H, S) { return call(SYS_clone3, nullptr, 0); }},
    {"map code", SYS_mmap, kBlocked,
     [](H, S) { return call(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
    {"map writable code", SYS_mmap, kBlocked,
     [](H, S) { return call(SYS_mmap, nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }},
    {"map a body as code", SYS_mmap, kBlocked,
     [](H h, S) { return call(SYS_mmap, nullptr, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, h.memfd.get(), 0); }},
    {"turn data into code", SYS_mprotect, kBlocked, [](H, S) { return call(SYS_mprotect, some_page(), 4096, PROT_READ | PROT_EXEC); }},
    {"turn data into code by key", SYS_pkey_mprotect, kBlocked,
     [](H, S) { return call(SYS_pkey_mprotect, some_page(), 4096, PROT_READ | PROT_EXEC, -1); }},
    {"make reading mean running", SYS_personality, kBlocked, [](H, S) { return call(SYS_personality, READ_IMPLIES_EXEC); }},
    {"shared memory", SYS_shmget, kBlocked, [](H, S) { return call(SYS_shmget, IPC_PRIVATE, 4096, 0600); }},
};

const Attack kNetwork[] = {
    {"a TCP socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_INET, SOCK_STREAM, 0); }},
    {"a UDP socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_INET6, SOCK_DGRAM, 0); }},
    {"a unix socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_UNIX, SOCK_STREAM, 0); }},
    {"a netlink socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_NETLINK, SOCK_RAW, 0); }},
    {"a packet socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_PACKET, SOCK_RAW, 0); }},
    {"a crypto socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0); }},
    {"a vsock socket", SYS_socket, kBlocked, [](H, S) { return call(SYS_socket, AF_VSOCK, SOCK_STREAM, 0); }},
    {"a socket pair", SYS_socketpair, kBlocked,
     [](H, S) {
       int pair[2];
       return call(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, pair);
     }},
    {"connect to another's socket", SYS_connect, kBlocked, [](H h, S s) { return connect_unix(h.unconnected.get(), victim_path(s)); }},
    {"connect to an abstract socket", SYS_connect, kBlocked, [](H h, S s) { return connect_unix(h.unconnected.get(), victim_abstract(s)); }},
    {"bind a port", SYS_bind, kBlocked, [](H h, S) { return bind_loopback(h.unconnected.get()); }},
    {"listen", SYS_listen, kBlocked, [](H h, S) { return call(SYS_listen, h.unconnected.get(), 1); }},
    {"accept", SYS_accept4, kBlocked, [](H h, S) { return call(SYS_accept4, h.listening.get(), nullptr, nullptr, SOCK_CLOEXEC); }},
    {"accept an inherited socket", SYS_accept4, kBlocked, [](H h, S) { return call(SYS_accept4, h.listening.get(), nullptr, nullptr, 0); }},
    {"type into a terminal", SYS_ioctl, kBlocked, [](H h, S) { return call(SYS_ioctl, h.pair[0].get(), TIOCSTI, "x"); }},
    {"take signals of a socket", SYS_fcntl, kBlocked, [](H h, S) { return call(SYS_fcntl, h.pair[0].get(), F_SETOWN, h.victim); }},
    {"a netfilter option", SYS_setsockopt, kBlocked, [](H h, S) { return call(SYS_setsockopt, h.client.get(), SOL_IP + 255, 64, nullptr, 0); }},
};

const Attack kOthers[] = {
    {"trace the parent", SYS_ptrace, kBlocked, [](H h, S) { return call(SYS_ptrace, PTRACE_ATTACH, h.victim, nullptr, nullptr); }},
    {"read the parent's memory", SYS_process_vm_readv, kBlocked, [](H h, S) { return call(SYS_process_vm_readv, h.victim, nullptr, 0, nullptr, 0, 0); }},
    {"write the parent's memory", SYS_process_vm_writev, kBlocked,
     [](H h, S) { return call(SYS_process_vm_writev, h.victim, nullptr, 0, nullptr, 0, 0); }},
    {"kill the parent", SYS_kill, kBlocked, [](H h, S) { return call(SYS_kill, h.victim, 0); }},
    {"kill everybody", SYS_kill, kBlocked, [](H, S) { return call(SYS_kill, -1, 0); }},
    {"kill the parent's thread", SYS_tgkill, kBlocked, [](H h, S) { return call(SYS_tgkill, h.victim, h.victim, 0); }},
    {"kill a thread", SYS_tkill, kBlocked, [](H h, S) { return call(SYS_tkill, h.victim, 0); }},
    {"queue a signal", SYS_rt_sigqueueinfo, kBlocked, [](H h, S) { return call(SYS_rt_sigqueueinfo, h.victim, 0, nullptr); }},
    {"hold the parent", SYS_pidfd_open, kBlocked, [](H h, S) { return call(SYS_pidfd_open, h.victim, 0); }},
    {"take the parent's descriptor", SYS_pidfd_getfd, kBlocked, [](H h, S) { return call(SYS_pidfd_getfd, h.pair[0].get(), 0, 0); }},
    {"compare with the parent", SYS_kcmp, kBlocked, [](H h, S) { return call(SYS_kcmp, h.victim, getpid(), 0, 0, 0); }},
    {"a limit of the parent's", SYS_prlimit64, kBlocked,
     [](H h, S) {
       rlimit limit{};
       return call(SYS_prlimit64, h.victim, RLIMIT_NOFILE, nullptr, &limit);
     }},
    {"a higher limit", SYS_prlimit64, kBlocked,
     [](H, S) {
       const rlimit limit{100000, 100000};
       return call(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, nullptr);
     }},
    {"first in the queue", SYS_setpriority, kBlocked, [](H, S) { return call(SYS_setpriority, 0, 0, -20); }},
    {"real-time", SYS_sched_setscheduler, kBlocked, [](H, S) { return call(SYS_sched_setscheduler, 0, 1, nullptr); }},
};

const Attack kPrivileges[] = {
    {"become root", SYS_setuid, kBlocked, [](H, S) { return call(SYS_setuid, 0); }},
    {"become root again", SYS_setresuid, kBlocked, [](H, S) { return call(SYS_setresuid, 0, 0, 0); }},
    {"join root's group", SYS_setresgid, kBlocked, [](H, S) { return call(SYS_setresgid, 0, 0, 0); }},
    {"join groups", SYS_setgroups, kBlocked, [](H, S) { return call(SYS_setgroups, 0, nullptr); }},
    {"take capabilities", SYS_capset, kBlocked, [](H, S) { return call(SYS_capset, nullptr, nullptr); }},
    {"be dumpable", SYS_prctl, kBlocked, [](H, S) { return call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); }},
    {"let anybody trace", SYS_prctl, kBlocked, [](H, S) { return call(SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0); }},
    {"another filter", SYS_seccomp, kBlocked, [](H, S) { return call(SYS_seccomp, 1, 0, nullptr); }},
    {"take the trap's handler", SYS_rt_sigaction, kBlocked, [](H, S) { return call(SYS_rt_sigaction, SIGSYS, nullptr, nullptr, 8); }},
    {"a user namespace", SYS_unshare, kBlocked, [](H, S) { return call(SYS_unshare, CLONE_NEWUSER); }},
    {"enter a namespace", SYS_setns, kBlocked, [](H h, S) { return call(SYS_setns, h.pair[0].get(), 0); }},
    {"mount", SYS_mount, kBlocked, [](H, S) { return call(SYS_mount, "none", "/", "tmpfs", 0, nullptr); }},
    {"mount anew", SYS_fsopen, kBlocked, [](H, S) { return call(SYS_fsopen, "tmpfs", 0); }},
    {"move a mount", SYS_move_mount, kBlocked, [](H h, S) { return call(SYS_move_mount, h.pair[0].get(), "", AT_FDCWD, "/", 4); }},
    {"clone a mount", SYS_open_tree, kBlocked, [](H, S) { return call(SYS_open_tree, AT_FDCWD, "/", 1); }},
    {"unmount", SYS_umount2, kBlocked, [](H, S) { return call(SYS_umount2, "/", 2); }},
    {"chroot", SYS_chroot, kBlocked, [](H, S) { return call(SYS_chroot, "/"); }},
    {"pivot_root", SYS_pivot_root, kBlocked, [](H, S) { return call(SYS_pivot_root, ".", "."); }},
};

// Doors to the kernel that no process of a mail server needs. The arguments are meant to fail: a hole must not hurt the machine.
const Attack kKernel[] = {
    {"bpf", SYS_bpf, kBlocked, [](H, S) { return call(SYS_bpf, -1, nullptr, 0); }},
    {"userfaultfd", SYS_userfaultfd, kBlocked, [](H, S) { return call(SYS_userfaultfd, -1); }},
    {"io_uring_setup", SYS_io_uring_setup, kBlocked, [](H, S) { return call(SYS_io_uring_setup, 0, nullptr); }},
    {"io_uring_enter", SYS_io_uring_enter, kBlocked, [](H, S) { return call(SYS_io_uring_enter, -1, 0, 0, 0, nullptr, 0); }},
    {"perf_event_open", SYS_perf_event_open, kBlocked, [](H, S) { return call(SYS_perf_event_open, nullptr, 0, 0, -1, 0); }},
    {"keyctl", SYS_keyctl, kBlocked, [](H, S) { return call(SYS_keyctl, -1, 0, 0, 0, 0); }},
    {"add_key", SYS_add_key, kBlocked, [](H, S) { return call(SYS_add_key, nullptr, nullptr, nullptr, 0, 0); }},
    {"request_key", SYS_request_key, kBlocked, [](H, S) { return call(SYS_request_key, nullptr, nullptr, nullptr, 0); }},
    {"load a module", SYS_init_module, kBlocked, [](H, S) { return call(SYS_init_module, nullptr, 0, nullptr); }},
    {"load a module file", SYS_finit_module, kBlocked, [](H, S) { return call(SYS_finit_module, -1, nullptr, 0); }},
    {"remove a module", SYS_delete_module, kBlocked, [](H, S) { return call(SYS_delete_module, nullptr, 0); }},
    {"another kernel", SYS_kexec_load, kBlocked, [](H, S) { return call(SYS_kexec_load, 0, -1, nullptr, -1); }},
    {"reboot", SYS_reboot, kBlocked, [](H, S) { return call(SYS_reboot, 0, 0, 0, nullptr); }},
    {"swapon", SYS_swapon, kBlocked, [](H, S) { return call(SYS_swapon, nullptr, 0); }},
    {"accounting", SYS_acct, kBlocked, [](H, S) { return call(SYS_acct, "/nonexistent/x"); }},
    {"the kernel's log", SYS_syslog, kBlocked, [](H, S) { return call(SYS_syslog, -1, nullptr, 0); }},
    {"quotas", SYS_quotactl, kBlocked, [](H, S) { return call(SYS_quotactl, -1, nullptr, 0, nullptr); }},
    {"the clock", SYS_settimeofday, kBlocked, [](H, S) { return call(SYS_settimeofday, &kNoArguments, &kNoArguments); }},
    {"the host's name", SYS_sethostname, kBlocked, [](H, S) { return call(SYS_sethostname, nullptr, -1); }},
    {"move pages", SYS_move_pages, kBlocked, [](H, S) { return call(SYS_move_pages, -1, 0, nullptr, nullptr, nullptr, 0); }},
    {"remap pages", SYS_remap_file_pages, kBlocked, [](H, S) { return call(SYS_remap_file_pages, nullptr, 0, 0, 0, 0); }},
    {"old asynchronous I/O", SYS_io_setup, kBlocked, [](H, S) { return call(SYS_io_setup, 0, nullptr); }},
    {"message queues", SYS_mq_open, kBlocked, [](H, S) { return call(SYS_mq_open, nullptr, 0, 0, nullptr); }},
    {"semaphores", SYS_semget, kBlocked, [](H, S) { return call(SYS_semget, 0, -1, 0); }},
    {"secret memory", kSysMemfdSecret, kBlocked, [](H, S) { return call(kSysMemfdSecret, -1); }},
    {"many futexes", kSysFutexWaitv, kBlocked, [](H, S) { return call(kSysFutexWaitv, nullptr, 0, -1, nullptr, 0); }},
    {"a shadow stack", kSysMapShadowStack, kBlocked, [](H, S) { return call(kSysMapShadowStack, 1, 0, -1); }},
    {"a call of tomorrow", 9999, kBlocked, [](H, S) { return call(9999); }},
#if defined(__x86_64__)
    {"raw ports", SYS_iopl, kBlocked, [](H, S) { return call(SYS_iopl, 4); }},
    {"segments", SYS_modify_ldt, kBlocked, [](H, S) { return call(SYS_modify_ldt, -1, nullptr, 0); }},
#endif
};

const Attack kTables[] = {
    {"another call table", -1, {Fate::killed, 0}, [](H, S) { return foreign_table(); }},
    {"the x32 call table", -1, {Fate::killed, 0}, [](H, S) { return x32_table(); }},
    {"with the trap's signal blocked", -1, {Fate::killed, 0}, [](H, S) { return behind_a_blocked_signal(); }},
};

}  // namespace

std::span<const Attack> attacks() {
  static const std::vector<Attack> all = [] {
    std::vector<Attack> rows;
    for (const std::span<const Attack> table : {std::span<const Attack>(kFiles), std::span<const Attack>(kPrograms), std::span<const Attack>(kNetwork),
                                                std::span<const Attack>(kOthers), std::span<const Attack>(kPrivileges),
                                                std::span<const Attack>(kKernel), std::span<const Attack>(kTables)})
      rows.insert(rows.end(), table.begin(), table.end());
    return rows;
  }();
  return all;
}

const Attack* attack_named(std::string_view name) {
  for (const Attack& attack : attacks())
    if (attack.name == name) return &attack;
  return nullptr;
}

}  // namespace postern::probe
