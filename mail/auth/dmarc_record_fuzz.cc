// Fuzzes DMARC records: whatever is read says only what a record may say, and an answer with two records counts as several.
#include "base/check.h"
#include "mail/auth/dmarc_record.h"
#include "mail/auth/orgdomain.h"
#include "mail/limits.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace postern;
  namespace dmarc = mail::dmarc;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto record = dmarc::parse_record(text);
  mail::dns::Answer answer{.status = mail::dns::Status::found, .records = {mail::dns::Text{text}}, .canonical_name = {}};
  POSTERN_CHECK((dmarc::read_answer(answer).found == dmarc::Found::one) == record.has_value());
  if (!record) return 0;
  POSTERN_CHECK((text.starts_with('v') || text.starts_with('V')) && text.find("DMARC1") != std::string::npos);
  POSTERN_CHECK(record->percent <= 100 && record->rua.size() <= mail::limits::kDmarcUris && record->ruf.size() <= mail::limits::kDmarcUris);
  POSTERN_CHECK(!record->p || record->p_said);
  for (const auto* list : {&record->rua, &record->ruf})
    for (const auto& uri : *list) POSTERN_CHECK(uri.text.find(':') != std::string::npos && uri.text.find(' ') == std::string::npos);
  answer.records.push_back(mail::dns::Text{text});
  POSTERN_CHECK(dmarc::read_answer(answer).found == dmarc::Found::several);

  // A walk that meets this record everywhere ends, and the organizational domain is a suffix of where it began.
  const std::string start = "a.b.c.d.e.f.g.h.i.j.example";
  mail::dns::Facts facts;
  answer.records.pop_back();
  for (std::size_t asked = 0;; ++asked) {
    const auto walk = mail::orgdomain::tree_walk(start, facts);
    if (!walk.next) {
      POSTERN_CHECK(walk.finished() && start.ends_with(walk.organizational_domain) && !walk.organizational_domain.empty());
      return 0;
    }
    POSTERN_CHECK(asked < mail::limits::kDmarcTreeQueries);
    facts.add(*walk.next, answer);
  }
}
