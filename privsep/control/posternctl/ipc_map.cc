#include "privsep/control/posternctl/ipc_map.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "privsep/control/posternctl/show.h"
#include "privsep/message_table.h"

namespace postern::posternctl {

using namespace privsep;

namespace {

std::string_view word_of(Kind kind) {
  switch (kind) {
    case Kind::tell: return "tell";
    case Kind::request: return "request";
    case Kind::answer: return "answer";
  }
  return "";
}
std::string_view word_of(Descriptor descriptor) {
  switch (descriptor) {
    case Descriptor::none: return "none";
    case Descriptor::required: return "one";
    case Descriptor::optional: return "none or one";
  }
  return "";
}
std::string_view word_of(Phase phase) {
  switch (phase) {
    case Phase::start: return "start";
    case Phase::running: return "running";
    case Phase::any: return "any";
  }
  return "";
}

std::vector<std::string> names_of(Roles roles) {
  std::vector<std::string> names;
  for (const Role role : kRoles)
    if (roles.has(role)) names.emplace_back(name_of(role));
  return names;
}

std::string words_of(Roles roles) {
  if (roles == kChildren) return "every child";
  std::string out;
  for (const std::string& name : names_of(roles)) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string number_of(const Row& row) { return fmt::format("0x{:02X}", row.number); }

/// "request → answer-name" or the plain kind.
std::string kind_of(const Row& row) {
  return std::string(word_of(row.kind)) + (row.answer.empty() ? "" : " of " + std::string(row.answer));
}

std::string channels_markdown() {
  std::string out = "| |";
  for (const Role role : kRoles) out += " " + std::string(name_of(role)) + " |";
  out += "\n|---|";
  for (std::size_t i = 0; i < kRoles.size(); ++i) out += "---|";
  out += "\n";
  for (const Role row : kRoles) {
    out += "| " + std::string(name_of(row)) + " |";
    for (const Role column : kRoles) out += row != column && have_channel(row, column) ? " x |" : "  |";
    out += "\n";
  }
  return out;
}

}  // namespace

std::string ipc_table() {
  constexpr std::string_view kHeadings[] = {"NUMBER", "MESSAGE", "FROM", "TO", "MOST BYTES", "DESCRIPTOR", "KIND", "PHASE"};
  std::vector<std::vector<std::string>> rows;
  for (const Row& row : kRows)
    rows.push_back({number_of(row), std::string(row.name), words_of(row.from), words_of(row.to), std::to_string(row.max_bytes),
                    std::string(word_of(row.descriptor)), kind_of(row), std::string(word_of(row.phase))});
  return table(kHeadings, rows);
}

std::string ipc_json() {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : kRows)
    rows.push_back({{"number", row.number}, {"name", row.name}, {"from", names_of(row.from)}, {"to", names_of(row.to)},
                    {"max_bytes", row.max_bytes}, {"descriptor", word_of(row.descriptor)}, {"kind", word_of(row.kind)},
                    {"answer", row.answer}, {"phase", word_of(row.phase)}, {"purpose", row.purpose}});
  return rows.dump();
}

std::string ipc_markdown() {
  std::string out =
      "# Who may say what to whom\n\n"
      "Made from the table that is enforced (`posternctl ipc --markdown`); do not edit. Before any handler runs, a frame's sender, receiver,\n"
      "number, size, descriptor and phase are compared with its row. A frame that breaks its row ends its sender, and nobody else.\n\n"
      "| number | message | from | to | most bytes | descriptor | kind | phase | purpose |\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const Row& row : kRows)
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", number_of(row), row.name, words_of(row.from), words_of(row.to),
                       row.max_bytes, word_of(row.descriptor), kind_of(row), word_of(row.phase), row.purpose);
  out += "\n## Channels\n\nTwo processes share a channel where a row lets one speak to the other; all other pairs have none.\n\n";
  return out + channels_markdown();
}

}  // namespace postern::posternctl
