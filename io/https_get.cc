#include "io/https_get.h"

#include "base/text.h"
#include "io/stream.h"
#include "io/timer.h"
#include "io/tls.h"

namespace postern::io {

struct HttpsGet::Impl final : StreamHandler {
  Impl(Loop& on, HttpsRequest what, const TrustStore& trusted, Done tell)
      : loop(on), request(std::move(what)), authorities(trusted), done(std::move(tell)), timer(on), end_of_turn(on, [this] { report(); }),
        reader(request.most_body) {}

  void begin() {
    timer.start(request.time, [this] { end(failure("https.time", "no whole answer in time")); });
    auto made = TlsClientContext::create();
    if (!made) return end(tl::unexpected<Error>(made.error()));
    tls = std::make_unique<TlsClientContext>(*std::move(made));
    stream = TcpStream::connect(loop, request.to, request.time, *this);
  }

  void on_connected() override {
    if (ended) return;
    connected = true;
    const auto started = stream.start_tls_client(*tls, request.host, TlsStart::immediate);
    if (!started) end(failure("https.tls", started.error().message));
  }

  void on_tls(const TlsInfo& info) override {
    if (ended) return;
    const auto chain = Chain::parse(info.peer_chain_pem);
    if (!chain) return end(failure("https.certificate", chain.error().message));
    if (const auto verified = authorities.verify(*chain, request.host, loop.now()); !verified)
      return end(failure("https.certificate", verified.error().message));
    const std::string port = request.to.port == 443 ? "" : ":" + std::to_string(request.to.port);
    secure = true;
    stream.write("GET " + request.path + " HTTP/1.1\r\nHost: " + request.host + port +
                 "\r\nAccept: text/plain\r\nUser-Agent: Postern\r\nConnection: close\r\n\r\n");
  }

  void on_data(ByteView data) override {
    if (ended || !secure) return;
    const auto complete = reader.feed(text_of(data));
    if (!complete) return end(tl::unexpected<Error>(complete.error()));
    if (*complete) end(reader.response());
  }

  void on_end(End reason, std::string_view detail) override {
    if (ended) return;
    const std::string words = std::string(name_of(reason)) + ": " + text::printable(detail);
    if (!connected) return end(failure("https.connect", words));
    if (!secure) return end(failure("https.tls", words));
    // A body without a length that breaks off without close_notify may have been cut by anybody: not "in order".
    const auto whole = reason == End::closed ? reader.ended() : Result<void>(failure("http.syntax", words));
    if (!whole) return end(tl::unexpected<Error>(whole.error()));
    end(reader.response());
  }

  void end(Result<HttpResponse> how) {
    if (ended) return;
    ended = true;
    result = std::move(how);
    end_of_turn.arm();  // not from inside a call of the stream, which may be ended in done()
  }

  void report() {
    timer.stop();
    stream.close();
    done(std::move(result));
  }

  Loop& loop;
  HttpsRequest request;
  const TrustStore& authorities;
  Done done;
  Timer timer;
  Deferred end_of_turn;
  HttpResponseReader reader;
  std::unique_ptr<TlsClientContext> tls;
  TcpStream stream;
  bool connected = false, secure = false, ended = false;
  Result<HttpResponse> result{HttpResponse{}};
};

HttpsGet::HttpsGet(Loop& loop, HttpsRequest request, const TrustStore& authorities, Done done)
    : impl_(std::make_unique<Impl>(loop, std::move(request), authorities, std::move(done))) {
  impl_->begin();
}

HttpsGet::~HttpsGet() = default;

}  // namespace postern::io
