#include "listener/ipc.h"

#include <unistd.h>

#include <array>

#include "listener/limits.h"

namespace postern::listener {

using namespace privsep;

namespace {

constexpr std::chrono::seconds kCertificatesPatience{2};
constexpr std::chrono::seconds kCertificatesRetry{5};

std::string name_of_machine() {
  std::array<char, 254> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

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

ListenerService::ListenerService(Child& child)
    : child_(child),
      machine_name_(name_of_machine()),
      context_(Settings::read(child.config, machine_name_), child.clock, child.entropy, child.log, child.metrics),
      acceptor_(child.loop, context_, *this),
      retry_certificates_(child.loop),
      park_patience_(child.loop),
      dispatch_(*this, child.peers) {}

Result<void> ListenerService::open() {
  return io::install_remote_keys([this](const io::KeyId& id, io::KeyOperation operation, ByteView data) { return sign(id, operation, data); });
}

void ListenerService::start() {
  load_certificates();
  while (auto socket = child_.take_file("smtp")) acceptor_.listen(std::move(*socket));
}

void ListenerService::reload() {
  context_.apply(Settings::read(child_.config, machine_name_));
  acceptor_.reload();
  load_certificates();
}

void ListenerService::stop(std::function<void()> done) { acceptor_.stop(std::move(done)); }

void ListenerService::peer_came(From peer) {
  if (peer.role == Role::signer) load_certificates();
  if (peer.role == Role::verifier_in || peer.role == Role::verifier_out) park_waiting(peer.role);
}

void ListenerService::on(const WorkMarker&, From from, Fd page) { markers_.insert_or_assign({from.role, from.instance}, std::move(page)); }

// Called before the questions to the peer fail, so that they know whether it was over theirs that it died.
void ListenerService::peer_gone(From peer) {
  in_dead_hand_.clear();
  const auto marker = markers_.find({peer.role, peer.instance});
  if (marker == markers_.end()) return;
  // Whatever descriptor the verifier gave: this reads a few bytes of it, or nothing, and waits for nothing.
  std::array<char, limits::kMessageIdBytes + 1> id{};
  if (::pread(marker->second.get(), id.data(), id.size() - 1, 0) > 0) in_dead_hand_ = id.data();
  markers_.erase(marker);
}

void ListenerService::on(const SpoolState& state, From, Fd) {
  if (state.accepting != context_.accepting)
    child_.log.notice(state.accepting ? "the queue takes mail again" : "the queue takes no mail", {{"reply", state.reply.text}});
  context_.accepting = state.accepting;
  context_.not_accepting = state.reply;
  // Whatever the queue meant, a refusal for now must not turn into a failure of the message.
  if (state.reply.code < 400 || state.reply.code >= 500) context_.not_accepting = SmtpReply{.code = 452, .enhanced = "4.3.1", .text = "No mail is taken now"};
}

// ---- asking others -------------------------------------------------------------------------------------------------

void ListenerService::ask_recipient(const RecipientQuery& query, int proof, std::function<void(const Result<RecipientVerdict>&)> done) {
  child_.peers.ask<RecipientVerdict>(Role::mailbox, query, proof, limits::kRecipientPatience,
                                     [done = std::move(done)](const Result<RecipientVerdict>& verdict, Fd) { done(verdict); });
}

void ListenerService::submit(const Submission& submission, bool outbound, const Fd& body, Done done) {
  const Role verifier = outbound ? Role::verifier_out : Role::verifier_in;
  if (submission.park && !child_.peers.has(verifier)) return wait_to_park(submission, outbound, body, std::move(done));
  child_.peers.ask<SubmissionVerdict>(verifier, submission, body.get(), limits::kSubmitPatience,
                                      [this, id = submission.envelope.id, done = std::move(done)](const Result<SubmissionVerdict>& verdict, Fd) {
                                        if (!verdict && verdict.error().code == "ipc.gone" && id == in_dead_hand_)
                                          return done(failure(kKilledVerifier, "the verifier died with this message in hand"));
                                        done(verdict);
                                      });
}

// The verifier has just died over it; in a moment there is another.
void ListenerService::wait_to_park(const Submission& submission, bool outbound, const Fd& body, Done done) {
  Fd copy = body.duplicate();
  if (waiting_to_park_.size() == limits::kParkWaiting || !copy)
    return child_.loop.post([done = std::move(done)] { done(failure("ipc.gone", "no verifier, and too many messages wait for one")); });
  if (waiting_to_park_.empty())
    park_patience_.start(limits::kParkPatience, [this] {
      for (Waiting& given_up : std::exchange(waiting_to_park_, {})) given_up.done(failure("ipc.gone", "no verifier came in time"));
    });
  waiting_to_park_.push_back({submission, outbound, std::move(copy), std::move(done)});
}

void ListenerService::park_waiting(Role verifier) {
  for (Waiting& waiting : std::exchange(waiting_to_park_, {})) {
    if ((waiting.outbound ? Role::verifier_out : Role::verifier_in) == verifier) submit(waiting.submission, waiting.outbound, waiting.body, std::move(waiting.done));
    else waiting_to_park_.push_back(std::move(waiting));
  }
  if (waiting_to_park_.empty()) park_patience_.stop();
}

Result<Bytes> ListenerService::sign(const io::KeyId& id, io::KeyOperation operation, ByteView data) {
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

// Without a signer mail is still taken, in clear; STARTTLS is offered as soon as it is back.
void ListenerService::load_certificates() {
  retry_certificates_.stop();
  const auto answer = child_.signer.ask<Certificates>(CertificatesQuery{}, kCertificatesPatience);
  std::string why = answer ? "the signer has no certificate" : answer.error().message;
  if (answer && !answer->chains.empty()) {
    std::vector<io::ServerCertificate> certificates;
    for (const std::string& chain : answer->chains) certificates.push_back({.chain_pem = chain, .key_pem = {}, .ocsp_staple = {}});
    auto made = io::TlsServerContext::create(certificates);
    if (made) {
      child_.log.info("TLS certificates loaded", {{"count", certificates.size()}});
      return acceptor_.set_tls(std::make_shared<const io::TlsServerContext>(std::move(*made)));
    }
    why = made.error().message;
  }
  child_.log.warning("no new TLS certificates", {{"why", why}, {"starttls", context_.has_tls ? "as before" : "not offered"}});
  retry_certificates_.start(kCertificatesRetry, [this] { load_certificates(); });
}

}  // namespace postern::listener
