/// For tests: a session with a peer that records, a mailbox and a verifier that answer when they are told to.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <deque>
#include <string>
#include <vector>

#include "io/memfd.h"
#include "listener/smtp_session.h"

namespace postern::listener {

struct CountingEntropy final : crypto::Entropy {
  void fill(std::span<std::byte> out) override {
    for (std::byte& b : out) b = std::byte{next++};
  }
  std::uint8_t next = 1;
};

struct Message {
  privsep::Submission submission;
  bool outbound = false;
  std::string body;
};

class Harness final : public SessionPeer {
 public:
  explicit Harness(const Settings& settings = default_settings(), bool may_relay = false)
      : context(settings, clock, entropy, log, metrics),
        session(context, *this, {.address = *IpAddress::parse("192.0.2.1"), .port = 4711, .may_relay = may_relay}) {
    context.has_tls = true;
  }
  static Settings default_settings() {
    Settings settings;
    settings.host_name = "mx.example";
    return settings;
  }

  // What a session wants of the world.
  void write(std::string_view text) override { out += text, ++writes; }
  void start_tls() override { tls_wanted = true; }
  void close() override { closed = true; }
  void hold_input(bool hold) override { held = hold; }
  void ask_recipient(std::uint32_t number, const privsep::RecipientQuery& query) override { questions.push_back({number, query}); }
  void submit(const privsep::Submission& submission, bool outbound, const Fd& body) override {
    auto bytes = io::read_sealed(body, submission.content.size, 1 << 30);
    EXPECT_TRUE(bytes) << (bytes ? "" : bytes.error().message);
    messages.push_back({submission, outbound, bytes ? std::string(text_of(*bytes)) : ""});
    verdict_wanted = true;
  }

  // What a test does.
  /// Feeds bytes and lets everybody answer. Returns what the client hears.
  std::string say(std::string_view bytes) {
    hear(bytes);
    answer_all();
    return take();
  }
  void hear(std::string_view bytes) {
    if (!closed) session.on_input(bytes);
  }
  std::string take() { return std::exchange(out, {}); }
  void answer_all() {
    while (!questions.empty() || verdict_wanted) {
      if (!questions.empty()) answer_recipient();
      else answer_submission();
    }
  }
  void answer_recipient(std::size_t which = 0) {
    const Question q = questions[which];
    questions.erase(questions.begin() + static_cast<std::ptrdiff_t>(which));
    session.on_recipient(q.number, verdict_on(q.query.recipient));
  }
  void answer_submission() {
    verdict_wanted = false;
    session.on_submitted(submit_verdict);
  }
  std::string start() {
    session.start();
    return take();
  }
  /// Greeted and ready for MAIL.
  void greet() {
    start();
    say("EHLO client.example\r\n");
  }
  void begin_tls() {
    tls_wanted = false;
    session.on_tls("TLSv1.3", "TLS_AES_256_GCM_SHA384");
  }

  static Result<privsep::RecipientVerdict> verdict_on(const std::string& recipient) {
    privsep::RecipientVerdict verdict;
    if (recipient.starts_with("unknown")) verdict.reply = {550, "5.1.1", "No such user"};
    else if (recipient.starts_with("full")) verdict.reply = {452, "4.2.2", "Over quota"};
    else if (recipient.ends_with("@elsewhere.example")) verdict.reply = {550, "5.7.1", "No relaying"};
    else if (recipient.starts_with("gone")) return failure("ipc.gone", "no mailbox");
    else if (recipient.starts_with("empty")) verdict.reply = {250, "2.1.5", "yes but no ticket"};
    else {
      verdict.reply = {250, "2.1.5", "Recipient OK"};
      privsep::Ticket ticket;
      ticket.kind = recipient.starts_with("forward") ? privsep::TicketKind::relay : privsep::TicketKind::local;
      ticket.recipient = ticket.target = recipient;
      ticket.mac = Bytes(16);
      const int targets = recipient.starts_with("team") ? 3 : 1;
      for (int i = 0; i < targets; ++i) verdict.tickets.push_back(ticket);
    }
    return verdict;
  }

  struct Question {
    std::uint32_t number;
    privsep::RecipientQuery query;
  };
  FakeClock clock;
  CountingEntropy entropy;
  std::vector<std::string> lines;
  Log log{[this](Severity, std::string_view line) { lines.emplace_back(line); }, Severity::info};
  privsep::Metrics metrics;
  Context context;
  std::string out;
  int writes = 0;
  bool tls_wanted = false;
  bool closed = false;
  bool held = false;
  bool verdict_wanted = false;
  Result<privsep::SubmissionVerdict> submit_verdict = privsep::SubmissionVerdict{{250, "2.0.0", "accepted"}};
  std::deque<Question> questions;
  std::vector<Message> messages;
  SmtpSession session;
};

/// The codes of replies, one for each reply ("250 550"); the lines of a multi-line reply count once.
inline std::string codes(std::string_view replies) {
  std::string out;
  while (!replies.empty()) {
    const auto line = replies.substr(0, replies.find("\r\n"));
    replies.remove_prefix(std::min(replies.size(), line.size() + 2));
    if (line.size() > 3 && line[3] == '-') continue;
    out += (out.empty() ? "" : " ") + std::string(line.substr(0, 3));
  }
  return out;
}

inline constexpr std::string_view kText = "From: a@b.example\r\n\r\nhello\r\n";
inline const std::string kOpen = "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@mx.example>\r\n";

/// Brings a session into each state a command may meet.
enum class At { connected, greeted, sender, recipient, chunks };
inline void go_to(Harness& h, At at) {
  h.start();
  if (at == At::connected) return;
  h.say("EHLO client.example\r\n");
  if (at == At::greeted) return;
  h.say("MAIL FROM:<a@b.example>\r\n");
  if (at == At::sender) return;
  h.say("RCPT TO:<bob@mx.example>\r\n");
  if (at == At::recipient) return;
  h.say("BDAT 3\r\nabc");
}

}  // namespace postern::listener
