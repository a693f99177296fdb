/// A note of the message this process has in hand, in a page that its listeners can still read when it has died over it.
///
/// What counts as in hand is what is being worked on at this instant, not what waits for an answer: of a hundred messages under way one is to
/// blame for a death, and only that one must bear it.
#pragma once

#include <cstdint>
#include <string_view>

#include "io/memfd.h"

namespace postern::verifier {

class Marker {
 public:
  Marker() = default;  ///< notes nothing
  /// Errors: those of io::SharedPage.
  static Result<Marker> create();
  int fd() const { return page_.fd(); }
  /// Numbers each time something is taken in hand; 0: nothing is. May be called from a signal handler.
  std::uint64_t step_in_hand() const { return step_in_hand_; }

  /// The message is in hand as long as this lives. Inside another hold it does nothing: the outer one is about the same message.
  class Hold {
   public:
    Hold(Marker& marker, std::string_view id);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Marker& marker_;
    bool outer_ = false;
  };

 private:
  io::SharedPage page_;
  std::uint64_t steps_ = 0;
  volatile std::uint64_t step_in_hand_ = 0;
};

}  // namespace postern::verifier
