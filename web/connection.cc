#include "web/connection.h"

namespace postern::web {

namespace {
constexpr std::chrono::milliseconds kDrainTick{100};
}  // namespace

void Connection::start(Fd socket, std::shared_ptr<const io::TlsServerContext> tls) {
  stream_ = io::TcpStream(host_.loop, std::move(socket), *this);
  tls_ = std::move(tls);
  wait_for_head();
  if (tls_ != nullptr && !stream_.start_tls_server(*tls_, io::TlsStart::immediate)) close();
}

void Connection::wait_for_head() {
  state_ = State::waiting;
  // Absolute: a client that sends a byte now and then gains no time by it.
  deadline_.start(host_.deadlines.head, [this] {
    if (input_.empty() || stream_.queued() > 0) return wind_down();
    send(host_.server.answer(Refusal{408, "the request took too long"}), After::close);
  });
}

void Connection::on_data(ByteView data) {
  if (state_ == State::draining) {
    discarded_ += data.size();
    if (discarded_ > limits::kDiscardBytes) close();
    return;
  }
  input_.append(text_of(data));
  take_requests();
}

void Connection::take_requests() {
  // A client that asks and does not take the answers must not make us write more of them.
  while (state_ == State::waiting && !stream_.congested() && take_request()) {}
  if (state_ != State::waiting) return;
  if (stream_.congested() || input_.size() > limits::kHeadBytes) stream_.pause_reading();
}

bool Connection::take_request() {
  const auto seen = collector_.look(input_);
  if (std::holds_alternative<std::monostate>(seen)) return false;
  if (const auto* refusal = std::get_if<Refusal>(&seen)) {
    send(host_.server.answer(*refusal), After::close);
    return false;
  }
  const std::size_t size = std::get<std::size_t>(seen);
  const auto parsed = parse_head(std::string_view(input_).substr(0, size), host_.hosts);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) {
    send(host_.server.answer(*refusal), After::close);
    return false;
  }
  input_.erase(0, size);
  collector_.reset();
  const auto& request = std::get<Request>(parsed);
  const After after = request.keep_alive && ++requests_ < limits::kRequestsPerConnection ? After::keep : After::close;
  send(host_.server.answer(request, after), after);
  return true;
}

void Connection::send(const Answer& answer, After after) {
  host_.answered(answer.status);
  stream_.write(answer.bytes);
  if (after == After::close) return drain();
  wait_for_head();
}

void Connection::on_drained() {
  if (state_ != State::waiting) return;
  stream_.resume_reading();
  take_requests();
}

void Connection::wind_down() {
  if (state_ == State::waiting) drain();
}

// Ends our side in order and reads on for a while: a socket closed over unread bytes would take the last answer with it.
void Connection::drain() {
  state_ = State::draining;
  input_ = std::string();
  stream_.finish();
  stream_.resume_reading();
  drain_until_ = host_.loop.steady() + host_.deadlines.answer;
  deadline_.repeat(kDrainTick, [this] { on_drain_tick(); });
}

void Connection::on_drain_tick() {
  if ((peer_done_ && stream_.queued() == 0) || host_.loop.steady() >= drain_until_) close();
}

void Connection::on_end(io::End reason, std::string_view) {
  peer_done_ = true;
  if (reason != io::End::closed || stream_.queued() == 0) return close();
  if (state_ == State::waiting) drain();
}

void Connection::close() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  deadline_.stop();
  stream_.close();
  host_.ended(*this);
}

}  // namespace postern::web
