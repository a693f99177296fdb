/// Takes a message's bytes off the wire: finds the end of DATA, undoes dot-stuffing, judges line ends, counts, and keeps the body
/// for the memfd it travels in.
///
/// Trust: every byte is a stranger's. Only CR LF "." CR LF ends DATA (RFC 5321 §4.1.1.4); a line begins only after a true CR LF. A CR
/// or LF alone is a fault, or becomes CR LF where the operator wants that; either way what is kept has canonical line ends, so
/// that no other server can see an end where we saw none. Works on pieces cut anywhere.
/// Cost: linear in the bytes; memory as the message, within the Budget.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique.h"
#include "io/memfd.h"
#include "listener/budget.h"

namespace postern::listener {

enum class BareNewline : std::uint8_t { reject = 0, normalize = 1 };

/// What is wrong with a message. The first fault stays; the bytes after it are read but not kept.
enum class Fault : std::uint8_t {
  none = 0,
  bare_newline = 1,      ///< a CR or LF alone
  nul = 2,               ///< RFC 5321 §2.3.8 and §4.5.3.1: text is without NUL; no mailbox could hold it
  too_large = 3,
  header_too_large = 4,  ///< past mail::limits::kHeaderBytes
  loop = 5,              ///< too many Received fields (RFC 5321 §6.3)
  memory = 6,            ///< the Budget is used up
  io = 7,                ///< the kernel gave no memory for the body
};

class DataSink {
 public:
  struct Limits {
    std::uint64_t max_bytes = 0;
    std::size_t max_received = 0;
    BareNewline bare_newline = BareNewline::reject;
  };

  /// `budget` must outlive the sink, which gives back what it took when it ends.
  DataSink(const Limits& limits, Budget& budget) : limits_(limits), budget_(budget) {}
  ~DataSink() { budget_.give(taken_); }
  DataSink(const DataSink&) = delete;
  DataSink& operator=(const DataSink&) = delete;

  struct Fed {
    std::size_t consumed = 0;  ///< bytes that belong to the message; what follows is the next command
    bool ended = false;        ///< the end of DATA was among them
  };
  /// The next bytes of DATA. Not to be called again after the end.
  Fed feed(std::string_view data);

  /// The next bytes of a BDAT chunk (RFC 3030): no dots, no end mark. Not to be mixed with feed().
  void feed_chunk(std::string_view data);
  /// The last chunk has come. A text without a line end at its end gets one, since the spool holds whole lines.
  void finish_chunks();

  Fault fault() const { return fault_; }
  std::uint64_t size() const { return size_; }      ///< bytes kept, with canonical line ends
  bool has_8bit() const { return has_8bit_; }

  /// The body, sealed. Once, after the end, and only without a fault. Errors: "memfd.io".
  Result<Fd> seal();

 private:
  enum class State : std::uint8_t { line_start, in_line, cr, dot, dot_cr };
  struct Scan;

  std::size_t run(std::string_view data);
  const char* pass_lines(const char* at, Scan& scan);
  void on_bare_newline();
  void keep(std::string_view bytes);
  void watch_header(std::string_view bytes);
  void judge_header_line();
  void store(std::string_view bytes);
  void fail(Fault fault);

  Limits limits_;
  Budget& budget_;
  State state_ = State::line_start;
  Fault fault_ = Fault::none;
  bool dots_ = true;
  bool ended_ = false;
  bool has_8bit_ = false;
  bool in_header_ = true;
  char last_ = 0;                // of the bytes kept
  std::uint64_t size_ = 0;
  std::uint64_t taken_ = 0;
  std::size_t received_ = 0;
  std::size_t header_bytes_ = 0;
  std::size_t line_bytes_ = 0;
  std::array<char, 9> line_head_{};  // "Received:"
  std::string buffer_;
  std::optional<io::MemfdWriter> writer_;
};

}  // namespace postern::listener
