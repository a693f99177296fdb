#include "listener/data_sink.h"

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/crypto.h"
#include "io/memfd.h"
#include "mail/limits.h"

namespace postern::listener {
namespace {

constexpr DataSink::Limits kUsual{.max_bytes = 1 << 20, .max_received = 50, .bare_newline = BareNewline::reject};

std::string body_of(DataSink& sink) {
  auto fd = sink.seal();
  EXPECT_TRUE(fd);
  auto bytes = io::read_sealed(*fd, sink.size(), 1 << 30);
  EXPECT_TRUE(bytes);
  return bytes ? std::string(text_of(*bytes)) : "";
}

struct Outcome {
  bool ended = false;
  Fault fault = Fault::none;
  std::string body;
  std::string rest;
  bool operator==(const Outcome&) const = default;
};

/// Feeds `text` cut at `split`.
Outcome deliver(std::string_view text, std::size_t split, BareNewline mode = BareNewline::reject) {
  Budget budget(1 << 24);
  auto limits = kUsual;
  limits.bare_newline = mode;
  DataSink sink(limits, budget);
  Outcome out;
  for (const auto piece : {text.substr(0, split), text.substr(split)}) {
    if (out.ended) {
      out.rest += piece;
      continue;
    }
    const auto fed = sink.feed(piece);
    out.ended = fed.ended;
    out.rest += piece.substr(fed.consumed);
  }
  out.fault = sink.fault();
  if (out.ended && out.fault == Fault::none) out.body = body_of(sink);
  return out;
}

/// The same outcome wherever the text is cut.
Outcome deliver_everywhere(std::string_view text, BareNewline mode = BareNewline::reject) {
  const Outcome whole = deliver(text, text.size(), mode);
  for (std::size_t split = 0; split < text.size(); ++split) EXPECT_EQ(deliver(text, split, mode), whole) << "cut at " << split << ": " << text;
  return whole;
}

TEST(DataSink, KeepsLinesAndTakesStuffedDotsAway) {  // RFC 5321 §4.5.2
  struct Case { std::string_view sent, kept; };
  for (const auto& c : {Case{"\r\n.\r\n", "\r\n"}, Case{".\r\n", ""}, Case{"a\r\n.\r\n", "a\r\n"}, Case{"..\r\n.\r\n", ".\r\n"},
                        Case{"a\r\n..b\r\n...\r\n.\r\n", "a\r\n.b\r\n..\r\n"}, Case{".a\r\n.\r\n", "a\r\n"}, Case{"a.\r\n.\r\n", "a.\r\n"},
                        Case{"a\r\n\r\n.\r\n", "a\r\n\r\n"}, Case{". \r\n.\r\n", " \r\n"}}) {
    const Outcome out = deliver_everywhere(std::string(c.sent) + "QUIT\r\n");
    EXPECT_TRUE(out.ended) << c.sent;
    EXPECT_EQ(out.body, c.kept) << c.sent;
    EXPECT_EQ(out.rest, "QUIT\r\n") << c.sent;
  }
}

TEST(DataSink, BareLineEndsAreFaultsAndNeverTheEnd) {
  for (const std::string_view bad : {"a\nb", "a\rb", "\n", "\r", "\r\r\n", "\n\r", "\n.\r\n", "\r\n.\n", "\r\n.\r", "\n.\n", "\r.\r", "\n.\r"}) {
    const std::string text = "x" + std::string(bad) + "y\r\n.\r\nQUIT\r\n";
    const Outcome out = deliver_everywhere(text);
    EXPECT_TRUE(out.ended) << text;
    EXPECT_EQ(out.fault, Fault::bare_newline) << text;
    EXPECT_EQ(out.rest, "QUIT\r\n") << text;
  }
}

TEST(DataSink, NormalizesBareLineEndsWhereTheOperatorWantsIt) {
  struct Case { std::string_view sent, kept; };
  for (const auto& c : {Case{"a\nb", "a\r\nb"}, Case{"a\rb", "a\r\nb"}, Case{"a\r\rb", "a\r\n\r\nb"}, Case{"a\n\nb", "a\r\n\r\nb"},
                        Case{"a\r\r\nb", "a\r\n\r\nb"}, Case{"a\n.\nb", "a\r\n.\r\nb"}, Case{"a\r\n.\nb", "a\r\n\r\nb"}, Case{"a\n.\r\nb", "a\r\n.\r\nb"},
                        Case{"a\n..b", "a\r\n..b"}, Case{"a\r\n.\rb", "a\r\n\r\nb"}}) {
    const Outcome out = deliver_everywhere(std::string(c.sent) + "\r\n.\r\nQUIT\r\n", BareNewline::normalize);
    EXPECT_EQ(out.fault, Fault::none) << c.sent;
    EXPECT_EQ(out.body, std::string(c.kept) + "\r\n") << c.sent;
    EXPECT_EQ(out.rest, "QUIT\r\n") << c.sent;
  }
}

// tests/vectors/smtp-smuggling: look-alikes of the end of data, cut at every byte.
TEST(Smuggling, EndsOnlyAtCrlfDotCrlf) {
  std::ifstream file(POSTERN_SOURCE_DIR "/tests/vectors/smtp-smuggling/sequences.json");
  const auto vectors = nlohmann::json::parse(file);
  ASSERT_EQ(vectors["sequences"].size(), 16U);
  const std::string smuggled = "MAIL FROM:<evil@a.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\nSubject: 2\r\n\r\nsmuggled";
  for (const auto& vector : vectors["sequences"]) {
    const std::string name = vector["name"];
    const auto bytes = crypto::from_hex(vector["hex"].get<std::string>());
    ASSERT_TRUE(bytes);
    const bool true_end = vector["true_end"];
    const std::string text = "Subject: 1\r\n\r\nfirst" + std::string(text_of(*bytes)) + smuggled + "\r\n.\r\nQUIT\r\n";
    for (const auto mode : {BareNewline::reject, BareNewline::normalize}) {
      const Outcome out = deliver_everywhere(text, mode);
      EXPECT_TRUE(out.ended) << name;
      if (true_end) {
        EXPECT_EQ(out.body, "Subject: 1\r\n\r\nfirst\r\n") << name;
        EXPECT_TRUE(out.rest.starts_with("MAIL FROM")) << name;
        continue;
      }
      EXPECT_EQ(out.rest, "QUIT\r\n") << name << ": what was smuggled became commands";
      // What is kept has canonical line ends only, so nobody behind us can see another end.
      for (std::size_t i = 0; i < out.body.size(); ++i) {
        const bool after_cr = i > 0 && out.body[i - 1] == '\r';
        EXPECT_EQ(out.body[i] == '\n', after_cr) << name;
      }
    }
  }
}

TEST(DataSink, NulIsAFault) {
  EXPECT_EQ(deliver_everywhere(std::string_view("a\0b\r\n.\r\n", 8)).fault, Fault::nul);
}

TEST(DataSink, SizeIsEnforcedWhileReceiving) {
  for (const auto& [size, fault] : {std::pair{std::size_t{1000}, Fault::none}, {std::size_t{1001}, Fault::too_large}}) {
    Budget budget(1 << 20);
    DataSink sink({.max_bytes = 1000, .max_received = 50, .bare_newline = BareNewline::reject}, budget);
    const std::string text = std::string(size - 2, 'x') + "\r\n.\r\n";
    EXPECT_TRUE(sink.feed(text).ended);
    EXPECT_EQ(sink.fault(), fault) << size;
    EXPECT_EQ(budget.used(), fault == Fault::none ? size : 0U) << "a refused body holds no memory";
  }
}

TEST(DataSink, MemoryIsTakenFromTheBudgetAndGivenBack) {
  Budget budget(100'000);
  {
    DataSink first(kUsual, budget), second(kUsual, budget);
    (void)first.feed(std::string(70'000, 'x'));
    EXPECT_EQ(budget.used(), 70'000U);
    (void)second.feed(std::string(40'000, 'x'));
    EXPECT_EQ(second.fault(), Fault::memory);
    EXPECT_EQ(first.fault(), Fault::none);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Budget, ANewBodyIsAdmittedOnlyOutsideTheReserve) {
  Budget budget(800);
  EXPECT_TRUE(budget.admits(700));
  EXPECT_FALSE(budget.admits(701));
  EXPECT_TRUE(budget.take(800));
  EXPECT_FALSE(budget.admits(0));
  EXPECT_FALSE(budget.take(1));
  budget.give(800);
  EXPECT_TRUE(budget.admits(700));
}

TEST(DataSink, CountsReceivedFieldsOfTheHeaderOnly) {  // RFC 5321 §6.3
  const auto fault_of = [](std::string_view head, int count) {
    Budget budget(1 << 20);
    DataSink sink({.max_bytes = 1 << 20, .max_received = 3, .bare_newline = BareNewline::reject}, budget);
    std::string text(head);
    for (int i = 0; i < count; ++i) text += i % 2 == 0 ? "Received: from a\r\n\tby b; x\r\n" : "RECEIVED: c\r\n";
    text += "Received-SPF: pass\r\nX: Received: no\r\n\r\nbody\r\n.\r\n";
    for (char c : text) (void)sink.feed({&c, 1});  // one byte at a time
    return sink.fault();
  };
  EXPECT_EQ(fault_of("", 3), Fault::none);
  EXPECT_EQ(fault_of("", 4), Fault::loop);
  EXPECT_EQ(fault_of("\r\n", 4), Fault::none);  // in the body
}

TEST(DataSink, TheHeaderHasALimit) {
  for (const auto& [extra, fault] : {std::pair{std::size_t{0}, Fault::none}, {std::size_t{1}, Fault::header_too_large}}) {
    Budget budget(1 << 24);
    DataSink sink({.max_bytes = 1 << 24, .max_received = 50, .bare_newline = BareNewline::reject}, budget);
    (void)sink.feed("A:" + std::string(mail::limits::kHeaderBytes - 6 + extra, 'x') + "\r\n\r\n");
    (void)sink.feed(std::string(100'000, 'b'));  // the body does not count
    EXPECT_EQ(sink.fault(), fault) << extra;
  }
}

TEST(DataSink, LargeBodiesGoToTheFilePiecewise) {
  Budget budget(1 << 24);
  DataSink sink({.max_bytes = 1 << 24, .max_received = 50, .bare_newline = BareNewline::reject}, budget);
  std::string expected = "\r\n";
  (void)sink.feed(expected);
  for (int i = 0; i < 40'000; ++i) {
    const std::string line = std::to_string(i) + " abcdefghijklmnopqrstuvwxyz\r\n";
    expected += line;
    ASSERT_EQ(sink.feed(line).consumed, line.size());
  }
  EXPECT_TRUE(sink.feed(".\r\n").ended);
  EXPECT_EQ(body_of(sink), expected);
}

TEST(Chunks, AreTakenWithoutDotsAndCutAnywhere) {  // RFC 3030 §2
  const std::string text = "Subject: x\r\n\r\n.\r\n..\r\nend";
  for (std::size_t split = 0; split <= text.size(); ++split) {
    Budget budget(1 << 20);
    DataSink sink(kUsual, budget);
    sink.feed_chunk(text.substr(0, split));
    sink.feed_chunk(text.substr(split));
    sink.finish_chunks();
    ASSERT_EQ(sink.fault(), Fault::none);
    EXPECT_EQ(body_of(sink), text + "\r\n") << "the last line gets its end";
  }
}

TEST(Chunks, BareLineEndsAreFaultsThereToo) {
  for (const std::string_view bad : {"a\nb\r\n", "a\rb\r\n", "a\r", "a\n"}) {
    for (std::size_t split = 0; split <= bad.size(); ++split) {
      Budget budget(1 << 20);
      DataSink sink(kUsual, budget);
      sink.feed_chunk(bad.substr(0, split));
      sink.feed_chunk(bad.substr(split));
      sink.finish_chunks();
      EXPECT_EQ(sink.fault(), Fault::bare_newline) << bad << split;
    }
  }
}

TEST(Chunks, NormalizedTextEndsInOneLineEnd) {
  for (const std::string_view text : {"a\r", "a\n", "a", "a\r\n"}) {
    Budget budget(1 << 20);
    auto limits = kUsual;
    limits.bare_newline = BareNewline::normalize;
    DataSink sink(limits, budget);
    sink.feed_chunk(text);
    sink.finish_chunks();
    EXPECT_EQ(body_of(sink), "a\r\n") << text;
  }
}

TEST(DataSink, KnowsWhether8BitTextIsThere) {
  Budget budget(1 << 20);
  DataSink plain(kUsual, budget), high(kUsual, budget);
  (void)plain.feed("abc\r\n.\r\n");
  (void)high.feed("\xC3\xA4\r\n.\r\n");
  EXPECT_FALSE(plain.has_8bit());
  EXPECT_TRUE(high.has_8bit());
}

/// Processor time that a sink takes for `size` bytes of nothing but `c`, in one feed.
double seconds_for(std::size_t size, char c) {
  Budget budget(1 << 24);
  auto limits = kUsual;
  limits.max_bytes = 1 << 24;
  limits.bare_newline = BareNewline::normalize;
  DataSink sink(limits, budget);
  const std::string text(size, c);
  const std::clock_t begin = std::clock();
  (void)sink.feed(text);
  EXPECT_GE(sink.size(), 2 * size - 2);
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

// Nothing but CR, or LF: eight times the bytes cost some eight times the time, not sixty-four times. The scan never looks at a byte twice.
TEST(DataSink, HostileLineEndsCostLinearTime) {
  for (const char c : {'\r', '\n'}) {
    const double little = seconds_for(1 << 16, c);
    EXPECT_LT(seconds_for(1 << 19, c), 30 * little + 0.05) << "after " << little << " s for an eighth";
  }
}

}  // namespace
}  // namespace postern::listener
