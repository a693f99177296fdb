#include "web/http_server.h"

#include <httplib.h>

#include <array>
#include <ctime>

#include "web/limits.h"

namespace postern::web {

namespace {

// Pages carry no script, load nothing from elsewhere, are shown in no frame and are kept by no cache.
constexpr std::pair<const char*, const char*> kSecurityFields[] = {
    {"Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};

std::string http_date(WallTime now) {  // RFC 9110 §5.6.7
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

std::string_view reason_of(int status) {
  switch (status) {
    case 400: return "Bad Request";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 431: return "Request Header Fields Too Large";
    case 501: return "Not Implemented";
    case 505: return "HTTP Version Not Supported";
    default: return "Refused";
  }
}

/// The library's view of a connection: a request in memory, and an answer that grows in memory.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view input) : input_(input) {}
  bool is_readable() const override { return !input_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* to, std::size_t size) override {
    const std::size_t count = input_.copy(to, size);
    input_.remove_prefix(count);
    return static_cast<ssize_t>(count);
  }
  ssize_t write(const char* from, std::size_t size) override {
    output_.append(from, size);
    return static_cast<ssize_t>(size);
  }
  // The library would put these among the fields of the request, where no page looks for them.
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }
  std::string take() { return std::move(output_); }

 private:
  std::string_view input_;
  std::string output_;
};

}  // namespace

class HttpServer::Library final : public httplib::Server {
 public:
  Library(Pages pages, const Clock& clock) : pages_(std::move(pages)), clock_(clock) {
    set_keep_alive_max_count(limits::kRequestsPerConnection);  // what it tells clients; Connection keeps to it
    set_keep_alive_timeout(limits::kHeadTime.count());
    // Before the library's own routing, whose patterns are regular expressions: a page is found by its exact name.
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      route(request, response);
      return HandlerResponse::Handled;
    });
  }

  Answer run(const std::string& head, bool close) {
    MemoryStream stream(head);
    bool closed = false;
    status_ = 0;
    if (!process_request(stream, close, closed, nullptr)) status_ = 0;
    return {status_, stream.take()};
  }

 private:
  bool process_and_close_socket(socket_t) override { return false; }  // it is never given a socket

  void route(const httplib::Request& request, httplib::Response& response) {
    for (const auto& [name, value] : kSecurityFields) response.set_header(name, value);
    response.set_header("Date", http_date(clock_.now()));
    if (const auto page = pages_(request.get_header_value("Host"), request.path)) {
      response.status = page->status;
      response.set_content(*page->body, std::string(page->type));
    } else {
      response.status = 404;
      response.set_content("There is no such page.\n", "text/plain; charset=utf-8");
    }
    status_ = response.status;
  }

  Pages pages_;
  const Clock& clock_;
  int status_ = 0;
};

HttpServer::HttpServer(Pages pages, const Clock& clock) : clock_(clock), library_(std::make_unique<Library>(std::move(pages), clock)) {}
HttpServer::~HttpServer() = default;

Answer HttpServer::answer(const Request& request, After after) {
  Answer answer = library_->run(canonical_head(request), after == After::close);
  if (answer.status == 0) return this->answer(Refusal{400, "the request was not understood"});
  return answer;
}

Answer HttpServer::answer(const Refusal& refusal) const {
  const std::string body = std::string(refusal.why) + "\n";
  std::string out = "HTTP/1.1 " + std::to_string(refusal.status) + ' ';
  out.append(reason_of(refusal.status)).append("\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
  out.append(std::to_string(body.size())).append("\r\nDate: ").append(http_date(clock_.now())).append("\r\n");
  if (refusal.status == 405) out += "Allow: GET, HEAD\r\n";  // RFC 9110 §15.5.6
  for (const auto& [name, value] : kSecurityFields) out.append(name).append(": ").append(value).append("\r\n");
  return {refusal.status, out + "\r\n" + body};
}

}  // namespace postern::web
