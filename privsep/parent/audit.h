/// The running processes against their policies, this one included, for `posternctl audit`.
#pragma once

#include <cstdint>
#include <string>

#include "privsep/parent/supervisor.h"

namespace postern::privsep {

/// JSON {"clean":bool,"processes":[{"name","pid","checks","differences"}]}, the parent first. `outer_filters`: how many system call
/// filters this process was started under (a container's); its own stands on them, and each child's on that.
/// At most kAuditDifferences a process are named, the rest counted: what is found in a broken process may be without end.
std::string audit_json(const Supervisor& supervisor, std::int64_t outer_filters);

inline constexpr std::size_t kAuditDifferences = 8;
inline constexpr std::size_t kAuditDifferenceBytes = 240;  ///< of one difference

/// The first of `differences`, cut, and how many more there are.
std::vector<std::string> bounded_differences(const std::vector<std::string>& differences);

}  // namespace postern::privsep
