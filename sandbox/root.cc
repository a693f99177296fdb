#include "sandbox/root.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::sandbox {
namespace {

// Any folder will do as the place to hang the new root: the mount is seen in this process's namespace only. This one every
// Linux system has.
constexpr const char* kPlace = "/run";
constexpr const char* kOptions = "size=4k,nr_inodes=2,mode=0555";
constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;

tl::unexpected<Error> failed(std::string_view code, std::string_view what) {
  return failure(code, std::string(what) + ": " + std::strerror(errno));
}

Result<std::string> leave_old_root() {
  // pivot_root(".", ".") stacks the old root on the new one; unmounting "." then takes the old one away.
  if (syscall(SYS_pivot_root, ".", ".") == 0) {
    if (umount2(".", MNT_DETACH) != 0) return failed("sandbox.root", "letting go of the old root");
    return "pivot_root";
  }
  if (errno != EINVAL) return failed("sandbox.root", "pivot_root");
  if (chroot(".") != 0) return failed("sandbox.root", "chroot");  // the host's root is the initial ramfs
  return "chroot";
}

}  // namespace

Result<Fd> open_confined_folder(const std::string& path, FolderUse use) {
  Fd folder(static_cast<int>(syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW)));
  if (!folder) return failed("sandbox.folder", path);
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
  if (use == FolderUse::read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, folder.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0) return failed("sandbox.folder", path);
  // open_tree gives a path descriptor; reading the folder and syncing it need a real one.
  Fd opened(openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!opened) return failed("sandbox.folder", path);
  return opened;
}

Result<std::string> enter_empty_root() {
  if (unshare(CLONE_NEWNS) != 0) return failed("sandbox.root", "a mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    if (errno == EINVAL) return failure("sandbox.root", "the root folder is not a mount (a plain chroot?): bind it to itself first, `mount --bind ROOT ROOT`");
    return failed("sandbox.root", "keeping mounts to itself");
  }
  if (mount("none", kPlace, "tmpfs", kFlags, kOptions) != 0) return failed("sandbox.root", "an empty tmpfs");
  if (chdir(kPlace) != 0) return failed("sandbox.root", "chdir");
  TRY_ASSIGN(std::string way, leave_old_root());
  if (chdir("/") != 0) return failed("sandbox.root", "chdir");
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY | kFlags, kOptions) != 0) return failed("sandbox.root", "making it read-only");
  return way;
}

}  // namespace postern::sandbox
