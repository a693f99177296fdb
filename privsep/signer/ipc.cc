#include "privsep/signer/ipc.h"

#include <nlohmann/json.hpp>

#include "base/crypto.h"

namespace postern::signer {

using namespace privsep;

SignerService::SignerService(Child& child) : child_(child), dispatch_(*this, child.peers) {}

Result<void> SignerService::open() {
  auto certificate = child_.take_file("certificate");
  auto key = child_.take_file("key");
  if (certificate && key) {
    TRY_ASSIGN(HeldKey held, given_key(*certificate, *key));
    keys_.push_back(std::move(held));
  } else {
    TRY_ASSIGN(const Fd folder, child_.take_file("keys"));
    TRY_ASSIGN(HeldKey held, own_key(folder, child_.config.text("server.host_name"), child_.clock.now()));
    keys_.push_back(std::move(held));
  }
  return self_test();
}

void SignerService::start() { child_.metrics.gauge("signer_keys", keys_.size()); }

/// A key that cannot sign is found here and not by the first client.
Result<void> SignerService::self_test() const {
  const auto digest = crypto::sha256(bytes_of("postern self-test"));
  for (const HeldKey& held : keys_) {
    if (auto signature = held.key.sign_sha256(digest); !signature) return within("a key does not sign", signature.error());
  }
  return {};
}

Result<Bytes> SignerService::operate(const TlsSign& request, Role asker) const {
  for (const HeldKey& held : keys_) {
    const auto id = held.key.id();
    if (!crypto::equal(request.key_id, id)) continue;
    if (!held.users.has(asker)) return failure("signer.refused", "this key is not for the asking process");
    return held.key.operate(static_cast<io::KeyOperation>(request.operation), request.data);
  }
  return failure("signer.unknown", "no such key");
}

void SignerService::on(const TlsSign& request, Reply<TlsSign> reply, From from, Fd) {
  auto signature = operate(request, from.role);
  child_.metrics.count("signatures_total", "asker=\"" + std::string(name_of(from.role)) + "\",result=\"" + (signature ? "made" : "refused") + "\"");
  if (signature) return reply(TlsSignature{"", *std::move(signature)});
  child_.log.warning("signature refused", {{"asker", name_of(from.role)}, {"why", signature.error().message}});
  reply(TlsSignature{signature.error().message, {}});
}

void SignerService::on(const CertificatesQuery&, Reply<CertificatesQuery> reply, From from, Fd) {
  Certificates answer;
  for (const HeldKey& held : keys_)
    if (held.users.has(from.role)) answer.chains.push_back(held.chain_pem);
  reply(answer);
}

void SignerService::on(const AdminRequest& request, Reply<AdminRequest> reply, From, Fd) {
  if (request.command != "keys list") return reply(AdminAnswer{"the signer knows no such command", ""});
  nlohmann::json list = nlohmann::json::array();
  for (const HeldKey& held : keys_) {
    const auto id = held.key.id();
    list.push_back({{"id", crypto::hex(id)}, {"bits", held.key.bits()}, {"use", "tls"}});
  }
  reply(AdminAnswer{"", list.dump()});
}

}  // namespace postern::signer
