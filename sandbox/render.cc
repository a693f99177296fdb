#include "sandbox/render.h"

#include <algorithm>
#include <array>

namespace postern::sandbox {
namespace {

using Row = std::vector<std::string>;

struct Table {
  Row head;
  std::vector<Row> rows;
};

Table statements_of(const Policy& policy) {
  Table table{.head = {"statement", "value", "why"}, .rows = {}};
  const auto add = [&table](std::string_view what, const Statement& said) { table.rows.push_back({std::string(what), said.value, said.why}); };
  add("network", policy.network_statement);
  add("namespaces of its own", policy.namespace_statement);
  add("root", policy.root_statement);
  add("files (Landlock)", policy.files_statement);
  for (const Limit& limit : policy.limits) table.rows.push_back({"limit " + limit.name, limit.value_text, limit.why});
  for (const Policy::Holding& holding : policy.holds) add("holds", holding.statement);
  add("any other call", policy.otherwise_statement);
  return table;
}

Table calls_from(const Policy& policy, std::string_view origin) {
  Table table{.head = {"call", "when", "action", "why"}, .rows = {}};
  for (const Rule& rule : policy.rules)
    if (rule.origin == origin) table.rows.push_back({rule.call, rule.when_text == "-" ? "always" : rule.when_text, rule.action_text, rule.why});
  return table;
}

/// The texts the rows come from, the policy's own first.
std::vector<std::string> origins_of(const Policy& policy) {
  std::vector<std::string> origins;
  for (const Rule& rule : policy.rules)
    if (std::ranges::find(origins, rule.origin) == origins.end()) origins.push_back(rule.origin);
  return origins;
}

std::string heading(const Policy& policy, std::string_view origin) {
  if (origin == policy.name) return "Calls, its own";
  return "Calls from \"" + std::string(origin) + "\"" + (origin == "base" ? ", which every process has" : "");
}

/// Text that stands in a cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '*' || c == '_' || c == '<') out += '\\';
    out += c;
  }
  return out;
}

void markdown_row(std::string& out, const Row& row) {
  for (const std::string& column : row) out += "| " + cell(column) + " ";
  out += "|\n";
}

void markdown_table(std::string& out, const Table& table) {
  markdown_row(out, table.head);
  for (std::size_t i = 0; i < table.head.size(); ++i) out += "|---";
  out += "|\n";
  for (const Row& row : table.rows) markdown_row(out, row);
}

void text_row(std::string& out, const Row& row, const std::vector<std::size_t>& widths) {
  out += "  ";
  for (std::size_t i = 0; i < row.size(); ++i) {
    out += row[i];
    if (i + 1 < row.size()) out.append(widths[i] + 2 - row[i].size(), ' ');
  }
  out += '\n';
}

void text_table(std::string& out, const Table& table) {
  std::vector<std::size_t> widths(table.head.size());
  const auto widen = [&widths](const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  };
  widen(table.head);
  for (const Row& row : table.rows) widen(row);
  text_row(out, table.head, widths);
  for (const Row& row : table.rows) text_row(out, row, widths);
}

}  // namespace

std::string to_markdown(const Policy& policy) {
  std::string out = "# The sandbox of `" + policy.name + "`\n\n" + policy.title +
                    "\n\nMade from the policy that is enforced; do not edit. Rows of one call are read from the top; the first whose "
                    "condition holds decides.\n\n";
  markdown_table(out, statements_of(policy));
  for (const std::string& origin : origins_of(policy)) {
    out += "\n## " + heading(policy, origin) + "\n\n";
    markdown_table(out, calls_from(policy, origin));
  }
  return out;
}

std::string to_text(const Policy& policy) {
  std::string out = policy.title + "\n\n";
  text_table(out, statements_of(policy));
  for (const std::string& origin : origins_of(policy)) {
    out += "\n" + heading(policy, origin) + "\n";
    text_table(out, calls_from(policy, origin));
  }
  return out;
}

}  // namespace postern::sandbox
