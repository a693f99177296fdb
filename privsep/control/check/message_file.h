/// A message from a file, as the `check` commands take it.
#pragma once

#include <string>

#include "base/result.h"

namespace postern::check {

/// More than any message we accept; a larger file is refused.
inline constexpr std::size_t kMessageFileBytes = 128 * 1024 * 1024;

/// The file's bytes with every bare LF made a CRLF (DESIGN §8). Errors: "check.file".
Result<std::string> read_message_file(const std::string& path);

}  // namespace postern::check
