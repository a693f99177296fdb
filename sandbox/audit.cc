#include "sandbox/audit.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "base/text.h"

namespace postern::sandbox {
namespace {

using text::split;
using text::trim;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

/// Name in a policy and in /proc/PID/limits.
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kLimitNames{{{"NOFILE", "Max open files"},
                                                                                   {"NPROC", "Max processes"},
                                                                                   {"FSIZE", "Max file size"},
                                                                                   {"CORE", "Max core file size"},
                                                                                   {"MEMLOCK", "Max locked memory"},
                                                                                   {"MSGQUEUE", "Max msgqueue size"},
                                                                                   {"DATA", "Max data size"},
                                                                                   {"SIGPENDING", "Max pending signals"}}};
// Columns of /proc/PID/limits: name, soft, hard, unit.
constexpr std::size_t kSoftColumn = 26;
constexpr std::size_t kHardColumn = 47;
constexpr std::size_t kUnitColumn = 68;

std::int64_t number(std::string_view text) {
  const auto value = text::parse_uint(trim(text), std::numeric_limits<std::int64_t>::max());
  return value ? static_cast<std::int64_t>(*value) : -1;
}

std::vector<std::int64_t> numbers(std::string_view text) {
  std::vector<std::int64_t> values;
  for (const std::string_view tabbed : split(text, '\t'))
    for (const std::string_view word : split(tabbed, ' '))
      if (!trim(word).empty()) values.push_back(number(word));
  return values;
}

void four(std::string_view text, std::array<std::int64_t, 4>& out) {
  const auto values = numbers(text);
  if (values.size() == out.size()) std::ranges::copy(values, out.begin());
}

std::uint64_t limit_value(std::string_view text) {
  text = trim(text);
  if (text == "unlimited") return kUnlimited;
  return text::parse_uint(text, kUnlimited - 1).value_or(kUnlimited);
}

std::string shown(std::uint64_t limit) { return limit == kUnlimited ? "unlimited" : std::to_string(limit); }

std::string joined(std::span<const std::int64_t> values) {
  std::string out;
  for (const std::int64_t value : values) out += (out.empty() ? "" : " ") + std::to_string(value);
  return out.empty() ? "none" : out;
}

/// Makes the comparisons and collects what differs.
class Comparison {
 public:
  Comparison(const Policy& policy, const Expectation& expected, const Observed& observed)
      : policy_(policy), expected_(expected), observed_(observed) {}

  AuditReport run() {
    expect(!observed_.threads.empty(), "threads", "at least one", "none");
    for (const ThreadState& thread : observed_.threads) check_thread(thread);
    if (policy_.empty_root) expect(!observed_.dumpable, "dumpable", "no", "yes");
    check_namespaces();
    check_root();
    check_limits();
    check_descriptors();
    return std::move(report_);
  }

 private:
  void expect(bool holds, std::string_view what, std::string_view wanted, std::string_view found) {
    ++report_.checks;
    if (holds) return;
    std::string words = std::string(what) + ": expected " + std::string(wanted) + ", found " + text::printable(found);
    // Threads that differ in the same way are one difference.
    if (std::ranges::find(report_.differences, words) == report_.differences.end()) report_.differences.push_back(std::move(words));
  }

  void check_thread(const ThreadState& thread) {
    const auto all_are = [](const std::array<std::int64_t, 4>& ids, std::int64_t id) {
      return std::ranges::all_of(ids, [id](std::int64_t i) { return i == id; });
    };
    expect(all_are(thread.uids, expected_.uid), "Uid", std::to_string(expected_.uid), joined(thread.uids));
    expect(all_are(thread.gids, expected_.gid), "Gid", std::to_string(expected_.gid), joined(thread.gids));
    expect(thread.no_new_privileges == 1, "NoNewPrivs", "1", std::to_string(thread.no_new_privileges));
    expect(thread.seccomp == 2, "Seccomp", "2 (a filter)", std::to_string(thread.seccomp));
    expect(thread.filters >= expected_.filters, "Seccomp_filters", std::to_string(expected_.filters) + " or more", std::to_string(thread.filters));
    if (!policy_.empty_root) return;  // the parent keeps groups and capabilities
    expect(thread.groups.empty(), "Groups", "none", joined(thread.groups));
    for (const std::string_view set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      const auto found = thread.capabilities.find(set);
      const bool there = found != thread.capabilities.end();
      expect(there && found->second == 0, set, "0", there ? std::to_string(found->second) : "no such line");
    }
  }

  void check_namespaces() {
    struct Wanted {
      bool own;
      std::string_view name;
    };
    for (const Wanted& space : {Wanted{policy_.own_net, "net"}, Wanted{policy_.own_ipc, "ipc"}, Wanted{policy_.own_uts, "uts"},
                                Wanted{policy_.own_mount, "mnt"}}) {
      if (!space.own) continue;
      const auto found = observed_.namespaces.find(space.name);
      const auto host = expected_.host_namespaces.find(space.name);
      const bool known = found != observed_.namespaces.end() && host != expected_.host_namespaces.end();
      expect(known && found->second != host->second, "namespace " + std::string(space.name), "one of its own",
             known ? "the host's, " + found->second : "nothing to compare");
    }
  }

  void check_root() {
    if (!policy_.empty_root) return;
    expect(observed_.mounts.size() == 1, "mounts", "one, the empty root", std::to_string(observed_.mounts.size()));
    for (const std::string& mount : observed_.mounts) {
      // Fields: id parent major:minor root mount-point options … - type source options (proc_pid_mountinfo(5))
      const auto fields = split(mount, ' ');
      const bool read_only = fields.size() > 5 && (fields[5] == "ro" || fields[5].starts_with("ro,"));
      expect(mount.find(" - tmpfs ") != std::string::npos && read_only, "root", "a read-only tmpfs", mount);
    }
  }

  void check_limits() {
    for (const Limit& limit : policy_.limits) {
      const auto found = observed_.limits.find(limit.name);
      const bool there = found != observed_.limits.end();
      // Lower is what a host with lower limits gives; it is never less safe.
      expect(there && found->second.soft <= limit.value && found->second.hard <= limit.value, "limit " + limit.name,
             "at most " + std::to_string(limit.value), there ? shown(found->second.soft) + " " + shown(found->second.hard) : "no such line");
    }
  }

  void check_descriptors() {
    for (const DescriptorState& descriptor : observed_.descriptors)
      expect(policy_.may_hold(descriptor.kind), "descriptor " + std::to_string(descriptor.number), "a kind the policy names",
             std::string(name_of(descriptor.kind)) + " (" + descriptor.link + ")");
  }

  const Policy& policy_;
  const Expectation& expected_;
  const Observed& observed_;
  AuditReport report_;
};

}  // namespace

ThreadState parse_status(std::string_view text) {
  ThreadState state;
  for (const std::string_view line : split(text, '\n')) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, colon);
    const std::string_view value = trim(line.substr(colon + 1));
    if (key == "Uid") four(value, state.uids);
    if (key == "Gid") four(value, state.gids);
    if (key == "Groups") state.groups = numbers(value);
    if (key == "NoNewPrivs") state.no_new_privileges = number(value);
    if (key == "Seccomp") state.seccomp = number(value);
    if (key == "Seccomp_filters") state.filters = number(value);
    if (key.size() == 6 && key.starts_with("Cap")) {
      std::uint64_t bits = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bits, 16);
      if (error == std::errc{} && end == value.data() + value.size()) state.capabilities.emplace(key, bits);
    }
  }
  return state;
}

std::map<std::string, LimitState, std::less<>> parse_limits(std::string_view text) {
  std::map<std::string, LimitState, std::less<>> limits;
  for (const std::string_view line : split(text, '\n')) {
    if (line.size() < kHardColumn) continue;
    const std::string_view title = trim(line.substr(0, kSoftColumn));
    for (const auto& [name, shown_as] : kLimitNames)
      if (shown_as == title)
        limits[std::string(name)] = {.soft = limit_value(line.substr(kSoftColumn, kHardColumn - kSoftColumn)),
                                     .hard = limit_value(line.substr(kHardColumn, kUnitColumn - kHardColumn))};
  }
  return limits;
}

Held kind_of(std::string_view link, bool is_directory) {
  struct Prefix {
    std::string_view text;
    Held kind;
  };
  for (const Prefix& prefix : {Prefix{"socket:", Held::socket}, Prefix{"pipe:", Held::pipe}, Prefix{"/memfd:", Held::memfd},
                               Prefix{"anon_inode:[eventpoll]", Held::epoll}, Prefix{"anon_inode:[eventfd]", Held::eventfd},
                               Prefix{"anon_inode:[timerfd]", Held::timerfd}})
    if (link.starts_with(prefix.text)) return prefix.kind;
  if (link == "/dev/null") return Held::null;
  if (is_directory) return Held::directory;
  return link.starts_with('/') && !link.starts_with("/dev/") ? Held::file : Held::other;
}

AuditReport compare(const Policy& policy, const Expectation& expected, const Observed& observed) {
  return Comparison(policy, expected, observed).run();
}

}  // namespace postern::sandbox
