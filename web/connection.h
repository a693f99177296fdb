/// A browser's connection: heads in, answers out, absolute deadlines.
///
/// Trust: the client is a stranger. What it can make us hold is bounded: one head of input, and answers up to the stream's high-water mark.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "io/stream.h"
#include "io/timer.h"
#include "io/tls.h"
#include "web/http_server.h"
#include "web/limits.h"

namespace postern::web {

struct Deadlines {
  std::chrono::milliseconds head = limits::kHeadTime;
  std::chrono::milliseconds answer = limits::kAnswerTime;
};

class Connection;

/// What all connections share. Must outlive them.
struct ConnectionHost {
  io::Loop& loop;
  HttpServer& server;
  const Hosts& hosts;
  Deadlines deadlines;
  std::function<void(int status)> answered;
  std::function<void(Connection&)> ended;   ///< called once; the connection is freed after this turn
};

class Connection final : public io::StreamHandler {
 public:
  Connection(const ConnectionHost& host, IpAddress client) : host_(host), client_(client), deadline_(host.loop) {}

  /// Takes the socket. `tls` empty: in clear.
  void start(Fd socket, std::shared_ptr<const io::TlsServerContext> tls);
  void close();
  /// Answers nothing more; what was answered still goes out.
  void wind_down();
  const IpAddress& client() const { return client_; }

  void on_data(ByteView data) override;
  void on_drained() override;
  void on_end(io::End reason, std::string_view detail) override;

 private:
  enum class State : std::uint8_t { waiting, draining, ended };  // for a request; for the last answer to be taken
  void take_requests();
  bool take_request();
  void send(const Answer& answer, After after);
  void wait_for_head();
  void drain();
  void on_drain_tick();

  const ConnectionHost& host_;
  IpAddress client_;
  io::TcpStream stream_;
  std::shared_ptr<const io::TlsServerContext> tls_;  // kept while the handshake uses it
  io::Timer deadline_;
  HeadCollector collector_;
  std::string input_;
  State state_ = State::waiting;
  bool peer_done_ = false;          // it sends nothing more
  std::size_t requests_ = 0;
  std::size_t discarded_ = 0;
  SteadyTime drain_until_{};
};

}  // namespace postern::web
