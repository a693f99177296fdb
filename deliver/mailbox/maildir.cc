#include "deliver/mailbox/maildir.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "base/crypto.h"
#include "base/text.h"
#include "deliver/mailbox/limits.h"

namespace postern::mailbox {

namespace {

constexpr mode_t kFolderMode = 0700, kFileMode = 0600;

Fd open_beneath(const Fd& folder, const char* name, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, folder.get(), name, &how, sizeof(how))));
}

tl::unexpected<Error> system_failure(std::string_view code, std::string_view what, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  return failure(full ? "maildir.full" : code, std::string(what) + ": " + std::strerror(error));
}

/// Opens the folder `name` in `parent`, made where it is missing.
Result<Fd> open_or_make(const Fd& parent, const char* name) {
  Fd fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0);
  if (fd) return fd;
  if (errno != ENOENT) return system_failure("maildir.open", name, errno);
  if (::mkdirat(parent.get(), name, kFolderMode) != 0 && errno != EEXIST) return system_failure("maildir.open", name, errno);
  fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0);
  if (!fd) return system_failure("maildir.open", name, errno);
  if (::fsync(parent.get()) != 0) return system_failure("maildir.open", name, errno);
  return fd;
}

bool is_component(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' && name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
}

Result<void> write_all(const Fd& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_failure("maildir.write", "write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

/// Whether a reader has moved `name` into cur: there it is called NAME or NAME:FLAGS.
Result<bool> is_in_cur(const Fd& cur, const std::string& name) {
  Fd again = open_beneath(cur, ".", O_RDONLY | O_DIRECTORY, 0);  // its own place in the listing
  std::unique_ptr<DIR, CloseDir> dir(again ? ::fdopendir(again.get()) : nullptr);
  if (!dir) return system_failure("maildir.open", "cur", errno);
  (void)again.release();
  for (std::size_t count = 0; count < limits::kCurEntries; ++count) {
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) return false;
    const std::string_view found(entry->d_name);
    if (found.starts_with(name) && (found.size() == name.size() || found[name.size()] == ':')) return true;
  }
  return false;
}

}  // namespace

std::string maildir_file_name(const DeliveryKey& key, WallTime received, std::string_view host) {
  const auto milliseconds = std::max<std::int64_t>(0, received.time_since_epoch().count());
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), "%lld.M%03lldE%016llxQ%llx", static_cast<long long>(milliseconds / 1000),
                static_cast<long long>(milliseconds % 1000), static_cast<unsigned long long>(key.epoch),
                static_cast<unsigned long long>(key.number));
  std::string name(text.data());
  name += "R" + crypto::hex(ByteView(crypto::sha256(bytes_of(key.recipient))).first(8)) + ".";
  for (const char c : host.substr(0, 64)) name += text::is_alpha(c) || text::is_digit(c) || c == '.' || c == '-' ? c : '_';
  return name;
}

std::string with_unix_line_ends(std::string_view trace, const MessageBytes& bytes) {
  std::string out;
  out.reserve(trace.size() + bytes.size());
  out.append(trace);
  for (const auto piece : bytes.pieces()) out.append(piece);
  std::size_t to = out.find('\r');
  if (to == std::string::npos) return out;
  for (std::size_t from = to; from < out.size(); ++from)
    if (out[from] != '\r' || from + 1 == out.size() || out[from + 1] != '\n') out[to++] = out[from];
  out.resize(to);
  return out;
}

Result<MaildirFolder> MaildirFolder::open(const Fd& root, const std::string& folder, bool junk) {
  if (!is_component(folder)) return failure("maildir.name", text::printable(folder) + " is not one name");
  TRY_ASSIGN(Fd home, open_or_make(root, folder.c_str()));
  if (junk) {
    TRY_ASSIGN(home, open_or_make(home, ".Junk"));
    // Maildir++ marks a subfolder by this empty file; it may be there already.
    const Fd mark = open_beneath(home, "maildirfolder", O_WRONLY | O_CREAT | O_EXCL, kFileMode);
  }
  MaildirFolder opened;
  TRY_ASSIGN(opened.tmp_, open_or_make(home, "tmp"));
  TRY_ASSIGN(opened.new_, open_or_make(home, "new"));
  TRY_ASSIGN(opened.cur_, open_or_make(home, "cur"));
  return opened;
}

Result<bool> MaildirFolder::has(const std::string& name) const {
  // new before cur: a reader moves in that direction, so it cannot slip past.
  if (open_beneath(new_, name.c_str(), O_PATH, 0)) return true;
  if (errno != ENOENT) return system_failure("maildir.open", name, errno);
  return is_in_cur(cur_, name);
}

Result<void> MaildirFolder::write(const MaildirMessage& message) const {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL;
  Fd file = open_beneath(tmp_, message.name.c_str(), kFlags, kFileMode);
  if (!file && errno == EEXIST) {  // left by a crash: the name is ours alone
    ::unlinkat(tmp_.get(), message.name.c_str(), 0);
    file = open_beneath(tmp_, message.name.c_str(), kFlags, kFileMode);
  }
  if (!file) return system_failure("maildir.write", "tmp", errno);
  auto written = write_all(file, with_unix_line_ends(message.trace, *message.bytes));
  if (written && ::fdatasync(file.get()) != 0) written = system_failure("maildir.write", "sync", errno);
  if (!written) ::unlinkat(tmp_.get(), message.name.c_str(), 0);
  return written;
}

Result<bool> MaildirFolder::publish(const std::string& name) const {
  if (::renameat2(tmp_.get(), name.c_str(), new_.get(), name.c_str(), RENAME_NOREPLACE) == 0) return true;
  const int error = errno;
  ::unlinkat(tmp_.get(), name.c_str(), 0);
  if (error == EEXIST) return false;
  return system_failure("maildir.write", "new", error);
}

Result<void> MaildirFolder::sync() const {
  if (::fsync(new_.get()) != 0) return system_failure("maildir.write", "sync of new", errno);
  return {};
}

}  // namespace postern::mailbox
