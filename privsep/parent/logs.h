/// Where log lines end: standard error (the journal), as logfmt or JSON, by spdlog. One line a record, written at once.
#pragma once

#include <memory>
#include <string_view>

#include "base/log.h"

namespace postern::privsep {

enum class LogFormat : std::uint8_t { logfmt, json };

class LogOutput {
 public:
  explicit LogOutput(LogFormat format);
  ~LogOutput();
  /// `line` is logfmt text made by base/log.h, possibly by another process: control characters in it are escaped again.
  void write(std::string_view process, Severity severity, std::string_view line);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace postern::privsep
