#include "listener/data_sink.h"

#include <cstring>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::listener {

namespace {

bool has_high(std::string_view bytes) {
  unsigned char all = 0;
  for (char c : bytes) all = static_cast<unsigned char>(all | static_cast<unsigned char>(c));
  return all >= 0x80;
}

}  // namespace

// Where the next CR and LF stand, each searched once: however the bytes are made, the cost stays linear.
struct DataSink::Scan {
  const char* end;
  const char* cr = nullptr;
  const char* lf = nullptr;

  const char* next_cr(const char* at) { return next(at, '\r', cr); }
  const char* next_lf(const char* at) { return next(at, '\n', lf); }

 private:
  const char* next(const char* at, char what, const char*& known) const {
    if (known == nullptr || known < at) {
      const auto* found = static_cast<const char*>(std::memchr(at, what, static_cast<std::size_t>(end - at)));
      known = found == nullptr ? end : found;
    }
    return known;
  }
};

DataSink::Fed DataSink::feed(std::string_view data) {
  const std::size_t consumed = run(data);
  return {.consumed = consumed, .ended = ended_};
}

void DataSink::feed_chunk(std::string_view data) {
  dots_ = false;
  (void)run(data);
}

void DataSink::finish_chunks() {
  if (state_ == State::cr) on_bare_newline();
  else if (size_ != 0 && last_ != '\n') keep("\r\n");
  state_ = State::line_start;
}

std::size_t DataSink::run(std::string_view data) {
  const char* at = data.data();
  Scan scan{.end = at + data.size()};
  while (at != scan.end && !ended_) {
    switch (state_) {
      case State::line_start:
        state_ = dots_ && *at == '.' ? State::dot : State::in_line;
        if (state_ == State::dot) ++at;
        break;
      case State::dot:  // RFC 5321 §4.5.2: the first dot of a line that goes on is taken away
        state_ = *at == '\r' ? State::dot_cr : State::in_line;
        if (state_ == State::dot_cr) ++at;
        break;
      case State::dot_cr:
        if (*at == '\n') {
          ended_ = true;
          ++at;
        } else {
          on_bare_newline();
          state_ = State::in_line;
        }
        break;
      case State::cr:
        if (*at == '\n') {
          keep("\r\n");
          ++at;
          state_ = State::line_start;
        } else {
          on_bare_newline();
          state_ = State::in_line;
        }
        break;
      case State::in_line:
        at = pass_lines(at, scan);
        break;
    }
  }
  return static_cast<std::size_t>(at - data.data());
}

// The common case: whole lines, kept in one stretch up to a dot that has to be looked at or a line end that is none.
const char* DataSink::pass_lines(const char* at, Scan& scan) {
  const char* const first = at;
  const auto keep_to = [&](const char* last) { keep({first, static_cast<std::size_t>(last - first)}); };
  for (;;) {
    const char* const lf = scan.next_lf(at);
    const char* const cr = scan.next_cr(at);
    if (lf < cr) {
      keep_to(lf);
      on_bare_newline();
      return lf + 1;
    }
    if (cr == scan.end) {  // and no LF either
      keep_to(cr);
      return cr;
    }
    if (cr + 1 == scan.end) {
      keep_to(cr);
      state_ = State::cr;
      return scan.end;
    }
    if (lf != cr + 1) {
      keep_to(cr);
      on_bare_newline();
      return cr + 1;
    }
    at = lf + 1;
    if (at == scan.end || (dots_ && *at == '.')) {
      keep_to(at);
      state_ = State::line_start;
      return at;
    }
  }
}

void DataSink::on_bare_newline() {
  if (limits_.bare_newline == BareNewline::reject) return fail(Fault::bare_newline);
  keep("\r\n");
}

void DataSink::keep(std::string_view bytes) {
  if (fault_ != Fault::none || bytes.empty()) return;
  if (std::memchr(bytes.data(), '\0', bytes.size()) != nullptr) return fail(Fault::nul);
  if (bytes.size() > limits_.max_bytes - size_) return fail(Fault::too_large);
  if (!budget_.take(bytes.size())) return fail(Fault::memory);
  taken_ += bytes.size();
  size_ += bytes.size();
  last_ = bytes.back();
  if (!has_8bit_) has_8bit_ = has_high(bytes);
  if (in_header_) watch_header(bytes);
  if (fault_ == Fault::none) store(bytes);
}

void DataSink::watch_header(std::string_view bytes) {
  while (!bytes.empty() && in_header_ && fault_ == Fault::none) {
    const auto lf = bytes.find('\n');
    const auto part = bytes.substr(0, lf == std::string_view::npos ? lf : lf + 1);
    bytes.remove_prefix(part.size());
    if (line_bytes_ < line_head_.size())
      std::memcpy(line_head_.data() + line_bytes_, part.data(), std::min(part.size(), line_head_.size() - line_bytes_));
    line_bytes_ += part.size();
    header_bytes_ += part.size();
    if (header_bytes_ > mail::limits::kHeaderBytes) return fail(Fault::header_too_large);
    if (lf != std::string_view::npos) judge_header_line();
  }
}

void DataSink::judge_header_line() {
  constexpr std::string_view kName = "Received:";
  if (line_bytes_ == 2) in_header_ = false;  // the empty line
  const bool is_trace = line_bytes_ > kName.size() && text::iequals({line_head_.data(), kName.size()}, kName);
  if (is_trace && ++received_ > limits_.max_received) fail(Fault::loop);
  line_bytes_ = 0;
}

void DataSink::store(std::string_view bytes) {
  buffer_.append(bytes);
  if (buffer_.size() < limits::kBodyBufferBytes) return;
  if (!writer_) {
    auto created = io::MemfdWriter::create("body");
    if (!created) return fail(Fault::io);
    writer_.emplace(std::move(*created));
  }
  if (!writer_->append(bytes_of(buffer_))) return fail(Fault::io);
  buffer_.clear();
}

void DataSink::fail(Fault fault) {
  if (fault_ != Fault::none) return;
  fault_ = fault;
  writer_.reset();
  std::string().swap(buffer_);
  budget_.give(std::exchange(taken_, 0));
}

Result<Fd> DataSink::seal() {
  if (!writer_) return io::sealed_memfd("body", bytes_of(buffer_));
  TRY(writer_->append(bytes_of(buffer_)));
  return std::move(*writer_).seal();
}

}  // namespace postern::listener
