#include "queue/spool.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::queue {

Result<void> TextBody::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > text_.size() || out.size() > text_.size() - offset) return failure("spool.io", "read past the end of a body");
  if (!out.empty()) std::memcpy(out.data(), text_.data() + offset, out.size());
  return {};
}

Result<void> FileBody::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const auto n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return failure("spool.io", "the body could not be read");
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace postern::queue
