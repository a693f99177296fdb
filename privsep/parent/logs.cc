#include "privsep/parent/logs.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>

#include "base/text.h"

namespace postern::privsep {

namespace {

constexpr std::size_t kLineBytes = 8192;

/// Splits logfmt text into a JSON object: key=value or key="quoted value".
nlohmann::json fields_of(std::string_view line) {
  nlohmann::json out = nlohmann::json::object();
  while (!line.empty()) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) break;
    const std::string key(text::trim(line.substr(0, equals)));
    line.remove_prefix(equals + 1);
    std::string value;
    if (line.starts_with('"')) {
      std::size_t i = 1;
      for (; i < line.size() && line[i] != '"'; ++i) {
        if (line[i] == '\\' && i + 1 < line.size() && line[i + 1] == '"') ++i;
        value += line[i];
      }
      line.remove_prefix(std::min(i + 1, line.size()));
    } else {
      const auto end = std::min(line.find(' '), line.size());
      value = line.substr(0, end);
      line.remove_prefix(end);
    }
    out[key] = value;
  }
  return out;
}

spdlog::level::level_enum level_of(Severity severity) {
  switch (severity) {
    case Severity::debug: return spdlog::level::debug;
    case Severity::info:
    case Severity::notice: return spdlog::level::info;
    case Severity::warning: return spdlog::level::warn;
    case Severity::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

/// A child escapes what it logs, but a child may be broken into: no control character of its making reaches a terminal.
std::string without_controls(std::string_view line) {
  std::string out;
  for (char c : line.substr(0, kLineBytes)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  return out;
}

}  // namespace

struct LogOutput::Impl {
  LogFormat format;
  spdlog::logger logger;
};

LogOutput::LogOutput(LogFormat format)
    : impl_(new Impl{format, spdlog::logger("postern", std::make_shared<spdlog::sinks::stderr_sink_st>())}) {
  impl_->logger.set_level(spdlog::level::debug);
  impl_->logger.set_pattern(format == LogFormat::json ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %v");
}

LogOutput::~LogOutput() = default;

void LogOutput::write(std::string_view process, Severity severity, std::string_view line) {
  const std::string clean = without_controls(line);
  if (impl_->format == LogFormat::logfmt) {
    impl_->logger.log(level_of(severity), "level={} process={} {}", name_of(severity), process, clean);
    return;
  }
  nlohmann::json record = fields_of(clean);
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  record["time"] = now;
  record["level"] = name_of(severity);
  record["process"] = process;
  impl_->logger.log(level_of(severity), "{}", record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace postern::privsep
