/// One caller on the control socket: reads its request, has it answered, writes the answer, ends.
///
/// Trust: the kernel says who the caller is (SO_PEERCRED); what it sends is bounded in bytes and time. A caller that breaks the
/// language is told so and ended; nobody else notices.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/unique.h"
#include "io/timer.h"
#include "io/watch.h"
#include "privsep/messages.h"

namespace postern::control {

/// An answer on its way: the line, and the checked output that follows it.
struct CallerAnswer {
  std::string line;
  Fd output;               ///< a sealed memfd, or none
  std::uint64_t bytes = 0;  ///< of `output`
};

class Caller : public std::enable_shared_from_this<Caller> {
 public:
  using Answered = std::function<void(CallerAnswer)>;
  /// Has a request answered, now or later; `answered` may outlive the caller.
  using Ask = std::function<void(privsep::AdminRequest, Answered answered)>;
  using Ended = std::function<void(Caller&)>;

  /// `socket` is connected and becomes non-blocking. `ended` is called once, from the loop; the owner then lets go.
  Caller(io::Loop& loop, Fd socket, std::uint32_t uid, Ask ask, Ended ended);
  /// Begins; not in the constructor because answers hold the caller weakly.
  void start();

 private:
  enum class State : std::uint8_t { reading, asking, writing, ended };

  void ready(io::Interest ready);
  void read();
  void take_line(std::size_t length);
  void answer(CallerAnswer answer);
  void write();
  bool next_piece();
  void end();

  io::Loop& loop_;
  Fd socket_;
  std::uint32_t uid_;
  Ask ask_;
  Ended ended_;
  State state_ = State::reading;
  std::string input_;
  std::string output_;          // what is being written
  std::size_t written_ = 0;     // of output_
  CallerAnswer answer_;
  std::uint64_t piece_at_ = 0;  // how much of the answer's descriptor was taken
  io::Timer deadline_;
  io::Watch watch_;
};

}  // namespace postern::control
