/// The arguments of system calls that a policy may speak of, and the names of their values.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace postern::sandbox {

/// Number of arguments a system call can have.
inline constexpr unsigned kArguments = 6;

struct Constant {
  std::string_view name;  ///< as a policy writes it: without its prefix ("EXEC" for PROT_EXEC)
  std::uint64_t value;
};

/// One argument of one system call.
struct Argument {
  std::string_view call;
  std::string_view name;
  unsigned index;  ///< from 0
  unsigned bits;   ///< 32 or 64: how much of the register the kernel looks at
  std::span<const Constant> values;
};

/// The argument `name` of `call`, or nullptr where no policy may speak of it. Lives for ever.
const Argument* find_argument(std::string_view call, std::string_view name);

/// A value by its name in `argument`, or a plain decimal number.
std::optional<std::uint64_t> value_named(const Argument& argument, std::string_view name);

}  // namespace postern::sandbox
