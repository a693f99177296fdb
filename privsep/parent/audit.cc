#include "privsep/parent/audit.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "sandbox/audit.h"
#include "sandbox/policies.h"

namespace postern::privsep {

namespace {

using Json = nlohmann::json;

/// What is compared of one process.
struct Subject {
  std::string name;
  int pid = 0;
  sandbox::Expectation expected;
  std::vector<std::string> known;  ///< differences that are known without looking
};

Json entry_for(std::string_view policy_name, const Subject& subject) {
  std::vector<std::string> differences = subject.known;
  std::size_t checks = 0;
  if (const auto policy = sandbox::policy_for(policy_name); !policy) {
    differences.push_back(policy.error().message);
  } else if (subject.pid > 0) {
    if (const auto report = sandbox::audit(subject.pid, *policy, subject.expected)) {
      checks = report->checks;
      differences.insert(differences.end(), report->differences.begin(), report->differences.end());
    } else {
      differences.push_back(report.error().message);
    }
  }
  return Json{{"name", subject.name}, {"pid", subject.pid}, {"checks", checks}, {"differences", bounded_differences(differences)}};
}

}  // namespace

std::vector<std::string> bounded_differences(const std::vector<std::string>& differences) {
  std::vector<std::string> out;
  for (const std::string& difference : differences) {
    if (out.size() == kAuditDifferences) {
      out.push_back("and " + std::to_string(differences.size() - kAuditDifferences) + " more");
      break;
    }
    out.push_back(text::printable(difference, kAuditDifferenceBytes).substr(0, kAuditDifferenceBytes));
  }
  return out;
}

std::string audit_json(const Supervisor& supervisor, std::int64_t outer_filters) {
  const auto host = sandbox::own_namespaces();
  const auto expected = [&](uid_t uid, gid_t gid, std::int64_t filters) {
    return sandbox::Expectation{.uid = uid, .gid = gid, .filters = filters,
                                .host_namespaces = host ? *host : decltype(sandbox::Expectation::host_namespaces){}};
  };
  Json processes = Json::array();
  processes.push_back(entry_for("parent", {"parent", ::getpid(), expected(::getuid(), ::getgid(), outer_filters + 1), {}}));
  for (const auto& process : supervisor.processes()) {
    Subject subject{process->name(), process->pid, expected(process->ids.uid, process->ids.gid, outer_filters + 2), {}};
    if (process->state != ProcessState::running) {
      subject.known.push_back("not running: " + std::string(name_of(process->state)));
      subject.pid = 0;
    }
    for (const std::string& layer : process->missing) subject.known.push_back("missing since its start: " + layer);
    processes.push_back(entry_for(name_of(process->row->role), subject));
  }
  bool clean = true;
  for (const Json& entry : processes) clean = clean && entry["differences"].empty();
  return Json{{"clean", clean}, {"processes", std::move(processes)}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace postern::privsep
