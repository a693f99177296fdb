#include "privsep/control/posternctl/command.h"

#include <cstdio>

#include "base/text.h"

namespace postern::posternctl {

int complain(std::string_view message) {
  std::fprintf(stderr, "posternctl: %s\n", text::printable(message, 1000).c_str());
  return kError;
}

int print_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  return std::fflush(stdout) == 0 ? kOk : complain("cannot write to stdout");
}

int print(const Result<std::string>& text) {
  if (!text) return complain(text.error().message);
  std::printf("%s\n", text->c_str());
  return std::fflush(stdout) == 0 ? kOk : complain("cannot write to stdout");
}

}  // namespace postern::posternctl
