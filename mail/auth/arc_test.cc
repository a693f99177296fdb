#include "mail/auth/arc.h"

#include <gtest/gtest.h>

#include "mail/auth/running_hash.h"
#include "mail/auth/test_keys.h"
#include "mail/limits.h"

namespace postern::mail::arc {
namespace {

using dkim::TestKey;

constexpr WallTime kNow{std::chrono::seconds{1'800'000'000}};
const std::string kMessage = "From: a@example.org\r\nSubject: x\r\n\r\nbody\r\n";

const TestKey& key() {
  static const TestKey made = TestKey::rsa(1024);
  return made;
}

FieldView view_of(const std::string& field) {
  const auto colon = field.find(':');
  return {.name = std::string_view(field).substr(0, colon),
          .raw = field,
          .value = std::string_view(field).substr(colon + 1, field.size() - colon - 3)};
}

/// Seals a message hop after hop as RFC 8617 §5.1 says; each hop's fields can be bent before they are signed.
class Chain {
 public:
  explicit Chain(std::string message = kMessage) : message_(std::move(message)) {}

  struct Hop {
    std::string domain = "hop.example";
    std::string cv = {};                    // empty: what the instance wants
    std::string names = "from:subject";
    std::string more_message = {}, more_seal = {};  // further tags, each ending in ";"
  };

  Chain& seal() { return seal(Hop()); }
  Chain& seal(const Hop& hop) {
    const std::string i = std::to_string(++instances_);
    const std::string results = "ARC-Authentication-Results: i=" + i + "; " + hop.domain + "; spf=pass\r\n";
    const std::string common = "i=" + i + "; a=rsa-sha256; d=" + hop.domain + "; s=sel; t=5;";

    const auto header = parse_header(bytes_of(message_));
    dkim::SignedMessage whole(*header, bytes_of(message_).subspan(header->body));
    const auto digest = whole.body().digest(dkim::Canon::relaxed, std::nullopt);
    const std::string message_start = "ARC-Message-Signature: " + common + hop.more_message + " c=relaxed/relaxed; h=" + hop.names +
                                      "; bh=" + crypto::base64(digest.hash) + "; b=";
    const std::string message_trial = message_start + "AAAA\r\n";
    const auto message_view = dkim::parse_signature(view_of(message_trial), dkim::Kind::arc_message);
    EXPECT_TRUE(message_view.has_value());
    const std::string message_field =
        message_start + crypto::base64(key().sign(whole.header_hash(*message_view))) + "\r\n";

    const std::string cv = hop.cv.empty() ? (instances_ == 1 ? "none" : "pass") : hop.cv;
    const std::string seal_start = "ARC-Seal: " + common + hop.more_seal + " cv=" + cv + "; b=";
    dkim::append_canonical_field(dkim::Canon::relaxed, results, sealed_);
    dkim::append_canonical_field(dkim::Canon::relaxed, message_field, sealed_);
    std::string own = sealed_;
    dkim::append_canonical_field(dkim::Canon::relaxed, seal_start, own);
    own.resize(own.size() - 2);
    const std::string seal_field =
        seal_start + crypto::base64(key().sign(crypto::sha256(bytes_of(own)))) + "\r\n";
    dkim::append_canonical_field(dkim::Canon::relaxed, seal_field, sealed_);
    message_ = seal_field + message_field + results + message_;
    return *this;
  }
  /// Changes the message as it is now: what is sealed later is over the change.
  Chain& change(const std::string& from, const std::string& to) {
    const auto at = message_.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    message_.replace(at, from.size(), to);
    return *this;
  }
  const std::string& message() const { return message_; }

 private:
  std::string message_;
  std::string sealed_;
  int instances_ = 0;
};

struct Run {
  Verdict verdict;
  std::size_t questions = 0;
  std::size_t rounds = 0;
};

Run run(const std::string& message, const dns::Answer& answer) {
  const auto header = parse_header(bytes_of(message));
  EXPECT_TRUE(header.has_value());
  Validator validator(*header, bytes_of(message).subspan(header->body));
  dns::Facts facts;
  Run out;
  for (;;) {
    auto result = validator.evaluate(facts, kNow);
    if (result.index() == 0) {
      out.verdict = std::get<0>(result);
      return out;
    }
    ++out.rounds;
    EXPECT_LE(std::get<1>(result).size(), limits::kArcQuestions);
    for (const auto& question : std::get<1>(result)) {
      EXPECT_FALSE(facts.has(question));
      facts.add(question, answer);
      ++out.questions;
    }
  }
}

Run run(const std::string& message) {
  return run(message, {.status = dns::Status::found, .records = {dns::Text{key().record()}}, .canonical_name = {}});
}

TEST(Arc, MessageWithoutSetsHasNoChain) {
  const auto r = run(kMessage);
  EXPECT_EQ(r.verdict.status, Status::none);
  EXPECT_EQ(r.questions, 0U);
}

TEST(Arc, ChainTellsItsSealersAndResults) {
  const auto r = run(Chain().seal().seal({.domain = "List.example"}).message());
  EXPECT_EQ(r.verdict.status, Status::pass) << r.verdict.reason;
  EXPECT_EQ(r.verdict.instances, 2U);
  ASSERT_EQ(r.verdict.sets.size(), 2U);
  EXPECT_EQ(r.verdict.sets[0].sealer, "hop.example");
  EXPECT_EQ(r.verdict.sets[1].sealer, "list.example");
  EXPECT_EQ(r.verdict.sets[1].results, "List.example; spf=pass");
  EXPECT_EQ(r.verdict.sets[0].cv, "none");
  EXPECT_TRUE(r.verdict.body_covered);
  EXPECT_EQ(r.verdict.oldest_pass, 0U);
  EXPECT_EQ(r.questions, 2U);
  EXPECT_EQ(r.rounds, 1U);
}

TEST(Arc, ChangeBetweenHopsShowsInOldestPassOnly) {  // RFC 8617 §5.2 step 5
  const auto r = run(Chain().seal().seal().change("body", "other body").seal().seal().message());
  EXPECT_EQ(r.verdict.status, Status::pass) << r.verdict.reason;
  EXPECT_EQ(r.verdict.oldest_pass, 3U);
}

TEST(Arc, ChangeAfterTheLastHopFails) {
  EXPECT_EQ(run(Chain().seal().seal().change("body", "other body").message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal().seal().change("Subject: x", "Subject: y").message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal().seal().change("body", "other body").message()).questions, 0U) << "the body hash decides first";
}

TEST(Arc, OldResultsAreUnderEverySeal) {
  const std::string forged = Chain().seal().seal().change("i=1; hop.example; spf=pass", "i=1; hop.example; spf=fail").message();
  const auto r = run(forged);
  EXPECT_EQ(r.verdict.status, Status::fail);
  EXPECT_NE(r.verdict.reason.find("ARC-Seal"), std::string::npos) << r.verdict.reason;
}

std::string without(std::string message, const std::string& field, const std::string& instance) {
  const auto at = message.find(field + ": i=" + instance + ";");
  EXPECT_NE(at, std::string::npos);
  return message.erase(at, message.find('\n', at) + 1 - at);
}

TEST(Arc, StructureIsHeldToTheLetter) {  // RFC 8617 §5.2 steps 1 to 3
  const std::string three = Chain().seal().seal().seal().message();
  ASSERT_EQ(run(three).verdict.status, Status::pass);
  const auto swap = [&](const std::string& from, const std::string& to) {
    std::string out = three;
    return out.replace(out.find(from), from.size(), to);
  };
  const struct {
    const char* what;
    std::string message;
  } cases[] = {
      {"no results in the middle", without(three, "ARC-Authentication-Results", "2")},
      {"no message signature in the middle", without(three, "ARC-Message-Signature", "2")},
      {"no seal in the middle", without(three, "ARC-Seal", "2")},
      {"a set is missing", without(without(without(three, "ARC-Seal", "2"), "ARC-Message-Signature", "2"), "ARC-Authentication-Results", "2")},
      {"the first is missing", without(without(without(three, "ARC-Seal", "1"), "ARC-Message-Signature", "1"), "ARC-Authentication-Results", "1")},
      {"results twice", "ARC-Authentication-Results: i=2; x\r\n" + three},
      {"instance nought", swap("ARC-Seal: i=1", "ARC-Seal: i=0")},
      {"instance 51", swap("ARC-Seal: i=3", "ARC-Seal: i=51")},
      {"instance without number", swap("ARC-Seal: i=3", "ARC-Seal: i=x")},
      {"results without instance", swap("ARC-Authentication-Results: i=2;", "ARC-Authentication-Results:")},
      {"broken seal", swap("ARC-Seal: i=2", "ARC-Seal: i=2;; y=1")},
      {"only results", "ARC-Authentication-Results: i=1; x\r\n" + kMessage},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const auto r = run(c.message);
    EXPECT_EQ(r.verdict.status, Status::fail);
    EXPECT_FALSE(r.verdict.reason.empty());
    EXPECT_EQ(r.questions, 0U);
  }
}

TEST(Arc, SealsMustSayWhatTheirPlaceWants) {
  EXPECT_EQ(run(Chain().seal({.cv = "pass"}).message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal({.cv = "fail"}).message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal().seal({.cv = "none"}).message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal().seal({.cv = "fail"}).message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal().seal({.cv = "fail"}).seal().message()).verdict.status, Status::fail);
  EXPECT_EQ(run(Chain().seal({.cv = "maybe"}).message()).verdict.status, Status::fail);
}

TEST(Arc, TagsThatRfc8617ForbidsFail) {
  EXPECT_EQ(run(Chain().seal({.more_seal = " h=from;"}).message()).verdict.status, Status::fail);              // §4.1.3
  EXPECT_EQ(run(Chain().seal().seal({.names = "from:arc-seal"}).message()).verdict.status, Status::fail);      // §4.1.2
  EXPECT_EQ(run(Chain().seal().seal({.names = "from:dkim-signature"}).message()).verdict.status, Status::pass);
  EXPECT_EQ(run(Chain().seal({.more_message = " w=1;", .more_seal = " w=1;"}).message()).verdict.status, Status::pass);
  EXPECT_EQ(run(Chain().seal({.more_message = " x=6;"}).message()).verdict.status, Status::fail);              // expired
}

TEST(Arc, FiftySetsPassAndAskInSmallNumbers) {
  Chain chain;
  for (std::size_t i = 1; i <= limits::kArcInstances; ++i) chain.seal({.domain = "d" + std::to_string(i) + ".example"});
  const auto at_limit = run(chain.message());
  EXPECT_EQ(at_limit.verdict.status, Status::pass) << at_limit.verdict.reason;
  EXPECT_EQ(at_limit.verdict.instances, 50U);
  EXPECT_EQ(at_limit.questions, 50U);
  EXPECT_EQ(run("ARC-Authentication-Results: i=51; x\r\n" + chain.message()).verdict.status, Status::fail);
}

TEST(Arc, KeyTroubleFailsTheChainAndSaysWhetherItMayPass) {
  const std::string message = Chain().seal().message();
  const auto temporary = run(message, {.status = dns::Status::failure, .records = {}, .canonical_name = {}});
  EXPECT_EQ(temporary.verdict.status, Status::fail);
  EXPECT_TRUE(temporary.verdict.temporary);
  const auto gone = run(message, {.status = dns::Status::none, .records = {}, .canonical_name = {}});
  EXPECT_EQ(gone.verdict.status, Status::fail);
  EXPECT_FALSE(gone.verdict.temporary);
}

}  // namespace
}  // namespace postern::mail::arc
