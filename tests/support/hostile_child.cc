// Stands in a role's executable and does what a script says: what a process that was broken into could say to the others.
// The script lies beside the executable, "<executable>.script" (the parent clears the environment); '#' begins a comment.
//   send ROW to ROLE hex PAYLOAD [fd]    a frame of that row, whether this role may send it or not
//   raw to ROLE hex BYTES                a datagram as it is
//   relay-without-ticket RCPT ROLE       submits mail for RCPT to a verifier with an empty ticket
//   forge-ticket RCPT ROLE               … with a relay ticket whose MAC is made up
//   claim-loopback-client RCPT           asks the mailbox whether 127.0.0.1 may send to RCPT, without showing a connection
//   bend-ticket RCPT OTHER ROLE          asks for a ticket to RCPT and submits with its target changed to OTHER
//   wait-answer                          reads until a peer answers or closes, and says what came
//   accuse ROLE COUNT                    says COUNT times, with a pause, that ROLE broke the table
//   await-submission                     waits for a message that a listener hands over, and keeps it
//   spool-kept KIND TARGET               passes the kept message to the queue, its first ticket made KIND (local, relay) for TARGET; "-": as it is
//   spool-forged KIND TARGET             passes mail of its own to the queue, with a ticket whose MAC is made up
//   answer-kept CODE                     tells the listener what its client is to hear
//   say WORD                             on standard error
//   close-parent | die STATUS | hang | ready-again | flood-stderr | flood-metrics
// Where an executable serves several roles, "<executable>.else" (ROLE PROGRAM) says which one it takes; in all others it becomes PROGRAM.
// What it hears it says on standard error, which the parent logs: "answer ROLE ROW hex", "closed ROLE", "script done".
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>

#include "base/check.h"
#include "io/memfd.h"
#include "privsep/frame.h"
#include "privsep/message_table.h"
#include "privsep/wire.h"

namespace {

using namespace postern;
using namespace postern::privsep;

constexpr int kParentFd = 3;
constexpr int kAnswerMs = 10'000;
constexpr int kAccusePauseMs = 20;

void say(const std::string& words) { std::fprintf(stderr, "%s\n", words.c_str()); }

std::string unhex(std::string_view digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return out;
}
std::string hex(std::string_view bytes) {
  std::string out;
  for (unsigned char c : bytes) {
    out += "0123456789abcdef"[c >> 4];
    out += "0123456789abcdef"[c & 15];
  }
  return out;
}

class HostileChild {
 public:
  void run(const std::string& script_path) {
    take_start();
    put(Role::parent, make_frame(Ready::row, 0, encode(Ready{})));
    std::ifstream script(script_path);
    for (std::string line; std::getline(script, line);)
      if (!line.empty() && line[0] != '#') obey(line);
    say("script done");
    for (;;) take_one(-1);
  }

 private:
  void take_start() {
    sockets_[Role::parent] = Fd(kParentFd);
    for (bool complete = false; !complete;) {
      pollfd entry{kParentFd, POLLIN, 0};
      ::poll(&entry, 1, -1);
      const auto got = receive_frame(kParentFd, buffer_);
      if (!got && got.error().code == "ipc.again") continue;
      if (!got || got->bytes == 0) std::exit(70);
      complete = buffer_[0] == static_cast<char>(StartComplete::row.number);
      if (buffer_[0] == static_cast<char>(ChildStart::row.number))
        if (const auto start = decode<ChildStart>(payload_of(*got))) role_ = start->role;
      if (buffer_[0] == static_cast<char>(PeerChannel::row.number)) take_channel(*got, got->descriptor.duplicate());
    }
  }
  std::string_view payload_of(const Received& got) const { return std::string_view(buffer_).substr(kFrameHeaderBytes, got.bytes - kFrameHeaderBytes); }
  void take_channel(const Received& got, Fd socket) {
    if (const auto channel = decode<PeerChannel>(payload_of(got))) sockets_[channel->peer] = std::move(socket);
  }

  /// Reads one frame from anybody. Says what it is; a Stop ends this process. False: nothing came in time.
  bool take_one(int patience_ms) {
    std::vector<pollfd> entries;
    std::vector<Role> roles;
    for (const auto& [role, socket] : sockets_) {
      entries.push_back({socket.get(), POLLIN, 0});
      roles.push_back(role);
    }
    if (::poll(entries.data(), entries.size(), patience_ms) <= 0) return false;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].revents == 0) continue;
      auto got = receive_frame(entries[i].fd, buffer_);
      if (!got && got.error().code == "ipc.again") continue;
      if (!got || got->bytes < kFrameHeaderBytes) {
        if (roles[i] == Role::parent) std::exit(70);
        say("closed " + std::string(name_of(roles[i])));
        sockets_.erase(roles[i]);
        heard_.clear();
        return true;
      }
      const Row* row = row_numbered(static_cast<std::uint16_t>(static_cast<unsigned char>(buffer_[0])));
      if (row != nullptr && row->number == Stop::row.number) std::exit(0);
      if (row != nullptr && row->number == PeerChannel::row.number) take_channel(*got, std::move(got->descriptor));
      if (row != nullptr && row->number == Submission::row.number && keep_submission(roles[i], *got)) return true;
      if (row == nullptr || row->kind != Kind::answer) continue;
      heard_ = payload_of(*got);
      say("answer " + std::string(name_of(roles[i])) + " " + std::string(row->name) + " " + hex(heard_));
      return true;
    }
    return take_one(patience_ms);
  }
  void wait_answer() {
    if (!take_one(kAnswerMs)) say("no answer");
  }
  /// Keeps the message in buffer_ where one is waited for. False: none was.
  bool keep_submission(Role from, Received& got) {
    if (!wants_submission_) return false;
    auto submission = decode<Submission>(payload_of(got));
    POSTERN_CHECK(submission);
    kept_ = *std::move(submission);
    kept_body_ = std::move(got.descriptor);
    kept_from_ = from;
    std::memcpy(&kept_request_, buffer_.data() + 4, sizeof kept_request_);
    wants_submission_ = false;
    say("kept a message");
    return true;
  }
  void spool(const SpoolRequest& request, int body) {
    put(Role::queue, make_frame(SpoolRequest::row, next_request_++, encode(request)), body);
    wait_answer();
  }
  void spool_kept(const std::string& kind, const std::string& target) {
    SpoolRequest request{.envelope = kept_.envelope, .content = kept_.content, .evidence = {}, .auth_domain = {}};
    Ticket& ticket = request.envelope.recipients.at(0).ticket;
    if (kind != "-") ticket.kind = kind == "relay" ? TicketKind::relay : TicketKind::local;
    if (target != "-") ticket.target = target;
    spool(request, kept_body_.get());
  }
  void spool_forged(const std::string& kind, const std::string& target) {
    const std::string body = "From: attacker@example.net\r\nSubject: from a broken verifier\r\n\r\nhello\r\n";
    const auto memfd = io::sealed_memfd("hostile", bytes_of(body));
    POSTERN_CHECK(memfd);
    SpoolRequest request;
    request.envelope.id = "HOSTILE000000002";
    request.envelope.reverse_path = "attacker@example.net";
    request.envelope.recipients.push_back({ticket_for(target, kind == "relay" ? TicketKind::relay : TicketKind::local, Bytes(16, std::byte{0x5A})), {}, ""});
    request.envelope.arrival.received = SystemClock().now();
    request.content.size = body.size();
    spool(request, memfd->get());
  }
  void answer_kept(std::uint16_t code) {
    const SubmissionVerdict verdict{{code, std::to_string(code / 100) + ".0.0", "says a broken verifier"}};
    put(kept_from_, make_frame(SubmissionVerdict::row, kept_request_, encode(verdict)));
  }

  void put(Role to, std::string_view frame, int descriptor = -1) {
    // A channel may come after the start: the peer is started later, or again.
    while (!sockets_.contains(to))
      if (!take_one_quietly()) return say("no channel to " + std::string(name_of(to)));
    if (const auto sent = send_frame(sockets_[to].get(), frame, descriptor); !sent) say("not sent to " + std::string(name_of(to)));
  }
  bool take_one_quietly() {
    pollfd entry{sockets_[Role::parent].get(), POLLIN, 0};
    if (::poll(&entry, 1, kAnswerMs) <= 0) return false;
    auto got = receive_frame(entry.fd, buffer_);
    if (!got) return got.error().code == "ipc.again";
    if (got->bytes == 0) std::exit(70);
    if (buffer_[0] == static_cast<char>(Stop::row.number)) std::exit(0);
    if (buffer_[0] == static_cast<char>(PeerChannel::row.number)) take_channel(*got, std::move(got->descriptor));
    return true;
  }

  void submit(const std::string& verifier, Ticket ticket) {
    // A message that nothing but its ticket could keep out.
    const std::string body =
        "From: attacker@example.net\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n"
        "Subject: from a broken listener\r\n\r\nhello\r\n";
    const auto memfd = io::sealed_memfd("hostile", bytes_of(body));
    POSTERN_CHECK(memfd);
    Submission submission;
    submission.envelope.id = "HOSTILE000000001";
    submission.envelope.reverse_path = "attacker@example.net";
    submission.envelope.recipients.push_back({std::move(ticket), {}, ""});
    submission.envelope.arrival.client = *IpAddress::parse("127.0.0.1");
    submission.envelope.arrival.helo = "attacker.example.net";
    submission.envelope.arrival.may_relay = verifier == "verifier-out";
    submission.envelope.arrival.received = SystemClock().now();
    submission.content.size = body.size();
    put(*role_named(verifier), make_frame(Submission::row, next_request_++, encode(submission)), memfd->get());
    wait_answer();
  }
  Ticket ticket_for(const std::string& recipient, TicketKind kind, Bytes mac) {
    return {kind, recipient, recipient, SystemClock().now() + std::chrono::hours(1), std::move(mac)};
  }
  void query(const std::string& recipient) {
    const RecipientQuery query{recipient, "attacker@example.net", *IpAddress::parse("127.0.0.1"), 0};
    put(Role::mailbox, make_frame(RecipientQuery::row, next_request_++, encode(query)));
    wait_answer();
  }
  void bend_ticket(const std::string& recipient, const std::string& other, const std::string& verifier) {
    query(recipient);
    const auto verdict = decode<RecipientVerdict>(heard_);
    if (!verdict || verdict->tickets.empty()) return say("no ticket to bend");
    Ticket bent = verdict->tickets[0];
    bent.target = other;
    submit(verifier, bent);
  }
  void flood_metrics() {
    MetricsReport report;
    constexpr std::size_t kSampleBytes = 450;  // as they travel
    for (std::size_t i = 0; i < MetricsReport::row.max_bytes / kSampleBytes; ++i)
      report.samples.push_back({"flood_" + std::to_string(i), std::string(400, '\x01'), false, 1});
    put(Role::parent, make_frame(MetricsReport::row, 0, encode(report)));
  }

  void accuse(Role role, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      put(Role::parent, make_frame(PeerBroken::row, 0, encode(PeerBroken{role, 0, "a lie"})));
      take_one(kAccusePauseMs);
    }
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string command, a, b, c, d, e;
    words >> command >> a >> b >> c >> d >> e;
    const auto number = static_cast<std::size_t>(std::strtoul(a.c_str(), nullptr, 10));
    if (command == "send") {
      const Row* row = row_named(a);
      POSTERN_CHECK(row != nullptr && role_named(c).has_value());
      std::string digits(d == "hex" ? e : "");
      std::string with;
      words >> with;
      const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      const bool numbered = row->kind != Kind::tell;
      put(*role_named(c), make_frame(*row, numbered ? next_request_++ : 0, unhex(digits == "-" ? "" : digits)), with == "fd" ? null.get() : -1);
    } else if (command == "raw") {
      put(*role_named(b), unhex(d));
    } else if (command == "relay-without-ticket") {
      submit(b, ticket_for(a, TicketKind::relay, {}));
    } else if (command == "forge-ticket") {
      submit(b, ticket_for(a, TicketKind::relay, Bytes(16, std::byte{0x5A})));
    } else if (command == "claim-loopback-client") {
      query(a);
    } else if (command == "bend-ticket") {
      bend_ticket(a, b, c);
    } else if (command == "accuse") {
      accuse(*role_named(a), static_cast<std::size_t>(std::strtoul(b.c_str(), nullptr, 10)));
    } else if (command == "say") {
      say(a);
    } else if (command == "wait-answer") {
      wait_answer();
    } else if (command == "await-submission") {
      wants_submission_ = true;
      while (wants_submission_)
        if (!take_one(-1)) break;
    } else if (command == "spool-kept") {
      spool_kept(a, b);
    } else if (command == "spool-forged") {
      spool_forged(a, b);
    } else if (command == "answer-kept") {
      answer_kept(static_cast<std::uint16_t>(number));
    } else if (command == "close-parent") {
      sockets_.erase(Role::parent);
      for (;;) ::pause();
    } else if (command == "die") {
      std::exit(static_cast<int>(number));
    } else if (command == "hang") {
      for (;;) ::pause();
    } else if (command == "ready-again") {
      put(Role::parent, make_frame(Ready::row, 0, encode(Ready{})));
    } else if (command == "flood-stderr") {
      for (std::size_t i = 0; i < number; ++i) say("flood " + std::to_string(i));
    } else if (command == "flood-metrics") {
      flood_metrics();
    } else {
      say("unknown command " + command);
      std::exit(3);
    }
  }

  Role role_ = Role::parent;
  std::map<Role, Fd> sockets_;
  std::string buffer_, heard_;
  std::uint32_t next_request_ = 1;
  bool wants_submission_ = false;
  Submission kept_;
  Fd kept_body_;
  Role kept_from_ = Role::parent;
  std::uint32_t kept_request_ = 0;
};

/// The role the parent gives this process, read without taking the frame: whoever it becomes reads it again.
Role peek_role() {
  std::string frame(kFrameBytes, '\0');
  pollfd entry{kParentFd, POLLIN, 0};
  ::poll(&entry, 1, -1);
  const ssize_t got = ::recv(kParentFd, frame.data(), frame.size(), MSG_PEEK);
  if (got < static_cast<ssize_t>(kFrameHeaderBytes)) std::exit(70);
  const auto start = decode<ChildStart>(std::string_view(frame).substr(kFrameHeaderBytes, static_cast<std::size_t>(got) - kFrameHeaderBytes));
  POSTERN_CHECK(start);
  return start->role;
}

/// Becomes the program of the ".else" file unless the role is the one named there.
void make_room(const std::string& else_path) {
  std::ifstream file(else_path);
  std::string role, program;
  if (!(file >> role >> program) || name_of(peek_role()) == role) return;
  std::string name = program.substr(program.rfind('/') + 1);
  char* const argv[] = {name.data(), nullptr};
  ::execv(program.c_str(), argv);
  std::exit(3);
}

}  // namespace

int main() {
  char path[4096] = {};
  if (::readlink("/proc/self/exe", path, sizeof path - 1) <= 0) return 3;
  make_room(std::string(path) + ".else");
  HostileChild().run(std::string(path) + ".script");
}
