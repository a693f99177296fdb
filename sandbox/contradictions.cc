#include "sandbox/contradictions.h"

#include <algorithm>
#include <bit>

namespace postern::sandbox {
namespace {

tl::unexpected<Error> contradiction(const Policy& policy, std::string words) {
  return failure("policy.contradiction", policy.name + ": " + std::move(words));
}

bool allows(const Policy& policy, std::string_view call) {
  return std::ranges::any_of(policy.rules, [call](const Rule& r) { return r.call == call && r.action.verdict == Verdict::allow; });
}

/// "network none" and a row that allows connect cannot both be true.
Result<void> check_network(const Policy& policy) {
  struct Forbidden {
    Network network;
    std::string_view calls[6];
  };
  static constexpr Forbidden kForbidden[] = {
      {Network::none, {"socket", "connect", "bind", "listen", "accept", "accept4"}},
      {Network::accept, {"socket", "connect", "bind", "listen", "", ""}},
      {Network::connect, {"bind", "listen", "accept", "accept4", "", ""}},
      {Network::all, {}},
  };
  for (const Forbidden& row : kForbidden)
    if (row.network == policy.network)
      for (const std::string_view call : row.calls)
        if (!call.empty() && allows(policy, call))
          return contradiction(policy, "network " + policy.network_statement.value + ", but " + std::string(call) + " is allowed");
  if (policy.own_net && (policy.network == Network::connect || policy.network == Network::all))
    return contradiction(policy, "a process in an empty network of its own cannot connect");
  return {};
}

Result<void> check_files(const Policy& policy) {
  if (policy.empty_root && !policy.own_mount) return contradiction(policy, "an empty root needs a mount namespace of its own");
  if (policy.files != Files::none) return {};
  for (const std::string_view call : {"open", "openat", "openat2", "creat", "mkdirat", "renameat", "renameat2", "unlinkat", "linkat"})
    if (allows(policy, call)) return contradiction(policy, "landlock none, but " + std::string(call) + " is allowed");
  return {};
}

/// Whether "otherwise" after this condition can be written as disjoint rules of libseccomp: it has no masked "not equal",
/// so a comparison can be turned round only where it is about one bit, or about one whole 64-bit value.
bool can_be_negated(const Clause& clause) {
  switch (clause.op) {
    case Operator::equals: return !clause.self && clause.values.size() == 1 && clause.argument->bits == 64;
    case Operator::all_bits:
    case Operator::no_bits: return std::has_single_bit(clause.values.front());
    case Operator::not_negative: return true;
  }
  return false;
}

/// A row without a condition after rows with one is an "else"; only some can be compiled exactly.
Result<void> check_else_rows(const Policy& policy) {
  for (const Rule& last : policy.rules) {
    if (!last.when.empty()) continue;
    std::size_t before = 0;
    bool exact = true;
    for (const Rule& rule : policy.rules) {
      if (&rule == &last) break;
      if (rule.call != last.call) continue;
      ++before;
      exact = exact && std::ranges::all_of(rule.when, can_be_negated);
    }
    if (before > 1 || !exact)
      return contradiction(policy, last.call + ": the row for all other calls must follow one row whose comparisons are about single bits");
  }
  return {};
}

/// Whether no value can satisfy both. The process's own id may be any.
bool exclude_each_other(const Clause& one, const Clause& other) {
  if (one.argument != other.argument || one.self || other.self) return false;
  if (one.op == Operator::equals) return std::ranges::none_of(one.values, [&](std::uint64_t value) { return other.holds(value, 0); });
  if (other.op == Operator::equals) return exclude_each_other(other, one);
  const bool opposite_bits = (one.op == Operator::all_bits && other.op == Operator::no_bits) || (one.op == Operator::no_bits && other.op == Operator::all_bits);
  return opposite_bits && (one.values.front() & other.values.front()) != 0;
}

bool can_both_hold(const Rule& one, const Rule& other) {
  return std::ranges::none_of(one.when, [&](const Clause& a) { return std::ranges::any_of(other.when, [&](const Clause& b) { return exclude_each_other(a, b); }); });
}

/// The text is read from above, libseccomp orders rules as it likes: two rows that say different things of one call must not meet.
Result<void> check_overlaps(const Policy& policy) {
  for (auto row = policy.rules.begin(); row != policy.rules.end(); ++row)
    for (auto before = policy.rules.begin(); before != row; ++before)
      if (before->call == row->call && before->action != row->action && !row->when.empty() && can_both_hold(*before, *row))
        return contradiction(policy, row->call + ": \"" + before->when_text + "\" and \"" + row->when_text + "\" can both hold, and say different things");
  return {};
}

}  // namespace

Result<void> check_contradictions(const Policy& policy) {
  TRY(check_network(policy));
  TRY(check_files(policy));
  TRY(check_overlaps(policy));
  return check_else_rows(policy);
}

}  // namespace postern::sandbox
