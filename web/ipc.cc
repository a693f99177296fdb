#include "web/ipc.h"

#include <unistd.h>

#include <array>

#include "mail/policy/mta_sts.h"
#include "web/limits.h"

namespace postern::web {

using namespace privsep;

namespace {

// Operations a TLS handshake needs; the values of both enums are on wires of their own.
std::optional<TlsSign::Operation> to_wire(io::KeyOperation operation) {
  switch (operation) {
    case io::KeyOperation::rsa_raw: return TlsSign::Operation::rsa_raw;
    case io::KeyOperation::rsa_pkcs1: return TlsSign::Operation::rsa_pkcs1;
    case io::KeyOperation::ecdsa: return TlsSign::Operation::ecdsa;
    case io::KeyOperation::ed25519: return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

WebService::WebService(Child& child)
    : child_(child),
      pages_(house_, child.clock),
      server_(child.loop, [this](std::string_view host, std::string_view path) { return files_.owns(host) ? files_.find(host, path) : pages_.find(path); }, {}, [this](int status) { count(status); }),
      retry_certificates_(child.loop),
      dispatch_(*this, child.peers) {}

Result<void> WebService::open() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) host_name_ = name.data();
  return io::install_remote_keys([this](const io::KeyId& id, io::KeyOperation operation, ByteView data) { return sign(id, operation, data); });
}

void WebService::start() {
  apply_config();
  while (auto socket = child_.take_file("web")) server_.listen(std::move(*socket));
}

void WebService::reload() { apply_config(); }

void WebService::apply_config() {
  server_.set_hosts(Hosts(child_.config.list("web.hosts"), apply_policies()));
  tls_wanted_ = child_.config.flag("web.tls");
  server_.set_transport(tls_wanted_ ? Transport::tls : Transport::clear);
  load_certificates();
}

/// Our domains' MTA-STS policies as the configuration has them. Returns the names they are served at.
std::vector<std::string> WebService::apply_policies() {
  const Config& config = child_.config;
  PolicyRules rules{config.list("mta_sts.domains"), config.text("mta_sts.mode"), config.list("mta_sts.mx"),
                    std::chrono::duration_cast<std::chrono::seconds>(config.seconds("mta_sts.max_age"))};
  if (rules.mx.empty()) rules.mx.push_back(config.text("server.host_name").empty() ? host_name_ : config.text("server.host_name"));
  const auto policies = own_policies(rules);
  std::vector<std::string> hosts;
  if (!policies) {
    child_.log.error("no MTA-STS policy is served", {{"why", policies.error().message}});
    files_.set({});
    return hosts;
  }
  files_.set(*policies);
  for (const OwnPolicy& policy : *policies) {
    hosts.push_back(mail::mta_sts::policy_host(policy.domain));
    child_.log.info("an MTA-STS policy is served", {{"host", hosts.back()}, {"mode", policy.mode}, {"name", mail::mta_sts::record_name(policy.domain)},
                                                     {"record", mail::mta_sts::record_for(policy.id)}});
  }
  return hosts;
}

void WebService::peer_came(From peer) {
  if (peer.role == Role::signer) load_certificates();
}

void WebService::on(const StatusSnapshot& snapshot, From, Fd) {
  if (!house_.take(snapshot, child_.clock.steady())) child_.log.error("a status that cannot be read");
}

void WebService::count(int status) {
  if (status == 0) child_.metrics.count("web_turned_away_total");
  else child_.metrics.count("web_answers_total", "status=\"" + std::to_string(status) + '"');
}

Result<Bytes> WebService::sign(const io::KeyId& id, io::KeyOperation operation, ByteView data) {
  const auto wanted = to_wire(operation);
  if (!wanted) return failure("tls.keys", "no such operation in a handshake");
  TlsSign request;
  request.key_id.assign(id.begin(), id.end());
  request.operation = *wanted;
  request.data.assign(data.begin(), data.end());
  TRY_ASSIGN(TlsSignature answer, child_.signer.ask<TlsSignature>(request, limits::kSignPatience));
  if (!answer.error.empty()) return failure("tls.keys", answer.error);
  return std::move(answer.signature);
}

// Without certificates nobody is served: these pages are not shown in clear where TLS is wanted.
void WebService::load_certificates() {
  retry_certificates_.stop();
  if (!tls_wanted_) return;
  const auto answer = child_.signer.ask<Certificates>(CertificatesQuery{}, limits::kCertificatesPatience);
  std::string why = answer ? "the signer has no certificate" : answer.error().message;
  if (answer && !answer->chains.empty()) {
    std::vector<io::ServerCertificate> certificates;
    for (const std::string& chain : answer->chains) certificates.push_back({.chain_pem = chain, .key_pem = {}, .ocsp_staple = {}});
    auto made = io::TlsServerContext::create(certificates);
    if (made) return server_.set_tls(std::make_shared<const io::TlsServerContext>(std::move(*made)));
    why = made.error().message;
  }
  child_.log.warning("no new TLS certificates for the pages", {{"why", why}});
  retry_certificates_.start(limits::kCertificatesRetry, [this] { load_certificates(); });
}

}  // namespace postern::web
