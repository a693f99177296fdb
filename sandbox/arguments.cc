#include "sandbox/arguments.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/text.h"

namespace postern::sandbox {
namespace {

// The kernel reads these as numbers of its own; glibc's signal numbers for thread cancellation have no public name.
constexpr std::uint64_t kSignalCancel = 32;
constexpr std::uint64_t kSignalSetxid = 33;
// fcntl operations newer than the headers of Debian 12's libc.
constexpr std::uint64_t kAddSeals = 1033;
constexpr std::uint64_t kGetSeals = 1034;

constexpr Constant kProt[] = {{"EXEC", PROT_EXEC}, {"WRITE", PROT_WRITE}};
constexpr Constant kMap[] = {{"FIXED", MAP_FIXED}, {"ANONYMOUS", MAP_ANONYMOUS}};
constexpr Constant kDomain[] = {{"UNIX", AF_UNIX}, {"INET", AF_INET}, {"INET6", AF_INET6}, {"NETLINK", AF_NETLINK}};
constexpr Constant kSocketType[] = {{"CLOEXEC", SOCK_CLOEXEC}, {"NONBLOCK", SOCK_NONBLOCK}};
constexpr Constant kLevel[] = {{"SOCKET", SOL_SOCKET}, {"IP", 0}, {"TCP", 6}, {"IPV6", 41}};
constexpr Constant kOpen[] = {{"CLOEXEC", O_CLOEXEC}, {"CREAT", O_CREAT}};
constexpr Constant kAt[] = {{"EMPTY_PATH", 0x1000}, {"REMOVEDIR", AT_REMOVEDIR}};
constexpr Constant kMemfd[] = {{"CLOEXEC", MFD_CLOEXEC}, {"ALLOW_SEALING", MFD_ALLOW_SEALING}};
constexpr Constant kFcntl[] = {{"DUPFD", F_DUPFD},   {"DUPFD_CLOEXEC", F_DUPFD_CLOEXEC}, {"GETFD", F_GETFD}, {"SETFD", F_SETFD},
                               {"GETFL", F_GETFL},   {"SETFL", F_SETFL},                 {"GETLK", F_GETLK}, {"SETLK", F_SETLK},
                               {"SETLKW", F_SETLKW}, {"ADD_SEALS", kAddSeals},           {"GET_SEALS", kGetSeals}};
constexpr Constant kIoctl[] = {{"FIONBIO", FIONBIO}, {"FIONREAD", FIONREAD}, {"TCGETS", TCGETS}};
constexpr Constant kClone[] = {{"THREAD", CLONE_THREAD}};
constexpr Constant kSignal[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"USR1", SIGUSR1}, {"USR2", SIGUSR2},          {"PIPE", SIGPIPE},
                                {"TERM", SIGTERM}, {"CHLD", SIGCHLD}, {"ABRT", SIGABRT}, {"CANCEL", kSignalCancel}, {"SETXID", kSignalSetxid}};
constexpr Constant kMadvise[] = {{"DONTNEED", MADV_DONTNEED}, {"FREE", MADV_FREE}};
constexpr Constant kPrctl[] = {{"SET_NAME", PR_SET_NAME}, {"SET_VMA", 0x53564d41}};

constexpr Argument kTable[] = {
    {"mmap", "prot", 2, 64, kProt},
    {"mmap", "flags", 3, 64, kMap},
    {"mprotect", "prot", 2, 64, kProt},
    {"socket", "domain", 0, 32, kDomain},
    {"socket", "type", 1, 32, kSocketType},
    {"socketpair", "domain", 0, 32, kDomain},
    {"setsockopt", "level", 1, 32, kLevel},
    {"getsockopt", "level", 1, 32, kLevel},
    {"accept4", "flags", 3, 32, kSocketType},
    {"openat", "dirfd", 0, 32, {}},
    {"openat", "flags", 2, 32, kOpen},
    {"openat2", "dirfd", 0, 32, {}},
    {"newfstatat", "dirfd", 0, 32, {}},
    {"newfstatat", "flags", 3, 32, kAt},
    {"statx", "dirfd", 0, 32, {}},
    {"statx", "flags", 2, 32, kAt},
    {"mkdirat", "dirfd", 0, 32, {}},
    {"unlinkat", "dirfd", 0, 32, {}},
    {"unlinkat", "flags", 2, 32, kAt},
    {"renameat", "olddirfd", 0, 32, {}},
    {"renameat", "newdirfd", 2, 32, {}},
    {"renameat2", "olddirfd", 0, 32, {}},
    {"renameat2", "newdirfd", 2, 32, {}},
    {"linkat", "olddirfd", 0, 32, {}},
    {"linkat", "newdirfd", 2, 32, {}},
    {"faccessat", "dirfd", 0, 32, {}},
    {"memfd_create", "flags", 1, 32, kMemfd},
    {"fcntl", "op", 1, 32, kFcntl},
    {"ioctl", "op", 1, 32, kIoctl},
    {"clone", "flags", 0, 64, kClone},
    {"rt_sigaction", "signal", 0, 32, kSignal},
    {"madvise", "advice", 2, 32, kMadvise},
    {"prctl", "op", 0, 32, kPrctl},
    {"prlimit64", "pid", 0, 32, {}},
    {"prlimit64", "new", 2, 64, {}},
    {"tgkill", "process", 0, 32, {}},
    {"tgkill", "signal", 2, 32, kSignal},
    {"kill", "process", 0, 32, {}},
    {"sched_getaffinity", "pid", 0, 32, {}},
};

}  // namespace

const Argument* find_argument(std::string_view call, std::string_view name) {
  for (const Argument& argument : kTable)
    if (argument.call == call && argument.name == name) return &argument;
  return nullptr;
}

std::optional<std::uint64_t> value_named(const Argument& argument, std::string_view name) {
  for (const Constant& constant : argument.values)
    if (constant.name == name) return constant.value;
  return text::parse_uint(name, argument.bits == 32 ? 0xFFFF'FFFFU : ~std::uint64_t{0});
}

}  // namespace postern::sandbox
