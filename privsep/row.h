/// A row of the message table: everything that is checked before a handler runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "privsep/role.h"

namespace postern::privsep {

/// What file descriptor a frame carries. A frame with one it should not have, or without one it should, is a breach.
enum class Descriptor : std::uint8_t {
  none = 0,
  required = 1,  ///< exactly one; the handler checks its kind (seals, socket type)
  optional = 2,  ///< none or one
};

/// tell: needs no answer · request: answered exactly once by the row named in `answer` · answer: only to an open request.
enum class Kind : std::uint8_t { tell = 0, request = 1, answer = 2 };

/// When a row may be used: start = before the receiver has locked itself, running = after, any = both.
enum class Phase : std::uint8_t { start = 0, running = 1, any = 2 };

struct Row {
  std::uint16_t number = 0;   ///< on the wire; never used again for something else
  std::string_view name;
  Roles from;
  Roles to;
  std::size_t max_bytes = 0;  ///< of the payload
  Descriptor descriptor = Descriptor::none;
  Kind kind = Kind::tell;
  std::string_view answer = {};  ///< for a request: the name of the row that answers it
  Phase phase = Phase::running;
  std::string_view purpose = {};  ///< one line, for people
  bool secret = false;            ///< carries keys or passwords: overwritten in memory once it was sent, and once it was handled
};

}  // namespace postern::privsep
