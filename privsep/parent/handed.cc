#include "privsep/parent/handed.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/text.h"
#include "io/listen.h"

namespace postern::privsep {

namespace {

constexpr int kBacklog = 4096;

tl::unexpected<Error> system_error(std::string_view code, const std::string& what) {
  return failure(code, what + ": " + std::strerror(errno));
}

/// Makes a folder and those above it. Existing ones stay as they are.
Result<void> make_folders(const std::string& path, mode_t mode) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) return system_error("start.folder", path.substr(0, slash));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_error("start.folder", path);
  return {};
}

Result<Fd> open_folder(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return system_error("start.folder", path);
  return fd;
}

Result<OpenedFile> state_folder(const HandedRow& row, const Settings& settings, bool privileged) {
  const std::string path = settings.get("server.state_dir") + "/" + std::string(row.source);
  TRY(make_folders(path, 0700));
  TRY_ASSIGN(Fd fd, open_folder(path));
  if (privileged) {
    TRY_ASSIGN(const UserIds ids, find_user(settings.get("server.user_prefix") + std::string(process_row(row.role).user)));
    if (::fchown(fd.get(), ids.uid, ids.gid) != 0) return system_error("start.folder", path);
  }
  if (::fchmod(fd.get(), 0700) != 0) return system_error("start.folder", path);
  return OpenedFile{row.role, std::string(row.name), path, std::move(fd)};
}

Result<OpenedFile> control_socket(const HandedRow& row, const Settings& settings) {
  const std::string folder = settings.get("server.run_dir");
  TRY(make_folders(folder, 0755));
  const std::string path = folder + "/" + std::string(row.source);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("start.listen", path + ": longer than a socket's name may be");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return system_error("start.listen", path);
  ::unlink(path.c_str());  // of an earlier daemon: the lock on the state folder says that it has ended
  // Who may connect is the kernel's question: the owner and root.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
      ::listen(fd.get(), 64) != 0)
    return system_error("start.listen", path);
  return OpenedFile{row.role, std::string(row.name), path, std::move(fd)};
}

}  // namespace

Result<UserIds> find_user(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr)
    return failure("start.user", "there is no user " + name + "; make it with: useradd --system --no-create-home --shell /usr/sbin/nologin " + name);
  return UserIds{entry->pw_uid, entry->pw_gid};
}

Result<Fd> lock_state_folder(const Settings& settings) {
  const std::string& folder = settings.get("server.state_dir");
  TRY(make_folders(folder, 0755));
  const std::string path = folder + "/postern.lock";
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return system_error("start.lock", path);
  char pid[24] = {};
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("start.lock", path);
    const ssize_t length = ::pread(file.get(), pid, sizeof pid, 0);
    const std::string_view other = text::trim(std::string_view(pid, length > 0 ? static_cast<std::size_t>(length) : 0));
    return failure("start.lock", "server.state_dir " + folder + " is in use by another postern" +
                                     (other.empty() ? "" : ", pid " + text::printable(other)) + "; end that one, or give this one a state_dir of its own");
  }
  const std::string own = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), own.data(), own.size(), 0) != static_cast<ssize_t>(own.size()))
    return system_error("start.lock", path);
  return file;
}

Result<std::vector<OpenedFile>> open_handed(const Settings& settings, bool privileged) {
  std::vector<OpenedFile> out;
  for (const HandedRow& row : handed_rows()) {
    switch (row.what) {
      case Handed::state_folder: {
        TRY_ASSIGN(OpenedFile opened, state_folder(row, settings, privileged));
        out.push_back(std::move(opened));
        break;
      }
      case Handed::listen_sockets:
        for (const std::string& text : settings.list(row.source)) {
          const auto endpoint = io::Endpoint::parse(text);
          if (!endpoint) return failure("start.listen", text);
          auto socket = io::listen_tcp(*endpoint, kBacklog);
          if (!socket) return within(row.source, socket.error());
          const auto bound = io::local_endpoint(socket->get());
          out.push_back({row.role, std::string(row.name), bound ? bound->to_string() : text, *std::move(socket)});
        }
        break;
      case Handed::control_socket: {
        TRY_ASSIGN(OpenedFile opened, control_socket(row, settings));
        out.push_back(std::move(opened));
        break;
      }
      case Handed::file: {
        const std::string& path = settings.get(row.source);
        if (path.empty()) break;
        Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!fd) return system_error("start.file", std::string(row.source) + " = " + path);
        out.push_back({row.role, std::string(row.name), path, std::move(fd)});
        break;
      }
      case Handed::folder: {
        const std::string& path = settings.get(row.source);
        if (path.empty()) break;
        TRY(make_folders(path, 0700));
        TRY_ASSIGN(Fd fd, open_folder(path));
        if (privileged) {
          TRY_ASSIGN(const UserIds ids, find_user(settings.get("server.user_prefix") + std::string(process_row(row.role).user)));
          if (::fchown(fd.get(), ids.uid, ids.gid) != 0) return system_error("start.folder", path);
        }
        out.push_back({row.role, std::string(row.name), path, std::move(fd)});
        break;
      }
    }
  }
  return out;
}

}  // namespace postern::privsep
