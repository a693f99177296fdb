// The conditions of a policy's rows: parsing and meaning.
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "sandbox/limits.h"
#include "sandbox/policy.h"

namespace postern::sandbox {
namespace {

using text::printable;
using text::trim;

tl::unexpected<Error> syntax(std::string words) { return failure("policy.syntax", std::move(words)); }

Result<const Argument*> argument_of(std::string_view call, std::string_view name) {
  const Argument* argument = find_argument(call, name);
  if (argument == nullptr)
    return syntax("the argument \"" + printable(name) + "\" of " + printable(call) + " is not known; see sandbox/arguments.cc");
  return argument;
}

Result<std::vector<std::uint64_t>> values_of(const Argument& argument, std::string_view text) {
  std::vector<std::uint64_t> values;
  for (std::string_view name : text::split(text, '|')) {
    name = trim(name);
    const auto value = value_named(argument, name);
    if (!value) return syntax("\"" + printable(name) + "\" is no value of " + std::string(argument.call) + "'s " + std::string(argument.name));
    if (values.size() == limits::kValues) return syntax("more than " + std::to_string(limits::kValues) + " values");
    values.push_back(*value);
  }
  return values;
}

Result<Clause> bits_clause(std::string_view call, std::string_view text, Operator op) {
  const auto at = text.find('&');
  if (at == std::string_view::npos) return syntax("expected \"argument & VALUE\", found \"" + printable(text) + "\"");
  TRY_ASSIGN(const Argument* argument, argument_of(call, trim(text.substr(0, at))));
  TRY_ASSIGN(const auto bits, values_of(*argument, text.substr(at + 1)));
  std::uint64_t mask = 0;
  for (const std::uint64_t bit : bits) mask |= bit;
  if (mask == 0) return syntax("a mask without a bit: \"" + printable(text) + "\"");
  return Clause{.argument = argument, .op = op, .values = {mask}, .self = false};
}

Result<Clause> equals_clause(std::string_view call, std::string_view text, std::size_t at) {
  TRY_ASSIGN(const Argument* argument, argument_of(call, trim(text.substr(0, at))));
  Clause clause{.argument = argument, .op = Operator::equals, .values = {}, .self = false};
  if (trim(text.substr(at + 1)) == "SELF") {
    clause.self = true;
    return clause;
  }
  TRY_ASSIGN(clause.values, values_of(*argument, text.substr(at + 1)));
  return clause;
}

Result<Clause> parse_clause(std::string_view call, std::string_view text) {
  if (text.starts_with("!(") && text.ends_with(")")) return bits_clause(call, text.substr(2, text.size() - 3), Operator::no_bits);
  if (const auto at = text.find(">="); at != std::string_view::npos) {
    if (trim(text.substr(at + 2)) != "0") return syntax("\">=\" compares with 0 only");
    TRY_ASSIGN(const Argument* argument, argument_of(call, trim(text.substr(0, at))));
    return Clause{.argument = argument, .op = Operator::not_negative, .values = {}, .self = false};
  }
  if (const auto at = text.find('='); at != std::string_view::npos) return equals_clause(call, text, at);
  return bits_clause(call, text, Operator::all_bits);
}

}  // namespace

bool Clause::holds(std::uint64_t value, std::uint32_t own_id) const {
  const std::uint64_t seen = argument->bits == 32 ? value & 0xFFFF'FFFFU : value;
  switch (op) {
    case Operator::equals: return self ? seen == own_id : std::ranges::find(values, seen) != values.end();
    case Operator::all_bits: return (seen & values.front()) == values.front();
    case Operator::no_bits: return (seen & values.front()) == 0;
    case Operator::not_negative: return (seen >> (argument->bits - 1) & 1U) == 0;
  }
  return false;
}

Result<std::vector<Clause>> parse_condition(std::string_view call, std::string_view text) {
  std::vector<Clause> clauses;
  text = trim(text);
  if (text == "-") return clauses;
  constexpr std::string_view kAnd = " and ";
  for (bool more = true; more;) {
    const auto at = text.find(kAnd);
    more = at != std::string_view::npos;
    if (clauses.size() == limits::kClauses) return syntax("more than " + std::to_string(limits::kClauses) + " comparisons in one condition");
    TRY_ASSIGN(auto clause, parse_clause(call, trim(text.substr(0, at))));
    // One argument, one comparison: libseccomp can hold no two in one rule.
    for (const Clause& other : clauses)
      if (other.argument == clause.argument) return syntax("\"" + std::string(clause.argument->name) + "\" is compared twice");
    clauses.push_back(std::move(clause));
    if (more) text.remove_prefix(at + kAnd.size());
  }
  return clauses;
}

Action decide(const Policy& policy, std::string_view call, const std::array<std::uint64_t, kArguments>& arguments,
              std::uint32_t own_id) {
  for (const Rule& rule : policy.rules) {
    if (rule.call != call) continue;
    const bool met = std::ranges::all_of(rule.when, [&](const Clause& c) { return c.holds(arguments[c.argument->index], own_id); });
    if (met) return rule.action;
  }
  return policy.otherwise;
}

}  // namespace postern::sandbox
