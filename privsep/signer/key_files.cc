// The key folder: one key and its certificate, written whole or not at all.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "io/x509.h"
#include "privsep/signer/ipc.h"

namespace postern::signer {

namespace {

constexpr std::size_t kPemBytes = 256 * 1024;
constexpr std::chrono::days kSelfSignedLife{3650};
constexpr const char* kKeyFile = "tls.key";
constexpr const char* kCertificateFile = "tls.crt";

tl::unexpected<Error> file_error(std::string_view name) { return failure("signer.key", std::string(name) + ": " + std::strerror(errno)); }

Result<std::string> read_all(int fd, std::string_view name) {
  std::string out;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(name);
    out.append(buffer, static_cast<std::size_t>(got));
    if (out.size() > kPemBytes) return failure("signer.key", std::string(name) + ": larger than any PEM file");
  }
  return out;
}

Result<void> write_file(const Fd& folder, const char* name, std::string_view content) {
  const std::string temporary = std::string(name) + ".new";
  Fd file(::openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) return file_error(temporary);
  for (std::string_view left = content; !left.empty();) {
    const ssize_t wrote = ::write(file.get(), left.data(), left.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return file_error(temporary);
    left.remove_prefix(static_cast<std::size_t>(wrote));
  }
  if (::fsync(file.get()) != 0 || ::renameat(folder.get(), temporary.c_str(), folder.get(), name) != 0 || ::fsync(folder.get()) != 0)
    return file_error(name);
  return {};
}

Result<HeldKey> pair_up(std::string_view key_pem, std::string chain_pem) {
  auto key = io::PrivateKey::parse(key_pem);
  if (!key) return within("the private key", key.error());
  auto chain = io::Chain::parse(chain_pem);
  if (!chain) return within("the certificate", chain.error());
  const auto spki = crypto::sha256(key->public_spki());
  if (chain->describe(0).sha256_spki != crypto::hex(spki))
    return failure("signer.key", "the certificate is for another key");
  return HeldKey{*std::move(key), std::move(chain_pem), privsep::Role::listener | privsep::Role::web};
}

}  // namespace

Result<HeldKey> own_key(const Fd& folder, std::string_view host_name, WallTime now) {
  const Fd key_file(::openat(folder.get(), kKeyFile, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const Fd certificate_file(::openat(folder.get(), kCertificateFile, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (key_file && certificate_file) {
    TRY_ASSIGN(const std::string pem, read_all(key_file.get(), kKeyFile));
    const Secret key_pem{pem};
    TRY_ASSIGN(std::string chain, read_all(certificate_file.get(), kCertificateFile));
    return pair_up(key_pem.view(), std::move(chain));
  }
  if (key_file) return failure("signer.key", "there is tls.key without tls.crt: put the certificate beside it, or take the key away");
  TRY_ASSIGN(const io::PrivateKey made, io::PrivateKey::generate(io::KeyType::ec_p256));
  // A day back, for clients whose clocks are slow.
  TRY_ASSIGN(std::string chain, made.self_signed(host_name, now - std::chrono::hours(24), kSelfSignedLife));
  const Secret pem = made.to_pem();
  TRY(write_file(folder, kCertificateFile, chain));
  TRY(write_file(folder, kKeyFile, pem.view()));
  return pair_up(pem.view(), std::move(chain));
}

Result<HeldKey> given_key(const Fd& certificate, const Fd& key) {
  TRY_ASSIGN(std::string chain, read_all(certificate.get(), "tls.certificate"));
  TRY_ASSIGN(std::string pem, read_all(key.get(), "tls.key"));
  const Secret key_pem(std::move(pem));
  return pair_up(key_pem.view(), std::move(chain));
}

}  // namespace postern::signer
