/// The running processes against their policies: what /proc shows of a live process, compared with what should be in force.
///
/// Landlock leaves no trace in /proc; what a process said of it at its start (LockReport) is all there is.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

/// One thread, as /proc/PID/task/TID/status shows it. -1 stands for a line that was not there.
struct ThreadState {
  std::array<std::int64_t, 4> uids{-1, -1, -1, -1};  ///< real, effective, saved, file system
  std::array<std::int64_t, 4> gids{-1, -1, -1, -1};
  std::vector<std::int64_t> groups;
  std::map<std::string, std::uint64_t, std::less<>> capabilities;  ///< "CapInh" … "CapAmb"
  std::int64_t no_new_privileges = -1;
  std::int64_t seccomp = -1;  ///< 2: a filter
  std::int64_t filters = -1;
};

struct LimitState {
  std::uint64_t soft = 0, hard = 0;  ///< the greatest value stands for "unlimited"
};

struct DescriptorState {
  int number = -1;
  std::string link;  ///< "socket:[4711]", "/memfd:body (deleted)"
  Held kind = Held::other;
};

/// A live process as seen from outside.
struct Observed {
  std::vector<ThreadState> threads;
  bool dumpable = true;
  std::map<std::string, std::string, std::less<>> namespaces;  ///< "net" → "net:[4026531840]"
  std::vector<std::string> mounts;                              ///< lines of mountinfo
  std::map<std::string, LimitState, std::less<>> limits;        ///< "NOFILE" → …
  std::vector<DescriptorState> descriptors;
};

/// What a process should be, besides its policy.
struct Expectation {
  uid_t uid = 0;
  gid_t gid = 0;
  std::int64_t filters = 1;  ///< at least so many: its own, its parent's, and those they were started under
  std::map<std::string, std::string, std::less<>> host_namespaces;  ///< those it must not share where it has its own
};

struct AuditReport {
  std::size_t checks = 0;                ///< how many comparisons were made
  std::vector<std::string> differences;  ///< "NoNewPrivs: expected 1, found 0"; empty: all is as it should be
};

/// Parsers of /proc's text. Lines that are absent or malformed leave their fields at "not there", which no policy expects.
ThreadState parse_status(std::string_view text);
std::map<std::string, LimitState, std::less<>> parse_limits(std::string_view text);
/// The kind of an open file by the target of its link in /proc/PID/fd.
Held kind_of(std::string_view link, bool is_directory);

/// Pure: what differs between `observed` and what `policy` and `expected` ask for.
AuditReport compare(const Policy& policy, const Expectation& expected, const Observed& observed);

/// Reads /proc/PID. Needs root, or the same uid and a dumpable process. Errors: "audit.read" (the process is gone, or /proc
/// does not let us look).
Result<Observed> observe(pid_t pid);
/// The namespaces of this process, for Expectation::host_namespaces. Errors: "audit.read".
Result<std::map<std::string, std::string, std::less<>>> own_namespaces();

/// How many system call filters this process is under; 0 where /proc does not say.
std::int64_t own_filters();

/// observe() and compare().
Result<AuditReport> audit(pid_t pid, const Policy& policy, const Expectation& expected);

}  // namespace postern::sandbox
