#include "privsep/peers.h"

#include <iterator>
#include <tuple>

#include "base/text.h"

namespace postern::privsep {

namespace {
constexpr std::size_t kQueuedBytes = 64UL * 1024 * 1024;  // frames waiting for a peer that does not read; past it the peer counts as gone
constexpr int kFramesPerEvent = 64;                        // so that one busy peer does not starve the others
constexpr int kDrainEvents = 256;                          // all that fits a channel's socket buffer, in the smallest frames
constexpr std::chrono::seconds kExpiryTick{1};
constexpr std::chrono::milliseconds kRetryPause{20};      // before the kernel is asked again whether it has room
constexpr std::chrono::seconds kSilence{5};                // of a peer that owes answers; then others of its role are asked first
}  // namespace

Channel::Channel(Peers& peers, Fd socket, From peer) : peers_(peers), socket_(std::move(socket)), peer_(peer) {}

Channel::~Channel() = default;

void Channel::start_watching() {
  watch_ = std::make_unique<io::Watch>(peers_.loop(), socket_.get(), [this](io::Interest ready) {
    const auto self = shared_from_this();  // a handler may replace this channel
    if (io::has(ready, io::Interest::writable)) on_writable();
    if (is_open() && io::has(ready, io::Interest::readable)) on_readable();
  });
  watch_->set(io::Interest::readable);
}

void Channel::send(const Row& row, std::uint32_t request, std::string_view payload, int descriptor) {
  if (!is_open()) return;
  std::string frame = make_frame(row, request, payload);
  if (!waiting_.empty()) return keep(std::move(frame), descriptor, row.secret);
  const auto sent = send_frame(socket_.get(), frame, descriptor);
  if (!sent && (sent.error().code == "ipc.again" || sent.error().code == "ipc.later")) {
    keep(std::move(frame), descriptor, row.secret);
    return is_open() ? wait_to_send(sent.error()) : void();
  }
  if (row.secret) wipe(frame);
  // A peer that has gone may have said something before: the reading side takes that, and closes at its end.
  if (!sent && sent.error().code != "ipc.gone") close("cannot be sent to: " + sent.error().message);
}

void Channel::keep(std::string frame, int descriptor, bool secret) {
  if (queued_bytes_ + frame.size() > kQueuedBytes) return close("does not read what it is sent");
  queued_bytes_ += frame.size();
  // The caller keeps its descriptor, so what waits needs one of its own.
  Fd copy;
  if (descriptor >= 0) copy.reset(::fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
  if (descriptor >= 0 && !copy) return close("no descriptor left to keep a frame for it");
  waiting_.push_back({std::move(frame), std::move(copy), secret});
}

/// Until the socket takes more. Where the kernel lacks memory, or too many descriptors are on their way, the socket counts as
/// writable all the same: then it is tried again after a pause, instead of in every turn.
void Channel::wait_to_send(const Error& why) {
  if (why.code != "ipc.later") return watch_->set(io::Interest::both);
  watch_->set(io::Interest::readable);
  if (!retry_) retry_ = std::make_unique<io::Timer>(peers_.loop());
  retry_->start(kRetryPause, [this] {
    const auto self = shared_from_this();  // sending may close this channel
    if (is_open()) on_writable();
  });
}

void Channel::on_writable() {
  while (waiting_first_ < waiting_.size()) {
    Waiting& next = waiting_[waiting_first_];
    const auto sent = send_frame(socket_.get(), next.frame, next.descriptor.get());
    if (!sent && (sent.error().code == "ipc.again" || sent.error().code == "ipc.later")) return wait_to_send(sent.error());
    if (!sent && sent.error().code != "ipc.gone") return close("cannot be sent to: " + sent.error().message);
    queued_bytes_ -= next.frame.size();
    if (next.secret) wipe(next.frame);
    next = {};
    ++waiting_first_;
  }
  waiting_.clear();
  waiting_first_ = 0;
  watch_->set(io::Interest::readable);
}

bool Channel::is_silent(SteadyTime now) const { return late_ || (!questions_.empty() && now - heard_ > kSilence); }

void Channel::ask(const Row& row, std::string_view payload, int descriptor, SteadyTime deadline, Answered answered) {
  if (questions_.empty()) heard_ = peers_.loop().steady();
  asked_ = ++peers_.asked_;
  const std::uint32_t request = next_request_;
  next_request_ = next_request_ == UINT32_MAX ? 1 : next_request_ + 1;
  const auto self = shared_from_this();  // sending may close this channel
  send(row, request, payload, descriptor);
  if (!is_open()) return peers_.answer_gone(peer_.role, std::move(answered));
  questions_.insert_or_assign(request, Question{row_named(row.answer)->number, deadline, std::move(answered)});
}

void Channel::on_readable() {
  for (int i = 0; i < kFramesPerEvent && is_open(); ++i) {
    auto received = receive_frame(socket_.get(), peers_.buffer_);
    if (!received && received.error().code == "ipc.again") return;
    if (!received || received->bytes == 0) return close("");
    heard_ = peers_.loop().steady();
    late_ = false;
    take(*received, std::move(received->descriptor));
  }
}

void Channel::take(const Received& received, Fd descriptor) {
  if (received.truncated) return close("a frame larger than any row");
  const auto bytes = std::string_view(peers_.buffer_).substr(0, received.bytes);
  const auto frame = check_frame(bytes, received.descriptors, {peers_.self(), peer_.role, peers_.locked_});
  if (!frame) return close(frame.error().message);
  dispatch(*frame, std::move(descriptor));
  if (frame->row->secret) wipe_bytes(peers_.buffer_.data(), received.bytes);
}

void Channel::dispatch(const FrameView& frame, Fd descriptor) {
  if (frame.row->kind == Kind::answer) return answer_question(frame, std::move(descriptor));
  POSTERN_CHECK(peers_.receiver_ != nullptr);
  const auto handled = peers_.receiver_->receive(frame, shared_from_this(), std::move(descriptor));
  if (!handled) close(std::string(frame.row->name) + ": " + handled.error().message);
}

void Channel::answer_question(const FrameView& frame, Fd descriptor) {
  const auto it = questions_.find(frame.request);
  // A question that timed out here may still be answered; one that was never asked may not. Numbers grow, so the two differ.
  if (it == questions_.end()) {
    if (frame.request >= next_request_) close("an answer to a question that was not asked");
    return;
  }
  if (it->second.answer_number != frame.row->number) return close("an answer of the wrong kind");
  const Answered answered = std::move(it->second.answered);
  questions_.erase(it);
  // The payload lies in the shared receive buffer; the handler may read other frames only from the loop.
  if (const auto well_formed = answered(frame.payload, std::move(descriptor)); !well_formed)
    close(std::string(frame.row->name) + ": " + well_formed.error().message);
}

void Channel::close(std::string_view why) {
  if (!is_open()) return;
  const auto self = shared_from_this();
  watch_.reset();
  if (retry_) retry_->stop();
  socket_.reset();
  for (Waiting& unsent : waiting_)
    if (unsent.secret) wipe(unsent.frame);
  waiting_.clear();
  const std::string reason(why);
  auto questions = std::exchange(questions_, {});
  peers_.closed(*this, reason);
  for (auto& [request, question] : questions)
    static_cast<void>(question.answered(failure("ipc.gone", "the " + std::string(name_of(peer_.role)) + " went away"), Fd()));
}

Peers::Peers(io::Loop& loop, const Log& log, Role self) : loop_(loop), log_(log), self_(self), expiry_(std::make_unique<io::Timer>(loop)) {
  expiry_->repeat(kExpiryTick, [this] { expire_questions(); });
}

Peers::~Peers() {
  closed_ = nullptr;
  receiver_ = nullptr;
  for (auto& [key, channel] : std::exchange(channels_, {})) {
    channel->questions_.clear();
    channel->watch_.reset();
    channel->retry_.reset();
    channel->socket_.reset();
  }
}

void Peers::add(From peer, Fd socket) {
  remove(peer);
  auto channel = std::make_shared<Channel>(*this, std::move(socket), peer);
  channels_.insert_or_assign({peer.role, peer.instance}, channel);
  channel->start_watching();
}

void Peers::remove(From peer) {
  if (Channel* old = find(peer)) {
    const auto keep = old->shared_from_this();
    old->close("");
  }
}

void Peers::drain(From peer) {
  if (Channel* channel = find(peer)) {
    const auto keep = channel->shared_from_this();
    for (int i = 0; i < kDrainEvents && channel->is_open(); ++i) channel->on_readable();
  }
}

bool Peers::has(Role role) const {
  const auto it = channels_.lower_bound({role, std::uint8_t{0}});
  return it != channels_.end() && it->first.first == role;
}

std::size_t Peers::queued_bytes(From peer) {
  const Channel* channel = find(peer);
  return channel == nullptr ? 0 : channel->queued_bytes();
}

Channel* Peers::find(From peer) {
  const auto it = channels_.find({peer.role, peer.instance});
  return it == channels_.end() ? nullptr : it->second.get();
}

std::vector<std::shared_ptr<Channel>> Peers::channels_to(Roles roles) {
  std::vector<std::shared_ptr<Channel>> out;
  for (const auto& [key, channel] : channels_)
    if (roles.has(key.first)) out.push_back(channel);
  return out;
}

Channel* Peers::pick(Role role) {
  const auto first = channels_.lower_bound({role, std::uint8_t{0}});
  if (first == channels_.end() || first->first.first != role) return nullptr;
  const auto next = std::next(first);
  if (next == channels_.end() || next->first.first != role) return first->second.get();  // the common case costs no clock
  const SteadyTime now = loop_.steady();
  const auto rank = [now](const Channel& c) { return std::make_tuple(c.is_silent(now), c.open_questions(), c.asked_); };
  Channel* best = first->second.get();
  for (auto it = next; it != channels_.end() && it->first.first == role; ++it)
    if (rank(*it->second) < rank(*best)) best = it->second.get();
  return best;
}

void Peers::send(Channel& channel, const Row& row, std::uint32_t request, std::string_view payload, int descriptor) {
  POSTERN_CHECK(row.from.has(self_) && row.to.has(channel.peer().role) && payload.size() <= row.max_bytes);
  channel.send(row, request, payload, descriptor);
}

void Peers::ask_raw(Role to, const Row& row, std::string_view payload, int descriptor, std::chrono::milliseconds patience,
                    Channel::Answered answered) {
  POSTERN_CHECK(row.from.has(self_) && row.to.has(to) && payload.size() <= row.max_bytes);
  Channel* channel = pick(to);
  if (channel == nullptr) return answer_gone(to, std::move(answered));
  channel->ask(row, payload, descriptor, loop_.steady() + patience, std::move(answered));
}

void Peers::answer_gone(Role to, Channel::Answered answered) {
  // Not from inside the call: the caller is told as it would be told of an answer.
  loop_.post([answered = std::move(answered), to] {
    static_cast<void>(answered(failure("ipc.gone", "there is no " + std::string(name_of(to))), Fd()));
  });
}

void Peers::closed(Channel& channel, std::string_view why) {
  const auto it = channels_.find({channel.peer().role, channel.peer().instance});
  if (it != channels_.end() && it->second.get() == &channel) channels_.erase(it);
  if (!why.empty()) log_.error("a peer broke the message table", {{"peer", name_of(channel.peer().role)}, {"what", why}});
  if (closed_) closed_(channel.peer(), why);
}

void Peers::expire_questions() {
  const SteadyTime now = loop_.steady();
  std::vector<Channel::Answered> late;
  for (auto& [key, held] : channels_) {
    Channel& channel = *held;
    std::erase_if(channel.questions_, [&](auto& entry) {
      if (entry.second.deadline > now) return false;
      late.push_back(std::move(entry.second.answered));
      channel.late_ = true;
      return true;
    });
  }
  for (auto& answered : late) static_cast<void>(answered(failure("ipc.timeout", "no answer in time"), Fd()));
}

}  // namespace postern::privsep
