// Fuzzes the judge of a whole message with a name server that answers what the input says. The input is split at NULs: the message, HELO,
// MAIL FROM, then TXT records that are given out in turns. It has to end within the limits, and what it writes must be safe to write.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/text.h"
#include "mail/auth/authres.h"
#include "mail/auth/evaluate.h"
#include "mail/auth/evidence.h"
#include "mail/limits.h"

namespace {

using namespace postern;

/// Answers by the question's own letters, so that a run can be repeated.
mail::dns::Answer answer_to(const mail::dns::Question& question, const std::vector<std::string_view>& texts) {
  std::size_t number = question.name.size();
  for (const char c : question.name) number = number * 31 + static_cast<unsigned char>(c);
  mail::dns::Answer answer{.status = mail::dns::Status::found, .records = {}, .canonical_name = {}};
  switch (number % 7) {
    case 0: answer.status = mail::dns::Status::none; return answer;
    case 1: if (number % 5 == 0) return mail::dns::Answer{}; break;
    default: break;
  }
  switch (question.type) {
    case mail::dns::Type::txt:
      if (!texts.empty()) answer.records.push_back(mail::dns::Text{std::string(texts[number % texts.size()])});
      if (number % 11 == 0 && !texts.empty()) answer.records.push_back(mail::dns::Text{std::string(texts.back())});
      break;
    case mail::dns::Type::a: answer.records.push_back(*IpAddress::parse(number % 2 == 0 ? "192.0.2.1" : "192.0.2.9")); break;
    case mail::dns::Type::aaaa: answer.records.push_back(*IpAddress::parse("2001:db8::1")); break;
    case mail::dns::Type::mx: answer.records.push_back(mail::dns::Mx{10, "mx.example"}); break;
    default: answer.records.push_back(mail::dns::Name{"host.example"}); break;
  }
  return answer;
}

void check_verdict(const mail::judge::MessageQuery& query, const mail::judge::MessageVerdict& verdict, const mail::dns::Facts& facts) {
  const std::string& written = verdict.authentication_results;
  for (std::size_t at = written.find('\n'); at != std::string::npos; at = written.find('\n', at + 1)) {
    POSTERN_CHECK(at > 0 && written[at - 1] == '\r' && at + 1 < written.size());
    POSTERN_CHECK(written[at + 1] == '\t' || written[at + 1] == ' ');
  }
  const auto read = mail::authres::parse(written);
  POSTERN_CHECK(read && read->authserv_id == "mx.example.net" && !read->results.empty());
  for (const std::string& reason : verdict.reasons) POSTERN_CHECK(reason.find('\n') == std::string::npos && reason.find('\x1b') == std::string::npos);
  POSTERN_CHECK(verdict.spf.lookups <= mail::limits::kSpfLookups);
  POSTERN_CHECK(mail::evidence::encode(query, verdict, facts, std::chrono::milliseconds{1}).size() <= mail::limits::kEvidenceBytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parts = text::split({reinterpret_cast<const char*>(data), size}, '\0');
  mail::judge::MessageQuery query;
  query.client = *IpAddress::parse(size % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
  query.helo = parts.size() > 1 ? parts[1] : "helo.example";
  query.mail_from = parts.size() > 2 ? parts[2] : "a@sender.example";
  query.authserv_id = "mx.example.net";
  query.now = WallTime{std::chrono::seconds{1'700'000'000}};
  const std::vector<std::string_view> texts(parts.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(parts.size(), 3)), parts.end());
  auto judge = mail::judge::MessageJudge::create(bytes_of(parts.front()), query);
  if (!judge) return 0;
  mail::dns::Facts facts;
  constexpr std::size_t kRounds = 2 * mail::limits::kSpfRounds + 40;  // SPF twice, then the walks of DMARC, ARC's keys and BIMI
  for (std::size_t round = 0; round < kRounds; ++round) {
    const auto outcome = judge->evaluate(facts);
    if (const auto* verdict = std::get_if<mail::judge::MessageVerdict>(&outcome)) {
      check_verdict(query, *verdict, facts);
      return 0;
    }
    const auto& questions = std::get<mail::dns::Questions>(outcome);
    POSTERN_CHECK(!questions.empty());
    for (const auto& question : questions) {
      POSTERN_CHECK(mail::dns::is_askable(question.name) && !facts.has(question));
      facts.add(question, answer_to(question, texts));
    }
  }
  POSTERN_CHECK(false && "the judge does not end");
}
