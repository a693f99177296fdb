#include "listener/connection.h"

namespace postern::listener {

void Connection::start(Fd socket) {
  if (client_.may_relay) proof_ = socket.duplicate();
  stream_ = io::TcpStream(host_.loop, std::move(socket), *this);
  session_.start();
}

void Connection::on_end(io::End reason, std::string_view detail) {
  if (reason == io::End::closed) return session_.on_eof();
  if (reason == io::End::handshake) {
    host_.context.metrics.count("smtp_tls_failures_total");
    host_.context.log.info("TLS handshake failed", {{"client", client_.address.to_string()}, {"why", detail}});
  }
  stream_.close();
  end();
}

void Connection::start_tls() {
  tls_ = host_.tls;
  if (tls_ != nullptr) {
    const auto dropped = stream_.start_tls_server(*tls_, io::TlsStart::upgrade);
    if (dropped && *dropped == 0) return;
    // Bytes in clear behind STARTTLS: somebody injects (CVE-2011-0411). Nothing is answered into such a stream.
    if (dropped) host_.context.metrics.count("smtp_desync_total", "after=\"STARTTLS\"");
    else host_.context.log.error("TLS cannot begin", {{"why", dropped.error().message}});
  }
  stream_.close();
  end();
}

void Connection::close() {
  stream_.hang_up();
  end();
}

void Connection::hold_input(bool hold) {
  if (hold) stream_.pause_reading();
  else stream_.resume_reading();
}

void Connection::ask_recipient(std::uint32_t number, const privsep::RecipientQuery& query) {
  host_.backend.ask_recipient(query, proof_.get(), [self = weak_from_this(), number](const Result<privsep::RecipientVerdict>& verdict) {
    if (const auto connection = self.lock(); connection && !connection->ended_) connection->session_.on_recipient(number, verdict);
  });
}

void Connection::submit(const privsep::Submission& submission, bool outbound, const Fd& body) {
  host_.backend.submit(submission, outbound, body, [self = weak_from_this()](const Result<privsep::SubmissionVerdict>& verdict) {
    if (const auto connection = self.lock(); connection && !connection->ended_) connection->session_.on_submitted(verdict);
  });
}

void Connection::end() {
  if (ended_) return;
  ended_ = true;
  proof_.reset();
  host_.ended(*this);
}

}  // namespace postern::listener
