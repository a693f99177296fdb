// Reading /proc/PID for an audit.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/text.h"
#include "base/unique.h"
#include "sandbox/audit.h"
#include "sandbox/limits.h"

namespace postern::sandbox {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kLinkBytes = 4096;

tl::unexpected<Error> unreadable(std::string_view what) {
  return failure("audit.read", text::printable(what) + ": " + std::strerror(errno));
}

Result<std::string> read_file(int folder, const std::string& name) {
  const Fd file(openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return unreadable(name);
  std::string content;
  std::array<char, kReadBytes> buffer{};
  while (content.size() < limits::kProcBytes) {
    const ssize_t n = read(file.get(), buffer.data(), buffer.size());
    if (n < 0) return unreadable(name);
    if (n == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return failure("audit.read", name + " is longer than it can be");
}

Result<std::string> read_link(int folder, const std::string& name) {
  std::array<char, kLinkBytes> buffer{};
  const ssize_t n = readlinkat(folder, name.c_str(), buffer.data(), buffer.size());
  if (n < 0) return unreadable(name);
  return std::string(buffer.data(), static_cast<std::size_t>(n));
}

/// The names in a folder, but "." and "..".
Result<std::vector<std::string>> names_in(int folder, const char* name) {
  Fd opened(openat(folder, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return unreadable(name);
  const CPtr<DIR, closedir> listing(fdopendir(opened.get()));
  if (!listing) return unreadable(name);
  opened.release();  // the listing owns it now
  std::vector<std::string> names;
  while (const dirent* entry = readdir(listing.get())) {
    if (entry->d_name[0] == '.') continue;
    if (names.size() == limits::kDescriptors) return failure("audit.read", "too many entries in " + std::string(name));
    names.emplace_back(entry->d_name);
  }
  return names;
}

Result<std::map<std::string, std::string, std::less<>>> namespaces_of(int process) {
  std::map<std::string, std::string, std::less<>> spaces;
  for (const std::string name : {"net", "ipc", "uts", "mnt"}) {
    TRY_ASSIGN(spaces[name], read_link(process, "ns/" + name));
  }
  return spaces;
}

Result<std::vector<DescriptorState>> descriptors_of(int process) {
  TRY_ASSIGN(const auto names, names_in(process, "fd"));
  std::vector<DescriptorState> descriptors;
  for (const std::string& name : names) {
    auto link = read_link(process, "fd/" + name);
    if (!link) continue;  // closed since it was listed
    struct stat status {};
    const bool is_directory = fstatat(process, ("fd/" + name).c_str(), &status, 0) == 0 && S_ISDIR(status.st_mode);
    const auto number = text::parse_uint(name, 1'000'000'000);
    descriptors.push_back({.number = static_cast<int>(number.value_or(0)), .link = *link, .kind = kind_of(*link, is_directory)});
  }
  return descriptors;
}

}  // namespace

Result<Observed> observe(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid);
  const Fd process(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process) return unreadable(path);
  Observed observed;
  TRY_ASSIGN(const auto tasks, names_in(process.get(), "task"));
  for (const std::string& task : tasks) {
    TRY_ASSIGN(const std::string status, read_file(process.get(), "task/" + task + "/status"));
    observed.threads.push_back(parse_status(status));
  }
  struct stat owner {};
  if (fstatat(process.get(), "limits", &owner, 0) != 0) return unreadable(path);
  // The files of a process that may not be looked into belong to root (proc(5)); the folder itself always to the process.
  observed.dumpable = observed.threads.empty() || owner.st_uid == static_cast<uid_t>(observed.threads.front().uids[1]);
  TRY_ASSIGN(observed.namespaces, namespaces_of(process.get()));
  TRY_ASSIGN(const std::string mounts, read_file(process.get(), "mountinfo"));
  for (const std::string_view line : text::split(mounts, '\n'))
    if (!line.empty()) observed.mounts.emplace_back(line);
  TRY_ASSIGN(const std::string limits, read_file(process.get(), "limits"));
  observed.limits = parse_limits(limits);
  TRY_ASSIGN(observed.descriptors, descriptors_of(process.get()));
  return observed;
}

Result<std::map<std::string, std::string, std::less<>>> own_namespaces() {
  const Fd process(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!process) return unreadable("/proc/self");
  return namespaces_of(process.get());
}

std::int64_t own_filters() {
  const Fd process(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto status = read_file(process.get(), "status");
  return status ? std::max<std::int64_t>(parse_status(*status).filters, 0) : 0;
}

Result<AuditReport> audit(pid_t pid, const Policy& policy, const Expectation& expected) {
  TRY_ASSIGN(const Observed observed, observe(pid));
  return compare(policy, expected, observed);
}

}  // namespace postern::sandbox
