/// What a process says of itself: an event in words and its facts as key and value. One id follows a message through every
/// process (key "id"). Values are escaped here; callers pass foreign text as it is. No body and no credential is logged.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace postern {

/// debug: for developers · info: what happened · notice: an operator should see it · warning: degraded, acts by itself ·
/// error: needs a person.
enum class Severity : std::uint8_t { debug = 0, info = 1, notice = 2, warning = 3, error = 4 };

std::string_view name_of(Severity severity);

/// One fact of a log line.
struct Field {
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <class N>
    requires std::is_arithmetic_v<N>
  Field(std::string_view k, N v) : key(k), value(std::to_string(v)) {}
  std::string key;
  std::string value;
};

class Log {
 public:
  /// Takes a finished record: severity, and logfmt text `event="…" key=value …`, escaped, one line, no newline.
  using Sink = std::function<void(Severity, std::string_view)>;

  Log(Sink sink, Severity least) : sink_(std::move(sink)), least_(least) {}

  void write(Severity severity, std::string_view event, std::initializer_list<Field> fields = {}) const;
  void debug(std::string_view event, std::initializer_list<Field> f = {}) const { write(Severity::debug, event, f); }
  void info(std::string_view event, std::initializer_list<Field> f = {}) const { write(Severity::info, event, f); }
  void notice(std::string_view event, std::initializer_list<Field> f = {}) const { write(Severity::notice, event, f); }
  void warning(std::string_view event, std::initializer_list<Field> f = {}) const { write(Severity::warning, event, f); }
  void error(std::string_view event, std::initializer_list<Field> f = {}) const { write(Severity::error, event, f); }

 private:
  Sink sink_;
  Severity least_;
};

/// `value` as logfmt wants it: bare when it is plain, otherwise quoted with everything odd escaped.
std::string logfmt_value(std::string_view value);

}  // namespace postern
