// From the connection to the first message: greeting, EHLO, STARTTLS, AUTH.
#include "base/text.h"
#include "deliver/remote/limits.h"
#include "deliver/remote/smtp_session.h"
#include "io/tls_info.h"

namespace postern::remote {

using privsep::SmtpReply;

namespace {

/// How the session's key came about. TLS 1.3 has no other way here than ECDHE (RFC 8446 §4.2.7; the context names curves only); of TLS 1.2
/// the cipher's name tells (RFC 5246 appendix A.5, RFC 8422 §2).
std::string key_exchange_of(const io::TlsInfo& info) {
  if (info.version != "TLSv1.2") return "ECDHE";
  const std::string cipher = text::printable(info.cipher, 60);
  for (const std::string_view name : {"ECDHE", "DHE"})
    if (cipher.starts_with(name)) return std::string(name);
  return "RSA";
}

}  // namespace

void SmtpSession::on_connected() {
  connected_ = true;
  if (const auto local = stream_.local()) addresses_ = plan_.at.address.to_string() + " " + local->address.to_string();
  expected_.push_back({Step::banner});
  arm();
}

void SmtpSession::take_banner(const ServerReply& reply, std::uint32_t) {
  if (!reply.is(2)) return fail_opening(Obstacle::refused, reply.told(limits::kReplyTextBytes));
  greet();
}

void SmtpSession::greet() { ask(Step::ehlo, "EHLO " + settings_.own_name + "\r\n"); }

void SmtpSession::take_ehlo(const ServerReply& reply, std::uint32_t) {
  offered_ = {};
  if (reply.is(2)) {
    offered_ = parse_extensions(reply);
    return protect_or_open();
  }
  // RFC 5321 §3.2: a server of the old kind knows HELO only.
  if (reply.is(5)) return ask(Step::helo, "HELO " + settings_.own_name + "\r\n");
  fail_opening(Obstacle::refused, reply.told(limits::kReplyTextBytes));
}

void SmtpSession::take_helo(const ServerReply& reply, std::uint32_t) {
  if (!reply.is(2)) return fail_opening(Obstacle::refused, reply.told(limits::kReplyTextBytes));
  protect_or_open();
}

void SmtpSession::protect_or_open() {
  const TlsLevel level = plan_.tls.level;
  if (!stream_.is_tls() && level != TlsLevel::clear && !starttls_refused_) {
    if (offered_.starttls && settings_.tls != nullptr) return ask(Step::starttls, "STARTTLS\r\n");
    if (level != TlsLevel::opportunistic)
      return fail_opening(Obstacle::tls, unprotected("4.7.4", server() + " does not offer STARTTLS, which is required"), "starttls-not-supported");
  }
  // RFC 8689 §4.2.1 rule 5
  if (plan_.tls.require_tls && !offered_.require_tls)
    return fail_opening(Obstacle::tls, {550, "5.7.30", server() + " does not offer REQUIRETLS, which the sender demands"});
  authenticate();
}

void SmtpSession::take_starttls(const ServerReply& reply, std::uint32_t) {
  if (reply.code != 220) {
    starttls_refused_ = true;
    if (plan_.tls.level == TlsLevel::opportunistic) return protect_or_open();
    return fail_opening(Obstacle::tls, {451, "4.7.4", server() + " refuses STARTTLS: " + reply.told(200).text}, "starttls-not-supported");
  }
  shaking_hands_ = true;
  // SNI takes no address (RFC 6066 §3).
  const std::string sni = IpAddress::parse(plan_.tls.server_name) ? std::string() : plan_.tls.server_name;
  const auto dropped = stream_.start_tls_client(*settings_.tls, sni, io::TlsStart::upgrade);
  if (!dropped) return fail_opening(Obstacle::handshake, {451, "4.7.5", "TLS cannot begin: " + text::printable(dropped.error().message)}, "validation-failure");
  // Clear text behind the 220 belongs to nobody: an attacker wants it read as if it had come under TLS.
  if (*dropped > 0) return fail_opening(Obstacle::attack, {451, "4.7.0", "bytes in clear after the reply to STARTTLS"}, "validation-failure");
  wait(settings_.timeouts.handshake);
}

/// RFC 8689 §4.2.1: where REQUIRETLS cannot be kept the sender hears of it; otherwise the mail waits for a better day.
SmtpReply SmtpSession::unprotected(const char* enhanced, std::string words) const {
  if (plan_.tls.require_tls) return {550, "5.7.10", "REQUIRETLS: " + words};
  return {451, enhanced, std::move(words)};
}

void SmtpSession::on_tls(const io::TlsInfo& info) {
  shaking_hands_ = false;
  const auto chain = io::Chain::parse(info.peer_chain_pem);
  use_.version = text::printable(info.version, 20);
  use_.cipher = text::printable(info.cipher, 60);
  use_.key_exchange = key_exchange_of(info);
  use_.forward_secrecy = use_.key_exchange.ends_with("DHE");
  if (chain) use_.certificate_key = chain->key_kind(0);
  const auto how = judge_peer(plan_.tls, chain ? &*chain : nullptr, settings_.authorities, loop_.now());
  if (!how) {
    const std::string& words = how.error().message;
    if (plan_.tls.level == TlsLevel::dane) use_.dane = "no match";
    return fail_opening(Obstacle::tls, unprotected("4.7.5", "the certificate of " + server() + " does not do: " + text::printable(words)), words.substr(0, words.find(':')));
  }
  use_.got = name_of(how->level);
  if (!how->dane.empty()) use_.dane = how->dane;
  tls_ = use_.version + " " + use_.cipher + " " + use_.got;
  if (plan_.tls.rehearse) doubt_ = rehearse_peer(plan_.tls, chain ? &*chain : nullptr, settings_.authorities, loop_.now());
  offered_ = {};  // RFC 3207 §4.2: what was said before counts no more
  greet();
  arm();
}

void SmtpSession::authenticate() {
  if (plan_.login != nullptr && !authenticated_) {
    if (!stream_.is_tls() && !plan_.at.address.is_loopback())
      return fail_opening(Obstacle::refused, {451, "4.7.0", "the password for " + server() + " is not sent in clear"});
    if (!offered_.auth_plain) return fail_opening(Obstacle::refused, {451, "4.7.0", server() + " does not offer AUTH PLAIN"});
    return ask(Step::auth, auth_command(plan_.login->user, plan_.login->password.view()));
  }
  if (!stream_.is_tls()) use_.got = name_of(TlsLevel::clear);
  state_ = State::idle;
  timer_.stop();
  owner_.opened(*this);
}

void SmtpSession::take_auth(const ServerReply& reply, std::uint32_t) {
  if (!reply.is(2))  // a wrong password is ours to mend: the mail waits
    return fail_opening(Obstacle::refused, {451, "4.7.8", "AUTH was refused: " + std::to_string(reply.code) + " " + reply.told(200).text});
  authenticated_ = true;
  authenticate();
}

void SmtpSession::fail_opening(Obstacle obstacle, SmtpReply reply, std::string observation) {
  broken_ = true;
  end_connection();
  owner_.not_opened(*this, {obstacle, std::move(reply), std::move(observation)});
}

}  // namespace postern::remote
