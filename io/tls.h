/// TLS contexts for TcpStream, by libtls: 1.2 and 1.3, ECDHE with AEAD ciphers, no session tickets.
///
/// A server process holds certificates only. Its private keys are remote: before the first context it installs a signer, and every
/// signature of a handshake is asked from the process that owns the keys.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "io/keys.h"

struct tls;
struct tls_config;

namespace postern::io {

/// Asks the owner of key `id` for an operation and waits for the answer (well below a millisecond; give up after a time-out).
using RemoteSign = std::function<Result<Bytes>(const KeyId& id, KeyOperation operation, ByteView data)>;

/// Sends private-key operations for certificates without a key through `sign`, process-wide. Once, in main, before any TLS
/// context and any thread; libcrypto offers no narrower place (its default RSA and EC methods are replaced).
/// Where several threads shake hands, `sign` must be safe to call from each. Errors: "tls.keys" (called twice, or libcrypto refused).
Result<void> install_remote_keys(RemoteSign sign);

struct ServerCertificate {
  std::string chain_pem;       ///< the certificate, then its intermediates
  std::string key_pem;         ///< empty: the key is remote (install_remote_keys() first). For tests and tools otherwise.
  std::string ocsp_staple;     ///< DER, or empty
};

/// For accepted connections. A plain value that shares: on a certificate reload make a new one and swap it;
/// the old one ends with its last connection.
class TlsServerContext {
 public:
  /// The first certificate answers clients without a known SNI; the others are chosen by the names they carry.
  /// Errors: "tls.certificate" (with the reason), "tls.keys".
  static Result<TlsServerContext> create(const std::vector<ServerCertificate>& certificates);
  ::tls* native() const { return context_.get(); }  ///< for io/ and web/ only
  const std::shared_ptr<::tls>& shared() const { return context_; }

 private:
  explicit TlsServerContext(std::shared_ptr<::tls> context) : context_(std::move(context)) {}
  std::shared_ptr<::tls> context_;
};

/// For connections we make. It verifies nothing: the chain comes with TlsInfo, x509.h judges it before anything is sent.
class TlsClientContext {
 public:
  /// Errors: "tls.config".
  static Result<TlsClientContext> create();
  ::tls_config* native() const { return config_.get(); }  ///< for io/ only
  const std::shared_ptr<::tls_config>& shared() const { return config_; }

 private:
  explicit TlsClientContext(std::shared_ptr<::tls_config> config) : config_(std::move(config)) {}
  std::shared_ptr<::tls_config> config_;
};

}  // namespace postern::io
