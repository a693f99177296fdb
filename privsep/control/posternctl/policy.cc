#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "privsep/control/posternctl/commands.h"
#include "privsep/control/posternctl/show.h"
#include "sandbox/policies.h"
#include "sandbox/render.h"

namespace postern::posternctl {

namespace {

using nlohmann::json;

json policy_json(const sandbox::Policy& policy) {
  json rules = json::array(), limits = json::array(), holds = json::array();
  for (const auto& rule : policy.rules)
    rules.push_back({{"call", rule.call}, {"when", rule.when_text}, {"action", rule.action_text}, {"why", rule.why}, {"from", rule.origin}});
  for (const auto& limit : policy.limits) limits.push_back({{"name", limit.name}, {"value", limit.value_text}, {"why", limit.why}});
  for (const auto& holding : policy.holds) holds.push_back({{"kinds", holding.statement.value}, {"why", holding.statement.why}});
  const auto statement = [](const sandbox::Statement& s) { return json{{"value", s.value}, {"why", s.why}}; };
  return {{"process", policy.name}, {"title", policy.title}, {"network", statement(policy.network_statement)},
          {"namespaces", statement(policy.namespace_statement)}, {"root", statement(policy.root_statement)},
          {"files", statement(policy.files_statement)}, {"limits", limits}, {"holds", holds},
          {"otherwise", statement(policy.otherwise_statement)}, {"rules", rules}};
}

int list_policies(bool as_json) {
  std::vector<std::vector<std::string>> rows;
  json list = json::array();
  for (const auto& text : sandbox::policy_texts()) {
    const auto policy = sandbox::policy_for(text.name);
    if (!policy) return complain(policy.error().message);
    rows.push_back({policy->name, policy->title});
    list.push_back({{"process", policy->name}, {"title", policy->title}});
  }
  constexpr std::string_view kHeadings[] = {"PROCESS", "WHAT IT IS"};
  return print_text(as_json ? list.dump() + "\n" : table(kHeadings, rows));
}

int show_policy(const std::string& process, bool as_json) {
  if (process.empty()) return list_policies(as_json);
  const auto policy = sandbox::policy_for(process);
  if (!policy) return complain(policy.error().message);
  return print_text(as_json ? policy_json(*policy).dump() + "\n" : sandbox::to_text(*policy));
}

}  // namespace

void add_policy(CLI::App& app, Invocation& invocation) {
  const auto process = std::make_shared<std::string>();
  app.add_option("PROCESS", *process, "the process; without one, all are named");
  app.callback([&invocation, process] { invocation.run = [&invocation, process] { return show_policy(*process, invocation.json); }; });
}

}  // namespace postern::posternctl
