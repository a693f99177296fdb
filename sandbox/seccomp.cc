#include "sandbox/seccomp.h"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/unique.h"

namespace postern::sandbox {
namespace {

using Comparisons = std::vector<scmp_arg_cmp>;

tl::unexpected<Error> broken(std::string_view what, int code) {
  return failure("sandbox.filter", std::string(what) + ": " + std::strerror(code < 0 ? -code : code));
}

std::uint64_t width_mask(const Clause& clause) { return clause.argument->bits == 32 ? 0xFFFF'FFFFU : ~std::uint64_t{0}; }
std::uint64_t sign_bit(const Clause& clause) { return std::uint64_t{1} << (clause.argument->bits - 1); }

scmp_arg_cmp masked(const Clause& clause, std::uint64_t mask, std::uint64_t value) {
  return {clause.argument->index, SCMP_CMP_MASKED_EQ, mask, value};
}

/// The ways in which a clause can hold; any one suffices.
Comparisons ways(const Clause& clause, std::uint32_t own_id) {
  Comparisons found;
  switch (clause.op) {
    case Operator::equals:
      if (clause.self) found.push_back(masked(clause, width_mask(clause), own_id));
      for (const std::uint64_t value : clause.values) found.push_back(masked(clause, width_mask(clause), value));
      break;
    case Operator::all_bits: found.push_back(masked(clause, clause.values.front(), clause.values.front())); break;
    case Operator::no_bits: found.push_back(masked(clause, clause.values.front(), 0)); break;
    case Operator::not_negative: found.push_back(masked(clause, sign_bit(clause), 0)); break;
  }
  return found;
}

/// The one comparison that holds where `clause` does not; check_contradictions() admits only clauses that have one.
scmp_arg_cmp opposite(const Clause& clause) {
  switch (clause.op) {
    case Operator::equals: return {clause.argument->index, SCMP_CMP_NE, clause.values.front(), 0};
    case Operator::all_bits: return masked(clause, clause.values.front(), 0);
    case Operator::no_bits: return masked(clause, clause.values.front(), clause.values.front());
    case Operator::not_negative: break;
  }
  return masked(clause, sign_bit(clause), sign_bit(clause));
}

std::uint32_t action_code(const Action& action, Filter::OnViolation on_violation) {
  switch (action.verdict) {
    case Verdict::allow: return SCMP_ACT_ALLOW;
    case Verdict::refuse: return SCMP_ACT_ERRNO(static_cast<std::uint16_t>(action.error));
    case Verdict::kill: break;
  }
  return on_violation == Filter::OnViolation::report ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS;
}

/// Adds rules to a filter, remembering the first failure.
class Builder {
 public:
  Builder(scmp_filter_ctx context, std::uint32_t own_id, Filter::OnViolation on_violation, std::uint32_t otherwise)
      : context_(context), own_id_(own_id), on_violation_(on_violation), otherwise_(otherwise) {}

  /// `rows` are all rows of one call.
  Result<void> add_call(const std::string& call, const std::vector<const Rule*>& rows) {
    const int number = seccomp_syscall_resolve_name(call.c_str());
    if (number < 0) return {};  // another architecture's call: here nobody can make it
    for (const Rule* row : rows) {
      if (row->when.empty() && rows.size() > 1) {
        TRY(add_else(number, *row, *rows.front()));
      } else {
        TRY(add_ways(number, *row));
      }
    }
    return {};
  }

 private:
  /// One rule for every combination of ways in which the row's clauses can hold.
  Result<void> add_ways(int number, const Rule& row) {
    std::vector<Comparisons> combinations{{}};
    for (const Clause& clause : row.when) {
      std::vector<Comparisons> longer;
      for (const Comparisons& start : combinations)
        for (const scmp_arg_cmp& way : ways(clause, own_id_)) longer.emplace_back(start).push_back(way);
      combinations = std::move(longer);
    }
    for (const Comparisons& comparisons : combinations) TRY(add(number, row, comparisons));
    return {};
  }

  /// Not (a and b and c) as disjoint rules: not a; a and not b; a and b and not c.
  Result<void> add_else(int number, const Rule& row, const Rule& first) {
    Comparisons held;
    for (const Clause& clause : first.when) {
      Comparisons comparisons = held;
      comparisons.push_back(opposite(clause));
      TRY(add(number, row, comparisons));
      held.push_back(ways(clause, own_id_).front());
    }
    return {};
  }

  Result<void> add(int number, const Rule& row, const Comparisons& comparisons) {
    const std::uint32_t code = action_code(row.action, on_violation_);
    if (code == otherwise_) return {};  // libseccomp refuses a rule that says what the default says
    const int rc = seccomp_rule_add_exact_array(context_, code, number, static_cast<unsigned>(comparisons.size()), comparisons.data());
    if (rc != 0) return broken("row " + row.call + " " + row.when_text, rc);
    return {};
  }

  scmp_filter_ctx context_;
  std::uint32_t own_id_;
  Filter::OnViolation on_violation_;
  std::uint32_t otherwise_;
};

}  // namespace

void Filter::Release::operator()(void* context) const { seccomp_release(context); }

bool is_system_call(std::string_view name) { return seccomp_syscall_resolve_name(std::string(name).c_str()) != __NR_SCMP_ERROR; }

std::string system_call_name(std::uint32_t number) {
  const CPtr<char, std::free> name(seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)));
  return name ? std::string(name.get()) : "call " + std::to_string(number);
}

Result<Filter> Filter::compile(const Policy& policy, std::uint32_t own_id, OnViolation on_violation) {
  const std::uint32_t otherwise = action_code(policy.otherwise, on_violation);
  Filter filter(seccomp_init(otherwise));
  scmp_filter_ctx context = filter.context_.get();
  if (context == nullptr) return failure("sandbox.filter", "no memory");
  struct Attribute {
    scmp_filter_attr name;
    std::uint32_t value;
  };
  for (const Attribute& attribute : {Attribute{SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS}, Attribute{SCMP_FLTATR_CTL_NNP, 1},
                                     Attribute{SCMP_FLTATR_CTL_TSYNC, 1}, Attribute{SCMP_FLTATR_CTL_OPTIMIZE, 2}})
    if (const int rc = seccomp_attr_set(context, attribute.name, attribute.value); rc != 0) return broken("filter attribute", rc);
  Builder builder(context, own_id, on_violation, otherwise);
  std::vector<std::string_view> done;
  for (const Rule& rule : policy.rules) {
    if (std::ranges::find(done, rule.call) != done.end()) continue;
    done.push_back(rule.call);
    std::vector<const Rule*> rows;
    for (const Rule& row : policy.rules)
      if (row.call == rule.call) rows.push_back(&row);
    TRY(builder.add_call(rule.call, rows));
  }
  return filter;
}

Result<void> Filter::load() const {
  if (const int rc = seccomp_load(context_.get()); rc != 0) return broken("loading the filter", rc);
  return {};
}

Result<std::vector<sock_filter>> Filter::program() const {
  const Fd file(memfd_create("filter", MFD_CLOEXEC));
  if (!file) return broken("memfd_create", errno);
  if (const int rc = seccomp_export_bpf(context_.get(), file.get()); rc != 0) return broken("exporting the filter", rc);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return broken("fstat", errno);
  std::vector<sock_filter> program(static_cast<std::size_t>(status.st_size) / sizeof(sock_filter));
  const std::size_t bytes = program.size() * sizeof(sock_filter);
  if (pread(file.get(), program.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return broken("reading the filter", errno);
  return program;
}

}  // namespace postern::sandbox
