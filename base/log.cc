#include "base/log.h"

#include "base/text.h"

namespace postern {

namespace {
constexpr std::size_t kValueBytes = 512;  // one value in a log line; longer ones are cut
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::debug: return "debug";
    case Severity::info: return "info";
    case Severity::notice: return "notice";
    case Severity::warning: return "warning";
    case Severity::error: return "error";
  }
  return "error";
}

std::string logfmt_value(std::string_view value) {
  const std::string safe = text::printable(value, kValueBytes);
  if (!safe.empty() && safe.find_first_of(" =\"") == std::string::npos) return safe;
  std::string quoted = "\"";
  for (char c : safe) {
    if (c == '"') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

void Log::write(Severity severity, std::string_view event, std::initializer_list<Field> fields) const {
  if (severity < least_) return;
  std::string line = "event=" + logfmt_value(event);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    line += logfmt_value(field.value);
  }
  sink_(severity, line);
}

}  // namespace postern
