#include "io/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace postern::io {

namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr unsigned kNoExecSeal = 0x0008U;  // MFD_NOEXEC_SEAL, Linux 6.3; Debian 12's headers do not have it

tl::unexpected<Error> io_error(const char* what) { return failure("memfd.io", std::string(what) + ": " + std::strerror(errno)); }

}  // namespace

Result<MemfdWriter> MemfdWriter::create(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  Fd fd(::memfd_create(name, kFlags | kNoExecSeal));
  if (!fd && errno == EINVAL) fd = Fd(::memfd_create(name, kFlags));
  if (!fd) return io_error("memfd_create");
  return MemfdWriter(std::move(fd));
}

Result<void> MemfdWriter::append(ByteView data) {
  while (!data.empty()) {
    const ssize_t wrote = ::write(fd_.get(), data.data(), data.size());
    if (wrote < 0) {
      if (errno == EINTR) continue;
      return io_error("write");
    }
    size_ += static_cast<std::size_t>(wrote);
    data = data.subspan(static_cast<std::size_t>(wrote));
  }
  return {};
}

Result<Fd> MemfdWriter::seal() && {
  if (::fcntl(fd_.get(), F_ADD_SEALS, kSeals) != 0) return io_error("F_ADD_SEALS");
  return std::move(fd_);
}

Result<Fd> sealed_memfd(const char* name, ByteView data) {
  TRY_ASSIGN(auto writer, MemfdWriter::create(name));
  TRY(writer.append(data));
  return std::move(writer).seal();
}

Result<void> check_sealed(const Fd& fd, std::uint64_t announced, std::uint64_t limit) {
  // Only memory files know seals at all: pipes, sockets and files of a disk fail here.
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return failure("memfd.unsealed", "not a sealed memory file");
  struct stat status;
  if (::fstat(fd.get(), &status) != 0) return io_error("fstat");
  if (status.st_size < 0 || static_cast<std::uint64_t>(status.st_size) != announced || announced > limit)
    return failure("memfd.size", "size " + std::to_string(status.st_size) + ", announced " + std::to_string(announced) + ", limit " +
                                     std::to_string(limit));
  return {};
}

namespace {

Result<void> read_all(const Fd& fd, std::byte* out, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd.get(), out + done, size - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("pread");
    if (got == 0) return failure("memfd.io", "shorter than its size");
    done += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace

Result<SealedBody> SealedBody::open(const Fd& fd, std::uint64_t announced, std::uint64_t limit) {
  TRY(check_sealed(fd, announced, limit));
  SealedBody body;
  if (announced < kCopiedBodyBytes) {
    body.copy_.reset(new std::byte[announced]);  // not zeroed first, as make_unique would
    TRY(read_all(fd, body.copy_.get(), announced));
    body.data_ = body.copy_.get();
  } else {
    void* at = ::mmap(nullptr, announced, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (at == MAP_FAILED) return failure("memfd.map", std::string("mmap: ") + std::strerror(errno));
    body.data_ = static_cast<const std::byte*>(at);
  }
  body.size_ = announced;
  return body;
}

void SealedBody::drop() noexcept {
  if (data_ != nullptr && copy_ == nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

SealedBody& SealedBody::operator=(SealedBody&& other) noexcept {
  if (this != &other) {
    drop();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    copy_ = std::move(other.copy_);
  }
  return *this;
}

Result<SharedPage> SharedPage::create(const char* name) {
  TRY_ASSIGN(auto writer, MemfdWriter::create(name));
  const Bytes zeros(kBytes);
  TRY(writer.append(zeros));
  SharedPage page;
  page.fd_ = std::move(writer).unsealed();
  void* at = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, page.fd_.get(), 0);
  if (at == MAP_FAILED) return failure("memfd.map", std::string("mmap: ") + std::strerror(errno));
  page.data_ = static_cast<char*>(at);
  return page;
}

SharedPage::~SharedPage() {
  if (data_ != nullptr) ::munmap(data_, kBytes);
}

SharedPage& SharedPage::operator=(SharedPage&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, kBytes);
    fd_ = std::move(other.fd_);
    data_ = std::exchange(other.data_, nullptr);
  }
  return *this;
}

Result<Bytes> read_sealed(const Fd& fd, std::uint64_t announced, std::uint64_t limit) {
  TRY(check_sealed(fd, announced, limit));
  Bytes out(announced);
  TRY(read_all(fd, out.data(), out.size()));
  return out;
}

}  // namespace postern::io
