#include "io/tls.h"

#include <tls.h>

#include "io/openssl_util.h"
#include "io/remote_keys.h"

// Exported by libtls but not declared in its header (LibreSSL and LibreTLS alike): a certificate is accepted without its private
// key.
extern "C" void tls_config_use_fake_private_key(struct tls_config* config);

namespace postern::io {

namespace {

// AEAD with forward secrecy only. TLS 1.3 suites are libtls's own default.
constexpr const char* kCiphers =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

using ConfigPtr = CPtr<::tls_config, tls_config_free>;

std::string reason_of(::tls_config* config) {
  const char* error = tls_config_error(config);
  return error != nullptr ? error : "no reason given";
}

const std::uint8_t* octets_of(const std::string& text) {
  return text.empty() ? nullptr : reinterpret_cast<const std::uint8_t*>(text.data());
}

bool restrict_protocols(::tls_config* config) {
  return tls_config_set_protocols(config, TLS_PROTOCOL_TLSv1_2 | TLS_PROTOCOL_TLSv1_3) == 0 &&
         tls_config_set_ciphers(config, kCiphers) == 0;
}

}  // namespace

Result<TlsServerContext> TlsServerContext::create(const std::vector<ServerCertificate>& certificates) {
  if (certificates.empty()) return failure("tls.certificate", "no certificate");
  const ConfigPtr config(tls_config_new());
  if (config == nullptr) return failure("tls.certificate", "no memory");
  if (!restrict_protocols(config.get())) return failure("tls.certificate", reason_of(config.get()));
  tls_config_prefer_ciphers_server(config.get());
  bool first = true;
  for (const ServerCertificate& c : certificates) {
    if (c.key_pem.empty()) {
      if (!remote_keys_installed()) return failure("tls.keys", "a certificate without its key, and nobody to sign for it");
      TRY(watch_certificate_key(c.chain_pem));
      tls_config_use_fake_private_key(config.get());
    }
    const auto set = first ? tls_config_set_keypair_ocsp_mem : tls_config_add_keypair_ocsp_mem;
    if (set(config.get(), octets_of(c.chain_pem), c.chain_pem.size(), octets_of(c.key_pem), c.key_pem.size(),
            octets_of(c.ocsp_staple), c.ocsp_staple.size()) != 0)
      return failure("tls.certificate", reason_of(config.get()));
    first = false;
  }
  std::shared_ptr<::tls> context(tls_server(), tls_free);
  if (context == nullptr) return failure("tls.certificate", "no memory");
  if (tls_configure(context.get(), config.get()) != 0) {
    const char* error = tls_error(context.get());
    return failure("tls.certificate", error != nullptr ? error : "no reason given");
  }
  return TlsServerContext(std::move(context));
}

Result<TlsClientContext> TlsClientContext::create() {
  std::shared_ptr<::tls_config> config(tls_config_new(), tls_config_free);
  if (config == nullptr) return failure("tls.config", "no memory");
  if (!restrict_protocols(config.get())) return failure("tls.config", reason_of(config.get()));
  // Who the peer is gets judged by x509.h on the chain it showed, with one store for all connections.
  tls_config_insecure_noverifycert(config.get());
  tls_config_insecure_noverifyname(config.get());
  tls_config_insecure_noverifytime(config.get());
  return TlsClientContext(std::move(config));
}

}  // namespace postern::io
