/// What the signer is asked: one private-key operation of a TLS handshake at a time, by key id, its shape checked; the certificate
/// chains that belong to its keys; and, by an administrator, which keys there are.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "io/keys.h"
#include "privsep/child.h"

namespace postern::signer {

/// A key of ours and who may use it.
struct HeldKey {
  io::PrivateKey key;
  std::string chain_pem;
  privsep::Roles users;
};

/// Makes the P-256 key and its self-signed certificate in the key folder at the first start, or reads them.
/// Errors: "signer.key" naming the file and what is wrong with it.
Result<HeldKey> own_key(const Fd& folder, std::string_view host_name, WallTime now);
/// Reads the operator's certificate and key. Errors: "signer.key" (unreadable, or they do not belong together).
Result<HeldKey> given_key(const Fd& certificate, const Fd& key);

class SignerService final : public privsep::Service {
 public:
  explicit SignerService(privsep::Child& child);

  Result<void> open() override;
  void start() override;
  privsep::Receiver& receiver() override { return dispatch_; }

  void on(const privsep::TlsSign& request, privsep::Reply<privsep::TlsSign> reply, privsep::From from, Fd);
  void on(const privsep::CertificatesQuery& query, privsep::Reply<privsep::CertificatesQuery> reply, privsep::From from, Fd);
  void on(const privsep::AdminRequest& request, privsep::Reply<privsep::AdminRequest> reply, privsep::From from, Fd);

 private:
  Result<Bytes> operate(const privsep::TlsSign& request, privsep::Role asker) const;
  Result<void> self_test() const;

  privsep::Child& child_;
  privsep::Dispatch<privsep::Role::signer, SignerService> dispatch_;
  std::vector<HeldKey> keys_;
};

}  // namespace postern::signer
