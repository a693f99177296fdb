#include "privsep/control/check/starttls_probe.h"

#include "base/text.h"
#include "io/stream.h"
#include "io/timer.h"
#include "io/tls.h"

namespace postern::check {
namespace {

constexpr std::size_t kReplyBytes = 64 * 1024;  // of one reply with all its lines; RFC 5321 §4.5.3.1.5 allows 512 a line

enum class Step : std::uint8_t { banner, ehlo, starttls, handshake };

class Probe final : public io::StreamHandler {
 public:
  Probe(io::Loop& loop, const ProbeOptions& options, const io::TlsClientContext& tls) : loop_(loop), options_(options), tls_(tls), timer_(loop) {}

  ProbeResult run() {
    timer_.start(options_.time, [this] { end(ProbeEnd::unreachable, "out of time"); });
    stream_ = io::TcpStream::connect(loop_, options_.to, options_.time, *this);
    if (!done_) loop_.run();
    stream_.close();
    timer_.stop();
    return std::move(result_);
  }

  void on_data(ByteView data) override {
    if (done_ || step_ == Step::handshake) return;
    input_.append(text_of(data));
    while (!done_ && step_ != Step::handshake && take_line()) {
    }
    if (!done_ && input_.size() + reply_.size() > kReplyBytes) end(ProbeEnd::unreachable, "a reply without an end");
  }

  void on_tls(const io::TlsInfo& info) override {
    result_.chain_pem = info.peer_chain_pem;
    result_.version = info.version;
    result_.cipher = info.cipher;
    stream_.write("QUIT\r\n");
    end(ProbeEnd::tls, "TLS is up");
  }

  void on_end(io::End reason, std::string_view detail) override {
    const std::string words = std::string(io::name_of(reason)) + ": " + text::printable(detail);
    end(step_ == Step::handshake ? ProbeEnd::handshake : ProbeEnd::unreachable, words);
  }

 private:
  // Takes one line; a whole reply is acted on. False: no line is complete.
  bool take_line() {
    const auto at = input_.find('\n');
    if (at == std::string::npos) return false;
    std::string_view line = std::string_view(input_).substr(0, at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    // RFC 5321 §4.2.1: three digits, then "-" where more lines follow.
    const bool sound = line.size() >= 3 && text::parse_uint(line.substr(0, 3), 599).value_or(0) >= 200 &&
                       (line.size() == 3 || line[3] == ' ' || line[3] == '-');
    if (!sound) {
      end(ProbeEnd::unreachable, "not an SMTP reply: " + text::printable(line, 80));
      return false;
    }
    const bool last = line.size() == 3 || line[3] == ' ';
    if (step_ == Step::ehlo && line.size() > 4 && text::iequals(text::trim(line.substr(4)), "STARTTLS")) offered_ = true;
    reply_.append(line).append(" ");
    input_.erase(0, at + 1);
    if (last) act(std::exchange(reply_, {}));
    return true;
  }

  void act(const std::string& reply) {
    switch (step_) {
      case Step::banner:
        if (reply[0] != '2') return end(ProbeEnd::unreachable, "the greeting is " + text::printable(reply, 120));
        step_ = Step::ehlo;
        return stream_.write("EHLO " + options_.own_name + "\r\n");
      case Step::ehlo:
        if (reply[0] == '4') return end(ProbeEnd::unreachable, "EHLO is answered " + text::printable(reply, 120));
        if (reply[0] != '2' || !offered_) return end(ProbeEnd::no_starttls, "the server does not offer STARTTLS");
        step_ = Step::starttls;
        return stream_.write("STARTTLS\r\n");
      case Step::starttls:
        if (!reply.starts_with("220")) return end(ProbeEnd::no_starttls, "the server refuses STARTTLS: " + text::printable(reply, 120));
        return shake_hands();
      case Step::handshake: return;
    }
  }

  void shake_hands() {
    step_ = Step::handshake;
    // Bytes in clear behind the 220 belong to nobody: somebody injects.
    if (!input_.empty()) return end(ProbeEnd::handshake, "bytes in clear after the reply to STARTTLS");
    const auto dropped = stream_.start_tls_client(tls_, options_.server_name, io::TlsStart::upgrade);
    if (!dropped) return end(ProbeEnd::handshake, "TLS cannot begin: " + text::printable(dropped.error().message));
    if (*dropped > 0) end(ProbeEnd::handshake, "bytes in clear after the reply to STARTTLS");
  }

  void end(ProbeEnd how, std::string detail) {
    if (done_) return;
    done_ = true;
    result_.end = how;
    result_.detail = std::move(detail);
    loop_.post([this] { loop_.stop(); });  // outside of the stream's call, which goes on
  }

  io::Loop& loop_;
  const ProbeOptions& options_;
  const io::TlsClientContext& tls_;
  io::Timer timer_;
  io::TcpStream stream_;
  Step step_ = Step::banner;
  bool offered_ = false;
  bool done_ = false;
  std::string input_;
  std::string reply_;  // the lines of the begun reply
  ProbeResult result_;
};

}  // namespace

ProbeResult probe_starttls(io::Loop& loop, const ProbeOptions& options) {
  const auto tls = io::TlsClientContext::create();
  if (!tls) return {.end = ProbeEnd::unreachable, .detail = tls.error().message};
  return Probe(loop, options, *tls).run();
}

}  // namespace postern::check
