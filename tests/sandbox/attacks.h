/// What somebody would try who has taken over a process: one row an attempt, and what must become of it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "tests/sandbox/handed.h"

namespace postern::probe {

enum class Fate : unsigned char {
  blocked,  ///< the process ends, and its last words name the call
  refused,  ///< the call fails with an errno; the process goes on
  killed,   ///< the kernel ends the process without last words (foreign system call tables)
  allowed,  ///< the policy grants it; the row that says so is named in the test
};

struct Expected {
  Fate fate = Fate::blocked;
  int error = 0;  ///< for refused
};
inline constexpr Expected kBlocked{Fate::blocked, 0};
constexpr Expected refused(int error) { return {Fate::refused, error}; }

struct Attack {
  std::string_view name;
  long call;          ///< the system call at which it ends where it is blocked
  Expected expected;  ///< in every role that the test names no exception for
  /// The attempt. Returns what the call returns; errno is set where that is -1.
  std::function<long(const Handed&, const std::string& scratch)> run;
};

std::span<const Attack> attacks();
const Attack* attack_named(std::string_view name);

}  // namespace postern::probe
