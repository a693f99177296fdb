#include "privsep/control/posternctl/config_manual.h"

#include "privsep/config_table.h"

namespace postern::posternctl {

using namespace privsep;

namespace {

/// Text as troff shows it: hyphens are minus signs, backslashes themselves, and no line begins with a request.
std::string troff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (out.empty() && (c == '.' || c == '\'')) out += "\\&";
    if (c == '-')
      out += "\\-";
    else if (c == '\\')
      out += "\\e";
    else
      out += c;
  }
  return out;
}

std::string bounds(const ConfigRow& row, std::string_view unit) {
  std::string out = " from " + std::to_string(row.least);
  if (row.most != 0) out += " to " + std::to_string(row.most);
  return out + std::string(unit) + (row.most == 0 ? " up" : "");
}

std::string values_of(const ConfigRow& row) {
  switch (row.kind) {
    case ValueKind::text: return row.most != 0 ? "a text of at most " + std::to_string(row.most) + " bytes" : "a text";
    case ValueKind::choice: {
      std::string out = "one of";
      for (const char c : "|" + std::string(row.choices)) out += c == '|' ? std::string(out == "one of" ? " " : ", ") : std::string(1, c);
      return out;
    }
    case ValueKind::integer: return "a whole number" + bounds(row, "");
    case ValueKind::size: return "a size" + bounds(row, " bytes");
    case ValueKind::duration: return "a duration" + bounds(row, " seconds");
    case ValueKind::flag: return "true or false";
    case ValueKind::endpoints: return "a list of addresses with ports";
    case ValueKind::prefixes: return "a list of networks (CIDR)";
    case ValueKind::texts: return "a list of texts";
    case ValueKind::routes: return "a list of routes";
    case ValueKind::tls_levels: return "a list of DOMAIN=LEVEL, the level one of opportunistic, required, verified, dane-only";
    case ValueKind::tls_exceptions: return "a list of \"DOMAIN=LEVEL until YYYY-MM-DD: REASON\"";
    case ValueKind::durations: return "a list of durations";
    case ValueKind::path: return "an absolute path, or empty";
  }
  return "";
}

std::string receivers_of(const ConfigRow& row) {
  if (row.receivers == kChildren) return "every process";
  std::string out;
  for (const Role role : kRoles)
    if (row.receivers.has(role)) out += (out.empty() ? "" : ", ") + std::string(name_of(role));
  return out.empty() ? "the parent alone" : out;
}

constexpr std::string_view kHead =
    R"(.\" Made from the table of configuration keys by "posternctl config man"; do not edit.
.TH POSTERN.TOML 5 "" "Postern" "Postern"
.SH NAME
postern.toml \- configuration of the Postern mail server
.SH DESCRIPTION
.I postern.toml
holds facts about the machine: addresses, folders, limits.
Domains, accounts and aliases are not in it; they are managed while the server runs, with
.BR posternctl (8).
.PP
The file is TOML. Keys stand in sections; every key has a default and may be left out. An unknown section or key, or a
value out of its range, is an error that names file, line, key and what is expected, and nothing starts.
.PP
A
.I size
is written 25MiB, 64KiB, 10GiB or as a plain number of bytes. A
.I duration
is written 30s, 5m, 4h, 5d or as a plain number of seconds. An
.I address with port
is written "192.0.2.1:25" or "[2001:db8::1]:25".
.PP
The parent reads the file and gives each process the keys it needs, and no other; each key below says who gets it.
.B posternctl reload
puts a changed file in force; keys of sockets, folders, users and numbers of processes take effect at the next start, and the
log says so.
)";

constexpr std::string_view kTail = R"(.SH FILES
.TP
.I /etc/postern/postern.toml
The configuration.
.SH SEE ALSO
.BR postern (8),
.BR posternctl (8)
)";

}  // namespace

std::string config_manual() {
  std::string out(kHead);
  std::string section;
  for (const ConfigRow& row : config_rows()) {
    const auto dot = row.key.find('.');
    const std::string row_section(row.key.substr(0, dot));
    if (row_section != section) out += ".SH [" + troff(row_section) + "]\n";
    section = row_section;
    out += ".TP\n.B " + troff(row.key.substr(dot + 1)) + "\n" + troff(row.help) + "\n.br\n";
    out += "Value: " + troff(values_of(row)) + ".\n.br\n";
    out += "Default: " + (row.default_value.empty() ? std::string("empty") : troff(row.default_value)) + ".\n.br\n";
    out += "Given to: " + troff(receivers_of(row)) + ".\n";
  }
  return out + std::string(kTail);
}

}  // namespace postern::posternctl
