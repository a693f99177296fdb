#include "sandbox/landlock.h"

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/unique.h"

namespace postern::sandbox {
namespace {

// The headers of Debian 12 know version 2 (up to REFER); the later rights have these values in the kernel's interface.
constexpr std::uint64_t kTruncate = 1U << 14;        // version 3
constexpr std::uint64_t kIoctlDevice = 1U << 15;     // version 5
constexpr std::uint64_t kBindTcp = 1U << 0;          // version 4
constexpr std::uint64_t kConnectTcp = 1U << 1;       // version 4
constexpr std::uint64_t kScopeAbstractUnix = 1U << 0;  // version 6
constexpr std::uint64_t kScopeSignal = 1U << 1;        // version 6

/// struct landlock_ruleset_attr as it has grown; the size passed tells the kernel how much of it is meant.
struct RulesetAttributes {
  std::uint64_t files = 0;
  std::uint64_t network = 0;
  std::uint64_t scopes = 0;
};

std::size_t size_for(int version) {
  if (version >= 6) return sizeof(RulesetAttributes);
  return version >= 4 ? 2 * sizeof(std::uint64_t) : sizeof(std::uint64_t);
}

std::uint64_t file_rights(int version) {
  std::uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1U) - 1;  // all of version 1
  if (version >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3) rights |= kTruncate;
  if (version >= 5) rights |= kIoctlDevice;
  return rights;
}

std::uint64_t network_rights(Network network) {
  switch (network) {
    case Network::none:
    case Network::accept: return kBindTcp | kConnectTcp;
    case Network::connect: return kBindTcp;
    case Network::all: break;
  }
  return 0;
}

/// What may be done beneath a folder that was handed over: everything but running, and making devices, sockets and links.
constexpr std::uint64_t kBeneath = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                   LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                                   LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REFER | kTruncate;

tl::unexpected<Error> failed(std::string_view what) {
  return failure("sandbox.landlock", std::string(what) + ": " + std::strerror(errno));
}

}  // namespace

int landlock_version() {
  const long version = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version > 0 ? static_cast<int>(version) : 0;
}

Result<int> restrict_with_landlock(const Policy& policy, std::span<const int> folders) {
  const int version = landlock_version();
  if (version == 0) return failure("sandbox.landlock", "this kernel has no Landlock");
  RulesetAttributes attributes;
  if (policy.files != Files::all) attributes.files = file_rights(version);
  if (version >= 4) attributes.network = network_rights(policy.network);
  if (version >= 6 && policy.files != Files::all) attributes.scopes = kScopeAbstractUnix | kScopeSignal;
  if (attributes.files == 0 && attributes.network == 0) return version;  // the parent: nothing to restrict
  const Fd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size_for(version), 0)));
  if (!ruleset) return failed("making a ruleset");
  if (policy.files == Files::beneath) {
    for (const int folder : folders) {
      landlock_path_beneath_attr beneath{};
      beneath.allowed_access = kBeneath & attributes.files;
      beneath.parent_fd = folder;
      if (syscall(SYS_landlock_add_rule, ruleset.get(), LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0) return failed("adding a folder");
    }
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return failed("restricting this process");
  return version;
}

}  // namespace postern::sandbox
