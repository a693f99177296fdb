#include "mail/auth/dkim.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "mail/auth/dkim_sign.h"
#include "mail/auth/test_keys.h"
#include "mail/limits.h"

namespace postern::mail::dkim {
namespace {

constexpr WallTime kNow{std::chrono::seconds{1'800'000'000}};

const TestKey& rsa_key() {
  static const TestKey key = TestKey::rsa(1024);
  return key;
}

const std::string kMessage =
    "From: Joe <joe@example.com>\r\nTo: sue@example.net\r\nSubject: Is dinner\r\n ready?\r\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700\r\nMessage-ID: <1@example.com>\r\n\r\nHi.\r\n\r\nWe lost.\r\n";

/// A DKIM-Signature field over `message` with the given tags (all but bh= and b=, ending in ";"), made by hand so that odd ones can
/// be made: the hash is computed by the rules of RFC 6376 §3.7 from the parsed field.
std::string sign(const std::string& message, const std::string& tags, const TestKey& key, Canon body_canon = Canon::simple,
                 std::optional<std::uint64_t> length = {}) {
  const auto header = parse_header(bytes_of(message));
  SignedMessage whole(*header, bytes_of(message).subspan(header->body));
  const auto digest = whole.body().digest(body_canon, length);
  std::string field = "DKIM-Signature: " + tags + " bh=" + crypto::base64(digest.hash) + "; b=";
  const std::string trial = field + "AAAA\r\n";
  const FieldView view{.name = std::string_view(trial).substr(0, 14),
                       .raw = trial,
                       .value = std::string_view(trial).substr(15, trial.size() - 17)};
  auto parsed = parse_signature(view, Kind::dkim);
  EXPECT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().message);
  return field + crypto::base64(key.sign(whole.header_hash(*parsed))) + "\r\n";
}

const std::string kTags = "v=1; a=rsa-sha256; d=example.com; s=sel; c=relaxed; h=from:to:subject:from;";

dns::Facts facts_of(std::initializer_list<std::pair<std::string, std::vector<std::string>>> zone) {
  dns::Facts facts;
  for (const auto& [name, texts] : zone) {
    dns::Answer answer{.status = dns::Status::found, .records = {}, .canonical_name = name};
    for (const auto& text : texts) answer.records.emplace_back(dns::Text{text});
    facts.add({name, dns::Type::txt}, answer);
  }
  return facts;
}

std::vector<SignatureResult> judge(const std::string& message, const dns::Facts& facts, WallTime now = kNow) {
  const auto header = parse_header(bytes_of(message));
  Verifier verifier(*header, bytes_of(message).subspan(header->body));
  auto result = verifier.evaluate(facts, now);
  EXPECT_EQ(result.index(), 0U) << "asks for " << (result.index() == 1 ? std::get<1>(result)[0].name : "");
  return result.index() == 0 ? std::get<0>(result) : std::vector<SignatureResult>{};
}

SignatureResult judge_one(const std::string& message, const std::vector<std::string>& records, WallTime now = kNow) {
  const auto results = judge(message, facts_of({{"sel._domainkey.example.com", records}}), now);
  EXPECT_EQ(results.size(), 1U);
  return results.empty() ? SignatureResult{} : results[0];
}

TEST(Dkim, MessageWithoutSignatureHasNoResult) { EXPECT_TRUE(judge(kMessage, {}).empty()); }

TEST(Dkim, AsksForEachKeyOnceAndRemembersTheRest) {
  const std::string one = sign(kMessage, kTags, rsa_key());
  std::string other_tags = kTags;
  other_tags.replace(other_tags.find("s=sel"), 5, "s=two");
  const std::string message = one + one + sign(kMessage, other_tags, rsa_key()) + kMessage;
  const auto header = parse_header(bytes_of(message));
  Verifier verifier(*header, bytes_of(message).subspan(header->body));
  dns::Facts facts;
  auto asked = std::get<dns::Questions>(verifier.evaluate(facts, kNow));
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0], (dns::Question{"sel._domainkey.example.com", dns::Type::txt}));
  EXPECT_EQ(asked[1], (dns::Question{"two._domainkey.example.com", dns::Type::txt}));
  facts = facts_of({{"sel._domainkey.example.com", {rsa_key().record()}}});
  asked = std::get<dns::Questions>(verifier.evaluate(facts, kNow));
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].name, "two._domainkey.example.com");
  facts.add(asked[0], {.status = dns::Status::failure, .records = {}, .canonical_name = {}});
  const auto results = std::get<0>(verifier.evaluate(facts, kNow));
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].result, Outcome::pass);
  EXPECT_EQ(results[1].result, Outcome::pass);
  EXPECT_EQ(results[2].result, Outcome::temperror);
}

TEST(Dkim, PassSaysWhoSignedWhat) {
  const auto r = judge_one(sign(kMessage, kTags + " i=joe=2Bx@mail.Example.com;", rsa_key()) + kMessage, {rsa_key().record()});
  EXPECT_EQ(r.result, Outcome::pass) << r.reason;
  EXPECT_EQ(r.domain, "example.com");
  EXPECT_EQ(r.selector, "sel");
  EXPECT_EQ(r.identity, "joe=2Bx@mail.Example.com");
  EXPECT_EQ(r.algorithm, "rsa-sha256");
  EXPECT_EQ(r.header_b.size(), 8U);
  EXPECT_EQ(r.key_bits, 1024U);
  EXPECT_TRUE(r.body_covered);
  EXPECT_FALSE(r.testing);
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Dkim, ChangesThatCanonicalizationHidesPassOthersFail) {
  const std::string message = sign(kMessage, with(kTags, "c=relaxed", "c=relaxed/relaxed"), rsa_key(), Canon::relaxed) + kMessage;
  const struct {
    const char* what;
    std::string message;
    Outcome outcome;
  } cases[] = {
      {"nothing", message, Outcome::pass},
      {"refolded subject", with(message, "dinner\r\n ready", "dinner ready"), Outcome::pass},
      {"unsigned field", with(message, "<1@", "<2@"), Outcome::pass},
      {"blanks in the body", with(message, "We lost.", "We  lost. \t"), Outcome::pass},
      {"empty lines at the end", message + "\r\n\r\n", Outcome::pass},
      {"a word of the subject", with(message, "dinner", "supper"), Outcome::fail},
      {"a word of the body", with(message, "lost", "won"), Outcome::fail},
      {"text after the body", message + "x", Outcome::fail},
      {"a second From above", with(message, "From: Joe", "From: Eve <e@example.org>\r\nFrom: Joe"), Outcome::fail},
      {"a second From below", with(message, "\r\n\r\nHi", "\r\nFrom: Eve <e@example.org>\r\n\r\nHi"), Outcome::fail},
      {"To taken out", with(message, "To: sue@example.net\r\n", ""), Outcome::fail},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const auto r = judge_one(c.message, {rsa_key().record()});
    EXPECT_EQ(r.result, c.outcome) << r.reason;
  }
}

TEST(Dkim, MessageThatReadersTakeDifferentlyDoesNotPass) {  // RFC 6376 §3.8, §8.15
  const std::string message = sign(kMessage, with(kTags, "h=from:to:subject:from", "h=from:to:subject"), rsa_key()) + kMessage;
  const struct {
    const char* what;
    std::string message;
    Outcome outcome;
  } cases[] = {
      {"as it was signed", message, Outcome::pass},
      {"another From above, not oversigned", "From: Eve <e@example.org>\r\n" + message, Outcome::policy},
      {"a line that ends the header for some", "Subject: x\r\nno field\r\n" + message, Outcome::policy},
      {"the first line of an mbox", "From joe Mon Jan  1 00:00:00 2024\r\n" + message, Outcome::pass},
      {"such a line elsewhere", "X: 1\r\nFrom joe Mon Jan  1 00:00:00 2024\r\n" + message, Outcome::policy},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(judge_one(c.message, {rsa_key().record()}).result, c.outcome);
  }
  const std::string no_from = "To: a@example.com\r\n\r\nHi\r\n";
  EXPECT_EQ(judge_one(sign(no_from, kTags, rsa_key()) + no_from, {rsa_key().record()}).result, Outcome::policy);
}

TEST(Dkim, FieldsOfOneNameAreTakenFromTheBottom) {  // RFC 6376 §5.4.2
  const std::string base = with(kMessage, "To: ", "X-A: 1\r\nX-A: 2\r\nTo: ");
  const std::string message = sign(base, with(kTags, "h=from", "h=x-a:from"), rsa_key()) + base;
  EXPECT_EQ(judge_one(message, {rsa_key().record()}).result, Outcome::pass);
  EXPECT_EQ(judge_one(with(message, "X-A: 1", "X-A: 9"), {rsa_key().record()}).result, Outcome::pass);
  EXPECT_EQ(judge_one(with(message, "X-A: 2", "X-A: 9"), {rsa_key().record()}).result, Outcome::fail);
}

TEST(Dkim, BodyLengthIsReportedAndCoversNoMore) {  // RFC 6376 §8.2
  const std::string field = sign(kMessage, kTags + " l=5;", rsa_key(), Canon::simple, 5);
  const auto appended = judge_one(field + kMessage + "<b>evil</b>\r\n", {rsa_key().record()});
  EXPECT_EQ(appended.result, Outcome::pass) << appended.reason;
  EXPECT_EQ(appended.body_length, 5U);
  EXPECT_FALSE(appended.body_covered);
  EXPECT_FALSE(appended.reason.empty());
  const std::size_t size = kMessage.size() - kMessage.find("\r\n\r\n") - 4;
  const auto whole = judge_one(sign(kMessage, kTags + " l=" + std::to_string(size) + ";", rsa_key(), Canon::simple, size) + kMessage,
                               {rsa_key().record()});
  EXPECT_EQ(whole.result, Outcome::pass);
  EXPECT_TRUE(whole.body_covered);
  const auto past = judge_one(sign(kMessage, kTags + " l=" + std::to_string(size + 1) + ";", rsa_key()) + kMessage,
                              {rsa_key().record()});
  EXPECT_EQ(past.result, Outcome::permerror);
}

TEST(Dkim, ClockIsHeldAgainstTimeAndExpiry) {  // RFC 6376 §3.5
  const std::string message = sign(kMessage, kTags + " t=1800000000; x=1800000100;", rsa_key()) + kMessage;
  using std::chrono::seconds;
  const struct {
    seconds at;
    Outcome outcome;
  } cases[] = {{seconds(0), Outcome::pass},
               {seconds(100), Outcome::pass},
               {seconds(101), Outcome::policy},
               {-seconds(limits::kDkimClockSkew), Outcome::pass},
               {-seconds(limits::kDkimClockSkew) - seconds(1), Outcome::policy}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.at.count());
    EXPECT_EQ(judge_one(message, {rsa_key().record()}, kNow + c.at).result, c.outcome);
  }
}

TEST(Dkim, KeyRecordsDecide) {
  const std::string message = sign(kMessage, kTags + " i=@sub.example.com;", rsa_key()) + kMessage;
  const std::string good = rsa_key().record(), p = rsa_key().p();
  static const std::string other = TestKey::rsa(1024).record();
  const struct {
    const char* what;
    std::vector<std::string> records;
    Outcome outcome;
  } cases[] = {
      {"the key", {good}, Outcome::pass},
      {"no record", {}, Outcome::permerror},
      {"another's key", {other}, Outcome::fail},
      {"revoked", {"v=DKIM1; p="}, Outcome::permerror},
      {"another kind", {TestKey::ed25519().record()}, Outcome::permerror},
      {"t=s forbids the subdomain of i=", {"v=DKIM1; t=s; p=" + p}, Outcome::permerror},
      {"h= without sha256", {"v=DKIM1; h=sha1; p=" + p}, Outcome::permerror},
      {"broken", {"v=DKIM1; p"}, Outcome::permerror},
      {"the right one of several", {"v=spf1 -all", other, "v=DKIM1; p=", good}, Outcome::pass},
      {"another's and a broken one", {"v=DKIM1; p", other}, Outcome::fail},
      {"the last that is tried", {other, other, other, good}, Outcome::pass},
      {"past the last that is tried", {other, other, other, other, good}, Outcome::fail},
  };
  static_assert(limits::kDkimKeys == 4);
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const auto r = judge_one(message, c.records);
    EXPECT_EQ(r.result, c.outcome) << r.reason;
    EXPECT_EQ(r.reason.empty(), c.outcome == Outcome::pass);
  }
  EXPECT_TRUE(judge_one(message, {"v=DKIM1; t=y; p=" + p}).testing);
}

TEST(Dkim, RsaKeysHaveBounds) {  // RFC 8301 §3.2
  const struct {
    unsigned bits;
    Outcome outcome;
  } cases[] = {{512, Outcome::policy},  {1016, Outcome::policy}, {1024, Outcome::pass},
               {2048, Outcome::pass}, {4096, Outcome::pass}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.bits);
    const TestKey key = TestKey::rsa(c.bits);
    EXPECT_EQ(judge_one(sign(kMessage, kTags, key) + kMessage, {key.record()}).result, c.outcome);
  }
}

TEST(Dkim, Sha1IsNotAccepted) {  // RFC 8301 §3.1
  const auto r = judge(with(sign(kMessage, kTags, rsa_key()), "a=rsa-sha256", "a=rsa-sha1") + kMessage, {});
  ASSERT_EQ(r.size(), 1U);
  EXPECT_EQ(r[0].result, Outcome::policy);
}

TEST(Dkim, SyntaxFaultsAreNamedAndAskNothing) {
  const std::string good = sign(kMessage, kTags + " q=dns/txt; i=@example.com; t=5; x=6; l=3;", rsa_key(), Canon::simple, 3);
  const struct {
    const char* what;
    std::string field;
  } cases[] = {
      {"no version", with(good, "v=1;", "")},
      {"another version", with(good, "v=1", "v=2")},
      {"unknown algorithm", with(good, "rsa-sha256", "rsa-sha512")},
      {"no domain", with(good, "d=example.com;", "")},
      {"empty domain", with(good, "d=example.com", "d=")},
      {"domain with an empty label", with(good, "d=example.com", "d=example..com")},
      {"domain with a final dot", with(good, "d=example.com", "d=example.com.")},
      {"domain with an odd character", with(good, "d=example.com", "d=exa/mple.com")},
      {"no selector", with(good, "s=sel;", "")},
      {"empty selector", with(good, "s=sel", "s=")},
      {"From is not signed", with(good, "h=from:to:subject:from", "h=to:subject")},
      {"h= is empty", with(good, "h=from:to:subject:from", "h=")},
      {"h= has an empty item", with(good, "h=from:to", "h=from::to")},
      {"i= is another domain", with(good, "i=@example.com", "i=@example.org")},
      {"i= only ends alike", with(good, "i=@example.com", "i=@badexample.com")},
      {"i= has no @", with(good, "i=@example.com", "i=example.com")},
      {"unknown canonicalization", with(good, "c=relaxed", "c=nofws")},
      {"empty canonicalization", with(good, "c=relaxed", "c=")},
      {"canonicalization too long", with(good, "c=relaxed", "c=relaxed/simple/simple")},
      {"unknown query", with(good, "q=dns/txt", "q=http")},
      {"t= is no number", with(good, "t=5", "t=5x")},
      {"t= is empty", with(good, "t=5", "t=")},
      {"x= is not after t=", with(good, "x=6", "x=5")},
      {"l= is negative", with(good, "l=3", "l=-3")},
      {"l= is too long", with(good, "l=3", "l=99999999999999999999999999")},
      {"duplicate tag", with(good, "s=sel;", "s=sel; s=sel;")},
      {"no bh", with(good, "bh=", "zz=")},
      {"b is empty", with(good, good.substr(good.find("b=", good.find("bh=") + 3)), "b=\r\n")},
      {"b is not base64", with(good, good.substr(good.find("b=", good.find("bh=") + 3)), "b=@@@@\r\n")},
      {"not a list", "DKIM-Signature: hello\r\n"},
      {"empty", "DKIM-Signature:\r\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    const auto results = judge(c.field + kMessage, {});
    ASSERT_EQ(results.size(), 1U);
    EXPECT_EQ(results[0].result, Outcome::permerror);
    EXPECT_FALSE(results[0].reason.empty());
  }
}

TEST(Dkim, OwnFieldIsNeverSelectedByName) {
  const std::string older = "DKIM-Signature: v=0; x\r\n" + kMessage;
  const std::string tags = with(kTags, "h=from", "h=dkim-signature:dkim-signature:from");
  const auto results =
      judge(sign(older, tags, rsa_key()) + older, facts_of({{"sel._domainkey.example.com", {rsa_key().record()}}}));
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].result, Outcome::pass) << results[0].reason;
}

TEST(Dkim, InternationalNamesAreAskedAsALabels) {  // RFC 8616 §5
  std::string message = kMessage;
  const std::string tags =
      "v=1; a=rsa-sha256; d=b\xc3\xbc" "cher.example; i=j\xc3\xb6@B\xc3\x9c" "CHER.example; s=s\xc3\xa9l; h=from;";
  message = sign(message, tags, rsa_key()) + message;
  const auto results = judge(message, facts_of({{"xn--sl-bja._domainkey.xn--bcher-kva.example", {rsa_key().record()}}}));
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].result, Outcome::pass) << results[0].reason;
  EXPECT_EQ(results[0].domain, "xn--bcher-kva.example");
}

TEST(Dkim, ThousandSignaturesCostNoMoreThanEight) {
  const std::string one = sign(kMessage, kTags, rsa_key());
  std::string message;
  for (int i = 0; i < 1000; ++i) message += with(one, "s=sel", "s=s" + std::to_string(i));
  message += kMessage;
  const auto header = parse_header(bytes_of(message));
  ASSERT_TRUE(header.has_value());
  Verifier verifier(*header, bytes_of(message).subspan(header->body));
  dns::Facts facts;
  const auto asked = std::get<dns::Questions>(verifier.evaluate(facts, kNow));
  EXPECT_EQ(asked.size(), limits::kDkimSignatures);
  for (const auto& question : asked)
    facts.add(question, {.status = dns::Status::found, .records = {dns::Text{rsa_key().record()}}, .canonical_name = {}});
  const auto results = std::get<0>(verifier.evaluate(facts, kNow));
  ASSERT_EQ(results.size(), 1000U);
  const auto count = [&](Outcome o) { return std::ranges::count(results, o, &SignatureResult::result); };
  EXPECT_EQ(count(Outcome::fail), std::ptrdiff_t{limits::kDkimSignatures});
  EXPECT_EQ(count(Outcome::policy), 1000 - std::ptrdiff_t{limits::kDkimSignatures});
}

TEST(Dkim, SignatureOfTheAuthorsDomainIsAmongTheEight) {
  std::string message;
  for (int i = 0; i < 20; ++i)
    message += sign(kMessage, with(kTags, "d=example.com", "d=x" + std::to_string(i) + ".example.org"), rsa_key());
  message += sign(kMessage, kTags, rsa_key()) + kMessage;
  const auto header = parse_header(bytes_of(message));
  Verifier verifier(*header, bytes_of(message).subspan(header->body));
  const auto asked = std::get<dns::Questions>(verifier.evaluate({}, kNow));
  EXPECT_EQ(asked.size(), limits::kDkimSignatures);
  EXPECT_EQ(std::ranges::count(asked, "sel._domainkey.example.com", &dns::Question::name), 1);
}

TEST(Dkim, HeaderBTellsSignaturesApart) {  // RFC 6008 §3
  const std::string a = "DKIM-Signature: b=AAAABBBBCCCC\r\n", b = "DKIM-Signature: b=AAAABBBBCDDD\r\n";
  const auto results = judge(a + b + "DKIM-Signature: b=ZZ\r\n" + kMessage, {});
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].header_b, "AAAABBBBCC");
  EXPECT_EQ(results[1].header_b, "AAAABBBBCD");
  EXPECT_EQ(results[2].header_b, "ZZ");
}

TEST(DkimSign, WhatWeSignVerifies) {
  static const TestKey ed = TestKey::ed25519();
  for (const bool use_rsa : {true, false})
    for (const Canon header_canon : {Canon::simple, Canon::relaxed})
      for (const Canon body_canon : {Canon::simple, Canon::relaxed}) {
        const TestKey& key = use_rsa ? rsa_key() : ed;
        const auto header = parse_header(bytes_of(kMessage));
        const SigningRequest request{.domain = "example.com",
                                     .selector = "sel",
                                     .algorithm = use_rsa ? Algorithm::rsa_sha256 : Algorithm::ed25519_sha256,
                                     .header_canon = header_canon,
                                     .body_canon = body_canon};
        const auto draft = prepare(*header, bytes_of(kMessage).subspan(header->body), request, kNow);
        ASSERT_TRUE(draft.has_value());
        const std::string field = finish(*draft, key.sign(draft->digest));
        for (const auto line : text::split(field, '\n')) EXPECT_LE(line.size(), 78U) << line;
        const auto r = judge_one(field + kMessage, {key.record()});
        EXPECT_EQ(r.result, Outcome::pass) << r.reason << "\n" << field;
        EXPECT_TRUE(r.body_covered);
        EXPECT_EQ(judge_one(field + kMessage, {key.record()}, kNow + std::chrono::days(8)).result, Outcome::policy);
        for (const char* added : {"Subject: x", "From: x@example.org", "To: x", "Cc: x", "Date: x", "Reply-To: x", "Content-Type: x"})
          EXPECT_EQ(judge_one(field + added + "\r\n" + kMessage, {key.record()}).result, Outcome::fail) << added;
      }
}

TEST(DkimSign, RefusesWhatCannotBeSigned) {
  const auto prepared = [](const std::string& message, Algorithm algorithm) {
    const auto header = parse_header(bytes_of(message));
    const SigningRequest request{.domain = "example.com", .selector = "sel", .algorithm = algorithm};
    const auto draft = prepare(*header, {}, request, kNow);
    return draft ? std::string_view("ok") : draft.error().code;
  };
  EXPECT_EQ(prepared("To: x\r\n\r\n", Algorithm::rsa_sha256), "dkim_sign.no_from");
  EXPECT_EQ(prepared(kMessage, Algorithm::rsa_sha1), "dkim_sign.algorithm");
  std::string message = "From: a\r\n";  // named twice, and six more names once each
  for (std::size_t i = 0; i < limits::kDkimSignedNames - 8; ++i) message += "References: x\r\n";
  EXPECT_EQ(prepared(message, Algorithm::rsa_sha256), "ok");
  EXPECT_EQ(prepared(message + "References: x\r\n", Algorithm::rsa_sha256), "dkim_sign.too_many_fields");
}

}  // namespace
}  // namespace postern::mail::dkim
