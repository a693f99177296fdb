/// Bounds of the policy text and of what is read from /proc. All are far above what the real ones need.
#pragma once

#include <cstddef>

namespace postern::sandbox::limits {

inline constexpr std::size_t kPolicyBytes = 64 * 1024;  ///< of one policy text
inline constexpr std::size_t kPolicyLines = 1000;       ///< of one policy text
inline constexpr std::size_t kPolicyIncludes = 4;       ///< include lines of one policy; an included text may not include
inline constexpr std::size_t kWhyBytes = 200;           ///< a reason is a line, not an essay
inline constexpr std::size_t kClauses = 4;              ///< joined by "and" in one condition
inline constexpr std::size_t kValues = 16;              ///< alternatives behind one "="
inline constexpr std::size_t kProcBytes = 256 * 1024;   ///< of one file under /proc/PID
inline constexpr std::size_t kDescriptors = 100'000;    ///< open files looked at in an audit

}  // namespace postern::sandbox::limits
