#include "tests/sandbox/handed.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sandbox/root.h"

namespace postern::probe {
namespace {

tl::unexpected<Error> failed(std::string_view what) { return failure("probe.setup", std::string(what) + ": " + std::strerror(errno)); }

constexpr int kBodyBytes = 4096;

Result<void> make_memory(Handed& handed) {
  handed.memfd = Fd(memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!handed.memfd || ftruncate(handed.memfd.get(), kBodyBytes) != 0) return failed("memfd");
  if (fcntl(handed.memfd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) return failed("seals");
  return {};
}

Result<void> make_sockets(Handed& handed) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return failed("socketpair");
  handed.pair[0] = Fd(pair[0]);
  handed.pair[1] = Fd(pair[1]);
  handed.unconnected = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  handed.listening = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  handed.client = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(handed.listening.get(), generic, length) != 0 || listen(handed.listening.get(), 8) != 0) return failed("listen");
  if (getsockname(handed.listening.get(), generic, &length) != 0) return failed("getsockname");
  if (connect(handed.client.get(), generic, length) != 0) return failed("connect");
  handed.port = ntohs(address.sin_port);
  return {};
}

Result<void> make_files(Handed& handed, const std::string& scratch) {
  if (handed.role == "queue" || handed.role == "mailbox") {
    handed.file = Fd(open((scratch + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!handed.file) return failed("file");
  }
  if (handed.role == "mailbox" || handed.role == "signer") {
    TRY_ASSIGN(handed.folder, sandbox::open_confined_folder(scratch + "/folder", sandbox::FolderUse::read_write));
  }
  return {};
}

}  // namespace

Result<Handed> hand_over(const std::string& role, const std::string& scratch) {
  Handed handed;
  handed.role = role;
  handed.victim = getppid();
  TRY(make_memory(handed));
  TRY(make_sockets(handed));
  TRY(make_files(handed, scratch));
  return handed;
}

std::string victim_abstract(const std::string& scratch) { return std::string(1, '\0') + scratch; }

}  // namespace postern::probe
