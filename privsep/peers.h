/// The channels of one process: sending, asking, answering, and the check of all that comes in.
///
/// Trust: none of the peers. A frame that breaks the table never reaches a handler: its channel is closed, the parent is told who
/// did it, and this process goes on. A peer that goes away fails its open questions with "ipc.gone"; the parent brings a new channel.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "base/result.h"
#include "base/unique.h"
#include "io/loop.h"
#include "io/timer.h"
#include "io/watch.h"
#include "privsep/frame.h"
#include "privsep/message_table.h"
#include "privsep/wipe.h"
#include "privsep/wire.h"

namespace postern::privsep {

class Peers;

/// Who sent a message.
struct From {
  Role role = Role::parent;
  std::uint8_t instance = 0;
};

/// One channel. Made by Peers; others hold it weakly.
class Channel : public std::enable_shared_from_this<Channel> {
 public:
  Channel(Peers& peers, Fd socket, From peer);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  const From& peer() const { return peer_; }
  bool is_open() const { return static_cast<bool>(socket_); }
  std::size_t open_questions() const { return questions_.size(); }
  /// Whether the peer owes answers and has said nothing for long: it is stuck, or stopped.
  bool is_silent(SteadyTime now) const;
  std::size_t queued_bytes() const { return queued_bytes_; }

 private:
  friend class Peers;
  /// Its error is a breach of who answered: a payload that does not decode.
  using Answered = std::function<Result<void>(Result<std::string_view> payload, Fd)>;
  struct Question {
    std::uint16_t answer_number;
    SteadyTime deadline;
    Answered answered;
  };
  struct Waiting {
    std::string frame;
    Fd descriptor;
    bool secret = false;
  };

  void send(const Row& row, std::uint32_t request, std::string_view payload, int descriptor);
  void keep(std::string frame, int descriptor, bool secret);
  void wait_to_send(const Error& why);
  void ask(const Row& row, std::string_view payload, int descriptor, SteadyTime deadline, Answered answered);
  void start_watching();
  void on_writable();
  void on_readable();
  void take(const Received& received, Fd descriptor);
  void dispatch(const FrameView& frame, Fd descriptor);
  void answer_question(const FrameView& frame, Fd descriptor);
  void close(std::string_view why);

  Peers& peers_;
  Fd socket_;
  From peer_;
  std::unique_ptr<io::Watch> watch_;
  std::unique_ptr<io::Timer> retry_;  // made when the kernel has no room for what is sent
  std::vector<Waiting> waiting_;      // frames the socket did not take yet, in order
  std::size_t waiting_first_ = 0;
  std::size_t queued_bytes_ = 0;
  std::uint32_t next_request_ = 1;
  std::unordered_map<std::uint32_t, Question> questions_;
  SteadyTime heard_{};                // when the peer spoke last, or was first asked after it owed nothing
  bool late_ = false;                 // a question ran out of time, and nothing was heard since
  std::uint64_t asked_ = 0;           // place in the order of asking
};

/// Lets the handler of a request answer now or later. Must be used exactly once; a peer that has gone hears nothing.
template <class M>
class Reply {
 public:
  Reply(std::weak_ptr<Channel> channel, Peers& peers, std::uint32_t request) : channel_(std::move(channel)), peers_(&peers), request_(request) {}
  /// `descriptor` stays the caller's.
  template <class A>
  void operator()(const A& answer, int descriptor = -1) const;

 private:
  std::weak_ptr<Channel> channel_;
  Peers* peers_;
  std::uint32_t request_;
};

/// Where checked frames go: made by dispatch.h from a service's on() functions.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// Errors are breaches of the sender (a payload that does not decode).
  virtual Result<void> receive(const FrameView& frame, std::shared_ptr<Channel> channel, Fd descriptor) = 0;
};

class Peers {
 public:
  /// Told when a channel closes (`why` is "" for a peer that merely went away, else the breach).
  using Closed = std::function<void(From peer, std::string_view why)>;

  Peers(io::Loop& loop, const Log& log, Role self);
  ~Peers();

  void set_receiver(Receiver& receiver) { receiver_ = &receiver; }
  void set_closed(Closed closed) { closed_ = std::move(closed); }
  void set_locked() { locked_ = true; }

  /// Takes a channel to `peer`; an older one to the same peer and instance is closed first.
  void add(From peer, Fd socket);
  void remove(From peer);
  void drain(From peer);   ///< takes what a peer that has ended had sent before
  bool has(Role role) const;
  std::size_t queued_bytes(From peer);  ///< frames that the peer's socket has not taken yet

  /// Sends to one instance of `to` (one that is not silent, with the fewest open questions, the least lately asked). False when there is none: the message is dropped.
  template <class M>
  bool tell(Role to, const M& message, int descriptor = -1) {
    static_assert(M::row.kind == Kind::tell);
    Channel* channel = pick(to);
    if (channel == nullptr) return false;
    send_message(*channel, 0, message, descriptor);
    return true;
  }
  /// Sends to every instance of every role in `to` that has a channel.
  template <class M>
  void tell_all(Roles to, const M& message, int descriptor = -1) {
    static_assert(M::row.kind == Kind::tell);
    for (const auto& channel : channels_to(to)) send_message(*channel, 0, message, descriptor);
  }
  template <class M>
  void tell_one(From to, const M& message, int descriptor = -1) {
    static_assert(M::row.kind == Kind::tell);
    if (Channel* channel = find(to)) send_message(*channel, 0, message, descriptor);
  }

  /// Asks; `done(Result<A>, Fd)` is called exactly once, later, on this thread. Errors: "ipc.gone" (no such peer, or it went away),
  /// "ipc.timeout", "wire.*" (an answer that does not decode; its sender's channel is closed). `descriptor` stays the caller's.
  template <class A, class M, class Done>
  void ask(Role to, const M& message, int descriptor, std::chrono::milliseconds patience, Done done) {
    static_assert(M::row.kind == Kind::request && M::row.answer == A::row.name);
    std::string asked = encode(message);
    ask_raw(to, M::row, asked, descriptor, patience, [done = std::move(done)](Result<std::string_view> payload, Fd fd) mutable {
      Result<A> answer = payload ? decode<A>(*payload) : Result<A>(tl::unexpected<Error>(payload.error()));
      const Result<void> well_formed = !payload || answer ? Result<void>() : Result<void>(tl::unexpected<Error>(answer.error()));
      done(std::move(answer), std::move(fd));
      return well_formed;
    });
    if constexpr (M::row.secret) wipe(asked);
  }

  std::string_view receive_buffer() const { return buffer_; }  ///< what was received last, for tests
  io::Loop& loop() { return loop_; }
  Role self() const { return self_; }

  /// Used by Reply and Channel.
  void send(Channel& channel, const Row& row, std::uint32_t request, std::string_view payload, int descriptor);

 private:
  friend class Channel;
  template <class M>
  void send_message(Channel& channel, std::uint32_t request, const M& message, int descriptor) {
    std::string payload = encode(message);
    send(channel, M::row, request, payload, descriptor);
    if constexpr (M::row.secret) wipe(payload);
  }
  Channel* pick(Role role);
  Channel* find(From peer);
  std::vector<std::shared_ptr<Channel>> channels_to(Roles roles);  // a list of its own: sending may close one
  void ask_raw(Role to, const Row& row, std::string_view payload, int descriptor, std::chrono::milliseconds patience,
               Channel::Answered answered);
  void answer_gone(Role to, Channel::Answered answered);
  void closed(Channel& channel, std::string_view why);
  void expire_questions();

  io::Loop& loop_;
  const Log& log_;
  Role self_;
  bool locked_ = false;
  Receiver* receiver_ = nullptr;
  Closed closed_;
  std::map<std::pair<Role, std::uint8_t>, std::shared_ptr<Channel>> channels_;
  std::uint64_t asked_ = 0;                  // questions so far
  std::string buffer_;                       // one receive buffer for all channels
  std::unique_ptr<io::Timer> expiry_;
};

template <class M>
template <class A>
void Reply<M>::operator()(const A& answer, int descriptor) const {
  static_assert(M::row.answer == A::row.name);
  if (const auto channel = channel_.lock(); channel && channel->is_open())
    peers_->send(*channel, A::row, request_, encode(answer), descriptor);
}

}  // namespace postern::privsep
