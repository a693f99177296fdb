/// Where raw mail goes: a new file, a pipe, or a terminal, which must not obey what a stranger wrote.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique.h"

namespace postern::posternctl {

class RawOutput {
 public:
  /// A new file, mode 0600. Errors: "output.file" (it exists, or cannot be made).
  static Result<RawOutput> to_file(const std::string& path);
  /// Standard output: bytes as they are, but escaped line by line where it is a terminal.
  static RawOutput to_stdout();
  static RawOutput to_nowhere() { return RawOutput(Kind::nowhere, Fd()); }

  /// Errors: "output.write".
  Result<void> write(std::string_view bytes);
  /// The rest of the last line. Errors: "output.write".
  Result<void> finish();

 private:
  enum class Kind { nowhere, file, pipe, terminal };
  RawOutput(Kind kind, Fd file) : kind_(kind), file_(std::move(file)) {}
  Result<void> put_line();
  Result<void> put(std::string_view bytes) const;

  Kind kind_;
  Fd file_;
  std::string line_;
};

}  // namespace postern::posternctl
