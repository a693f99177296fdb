/// For tests: a mail server on loopback that does what it is told, well or badly, and a resolver that knows what it was given.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "io/listen.h"
#include "io/stream.h"
#include "io/tls.h"
#include "mail/dns.h"

namespace postern::remote::test {

/// How the server behaves. An answer is raw bytes, or one of the words below.
struct Manners {
  static constexpr const char* kSilence = "(silence)";
  static constexpr const char* kReset = "(reset)";

  std::string banner = "220 mx.test ESMTP\r\n";
  std::vector<std::string> offers = {"PIPELINING", "8BITMIME", "SIZE 1000000", "DSN"};
  std::map<std::string, std::string> answers;  ///< by verb, "RCPT <a@b>", or "END" for the end of a message
  std::optional<io::TlsServerContext> tls;
  std::size_t close_after = 0;                 ///< messages; then the connection ends. 0: never
};

struct Received {
  std::vector<std::string> commands;  ///< of the transaction: MAIL, RCPT, DATA or BDAT
  std::string bytes;                  ///< dots taken off
};

class TestServer {
 public:
  TestServer(io::Loop& loop, const std::string& address, std::uint16_t port = 0) : loop_(loop) {
    auto listening = io::listen_tcp({*IpAddress::parse(address), port}, 64);
    EXPECT_TRUE(listening);
    at = *io::local_endpoint(listening->get());
    acceptor_ = std::make_unique<io::Acceptor>(loop, *std::move(listening), [this](Fd fd, const io::Endpoint&) {
      clients_.push_back(std::make_unique<Client>(*this, std::move(fd)));
    });
  }

  Manners manners;
  io::Endpoint at;
  std::vector<Received> messages;
  std::vector<std::string> commands;   ///< all, over all connections
  std::size_t largest_group = 0;       ///< commands in one read
  std::size_t connections() const { return clients_.size(); }
  std::size_t count(std::string_view verb) const {
    std::size_t n = 0;
    for (const auto& c : commands) n += c.starts_with(verb) ? 1U : 0U;
    return n;
  }

 private:
  struct Client : io::StreamHandler {
    Client(TestServer& s, Fd fd) : server(s), stream(s.loop_, std::move(fd), *this) { answer("BANNER", server.manners.banner); }

    void on_end(io::End, std::string_view) override { stream.close(); }
    void on_data(ByteView data) override {
      in += text_of(data);
      std::size_t group = 0;
      while (stream.open() && step()) ++group;
      server.largest_group = std::max(server.largest_group, group);
    }
    void on_tls(const io::TlsInfo&) override {}

    bool step() {
      if (in_data) return take_data();
      if (chunk_left > 0 || in_chunk) return take_chunk();
      const std::size_t end = in.find("\r\n");
      if (end == std::string::npos) return false;
      const std::string line = in.substr(0, end);
      in.erase(0, end + 2);
      command(line);
      return true;
    }
    bool take_data() {
      // Looks only at what is new, so that large messages take linear time.
      const std::size_t end = in.starts_with(".\r\n") ? 0 : in.find("\r\n.\r\n", seen > 4 ? seen - 4 : 0);
      seen = in.size();
      if (end == std::string::npos) return false;
      const std::string stuffed = in.substr(0, end == 0 ? 0 : end + 2);
      in.erase(0, stuffed.size() + 3);
      seen = 0;
      std::string message;
      for (std::size_t line = 0; line < stuffed.size();) {
        if (stuffed[line] == '.') ++line;
        const std::size_t next = stuffed.find("\r\n", line);
        const std::size_t stop = next == std::string::npos ? stuffed.size() : next + 2;
        message.append(stuffed, line, stop - line);
        line = stop;
      }
      in_data = false;
      finish(message);
      return true;
    }
    bool take_chunk() {
      if (in.size() < chunk_left) return false;
      const std::string raw = in.substr(0, chunk_left);
      in.erase(0, chunk_left);
      in_chunk = false;
      chunk_left = 0;
      finish(raw);
      return true;
    }
    void finish(const std::string& bytes) {
      if (accepted > 0) server.messages.push_back({transaction, bytes});
      transaction.clear();
      answer("END", accepted > 0 ? "250 2.0.0 taken\r\n" : "554 5.5.1 nobody\r\n");
      accepted = 0;
      if (server.manners.close_after != 0 && ++taken == server.manners.close_after) stream.hang_up();
    }
    void command(const std::string& line) {
      server.commands.push_back(line);
      const std::string verb = line.substr(0, 4);
      transaction.push_back(line);
      if (verb == "EHLO") {
        transaction.clear();
        std::string reply = "250-mx.test\r\n";
        for (const auto& offer : server.manners.offers) reply += "250-" + offer + "\r\n";
        return answer("EHLO", reply + "250 HELP\r\n");
      }
      if (verb == "HELO") return answer("HELO", "250 mx.test\r\n");
      if (verb == "STAR") {
        answer("STARTTLS", "220 2.0.0 go\r\n");
        if (server.manners.tls) {
          EXPECT_TRUE(stream.start_tls_server(*server.manners.tls, io::TlsStart::upgrade));
          in.clear();
        }
        return;
      }
      if (verb == "AUTH") return answer("AUTH", "235 2.7.0 yes\r\n");
      if (verb == "RSET") return answer("RSET", "250 2.0.0 ok\r\n");
      if (verb == "MAIL") {
        accepted = 0;
        return answer("MAIL", "250 2.1.0 ok\r\n");
      }
      if (verb == "RCPT") {
        const std::string key = "RCPT " + line.substr(8, line.find('>') - 7);
        const auto own = server.manners.answers.find(key);
        const std::string reply = own != server.manners.answers.end() ? own->second : "250 2.1.5 ok\r\n";
        if (reply.front() == '2') ++accepted;
        return answer("RCPT", reply);
      }
      if (verb == "DATA") {
        const auto own = server.manners.answers.find("DATA");
        in_data = own == server.manners.answers.end() ? accepted > 0 : own->second.starts_with("354");
        return answer("DATA", accepted > 0 ? "354 go\r\n" : "503 5.5.1 no recipients\r\n");
      }
      if (verb == "BDAT") {
        chunk_left = std::stoul(line.substr(5));
        in_chunk = true;
        return;
      }
      answer(verb, verb == "QUIT" ? "221 2.0.0 bye\r\n" : "502 5.5.2 what\r\n");
    }
    void answer(const std::string& what, const std::string& usual) {
      const auto own = server.manners.answers.find(what);
      const std::string& reply = own != server.manners.answers.end() ? own->second : usual;
      if (reply == Manners::kSilence) return;
      if (reply == Manners::kReset) return stream.close();
      stream.write(reply);
    }

    TestServer& server;
    std::string in;
    std::vector<std::string> transaction;
    std::size_t accepted = 0, chunk_left = 0, taken = 0, seen = 0;
    bool in_data = false, in_chunk = false;
    io::TcpStream stream;
  };

  io::Loop& loop_;
  std::unique_ptr<io::Acceptor> acceptor_;
  std::vector<std::unique_ptr<Client>> clients_;
};

/// Answers from a table; what is not in it does not exist, insecurely.
class TestResolver final : public mail::dns::Resolver {
 public:
  std::map<mail::dns::Question, mail::dns::Answer> table;
  std::vector<mail::dns::Question> asked;

  void ask(const mail::dns::Question& question, Done done) override {
    asked.push_back(question);
    const auto found = table.find(question);
    mail::dns::Answer answer;
    answer.status = mail::dns::Status::none;
    answer.security = mail::dns::Security::insecure;
    answer.canonical_name = question.name;
    done(found == table.end() ? answer : found->second);
  }
};

inline mail::dns::Answer answer(std::vector<mail::dns::Record> records, mail::dns::Security security = mail::dns::Security::insecure) {
  mail::dns::Answer out;
  out.status = records.empty() ? mail::dns::Status::none : mail::dns::Status::found;
  out.security = security;
  out.records = std::move(records);
  return out;
}
inline mail::dns::Answer failed_answer(mail::dns::Security security = mail::dns::Security::unknown) {
  mail::dns::Answer out;
  out.security = security;
  return out;
}
inline mail::dns::Answer no_domain() {
  auto out = answer({});
  out.nxdomain = true;
  return out;
}
inline mail::dns::Record ip(const char* text) { return *IpAddress::parse(text); }

}  // namespace postern::remote::test
