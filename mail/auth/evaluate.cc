#include "mail/auth/evaluate.h"

#include <algorithm>

#include "base/crypto.h"
#include "base/text.h"
#include "mail/auth/authres.h"
#include "mail/limits.h"

namespace postern::mail::judge {

struct MessageJudge::State {
  State(ByteView bytes, HeaderBlockView block, MessageQuery asked)
      : query(std::move(asked)),
        header(std::move(block)),
        signed_message(std::make_shared<dkim::SignedMessage>(header, bytes.subspan(header.body))),
        verifier(signed_message),
        validator(signed_message),
        author(dmarc::read_author(header)),
        selector(bimi::read_selector(header)) {
    // For pct=: the same number each time this message is judged.
    const auto digest = crypto::sha256(bytes.first(header.body));
    sample = (static_cast<unsigned>(digest[0]) << 8 | static_cast<unsigned>(digest[1])) % 100;
  }

  MessageQuery query;
  HeaderBlockView header;
  std::shared_ptr<dkim::SignedMessage> signed_message;
  dkim::Verifier verifier;
  arc::Validator validator;
  dmarc::Author author;
  std::string selector;
  unsigned sample = 0;

  // What is decided so far.
  std::optional<spf::Verdict> spf, spf_helo;
  std::optional<std::vector<dkim::SignatureResult>> dkim;
  std::optional<arc::Verdict> arc;
  std::optional<iprev::Verdict> iprev;
  std::optional<dmarc::Verdict> dmarc;
  std::optional<bimi::Verdict> bimi;
  dns::Questions missing;

  // Keeps a verdict, or notes its questions.
  template <class V>
  void settle(std::optional<V>& slot, std::variant<V, dns::Questions> outcome) {
    if (auto* verdict = std::get_if<V>(&outcome)) slot = std::move(*verdict);
    else want(std::get<dns::Questions>(outcome));
  }
  void want(dns::Questions& questions) {
    for (auto& question : questions)
      if (std::find(missing.begin(), missing.end(), question) == missing.end()) missing.push_back(std::move(question));
  }

  spf::Query spf_query(std::string_view mail_from) const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(query.now.time_since_epoch());
    return {.client = query.client, .helo = query.helo, .mail_from = mail_from, .receiver = query.authserv_id, .time = static_cast<std::uint64_t>(seconds.count())};
  }

  dmarc::Query dmarc_query() const;
  std::string trusted_sealer() const;
  void judge_dmarc(const dns::Facts& facts);
  MessageVerdict finish() const;
};

namespace {

dmarc::Identifier identifier_of(const spf::Verdict& spf) {
  const bool pass = spf.result == spf::Outcome::pass, temporary = spf.result == spf::Outcome::temperror;
  return {spf.domain, pass ? dmarc::Proof::pass : temporary ? dmarc::Proof::temporary : dmarc::Proof::nothing};
}

dmarc::Identifier identifier_of(const dkim::SignatureResult& signature) {
  dmarc::Identifier identifier{signature.domain, dmarc::Proof::nothing};
  // A signature over a part of the body lets anybody write the rest: it proves nothing about what is read.
  if (signature.result == dkim::Outcome::pass && signature.body_covered) identifier.proof = dmarc::Proof::pass;
  if (signature.result == dkim::Outcome::temperror) identifier.proof = dmarc::Proof::temporary;
  return identifier;
}

}  // namespace

// The nearest hop whose word on DMARC we take: every sealer from the newest to it is trusted (RFC 8617 §7.2.1).
std::string MessageJudge::State::trusted_sealer() const {
  if (arc->status != arc::Status::pass || !arc->body_covered) return {};
  for (auto set = arc->sets.rbegin(); set != arc->sets.rend() && query.trusted_sealers.contains(set->sealer); ++set) {
    const auto results = authres::parse(set->results);
    if (!results) return {};
    for (const auto& result : results->results)
      if (result.method == "dmarc" && result.result == "pass") return set->sealer;
  }
  return {};
}

dmarc::Query MessageJudge::State::dmarc_query() const {
  dmarc::Query asked;
  asked.author = author;
  asked.standard = query.standard;
  asked.suffixes = query.suffixes;
  asked.sample = sample;
  if (spf) asked.spf = identifier_of(*spf);
  if (dkim)
    for (const auto& signature : *dkim) asked.dkim.push_back(identifier_of(signature));
  asked.overrides.allowed_by = query.allowed_by;
  if (arc) asked.overrides.trusted_sealer = trusted_sealer();
  if (const auto* list = header.first("List-Id"); list != nullptr && query.spare_mailing_lists) asked.overrides.mailing_list = unfold(list->value);
  return asked;
}

// The From domain's records do not depend on the others: they are asked for from the start.
void MessageJudge::State::judge_dmarc(const dns::Facts& facts) {
  auto outcome = dmarc::evaluate(dmarc_query(), facts);
  if (auto* questions = std::get_if<dns::Questions>(&outcome)) return want(*questions);
  if (spf && dkim && arc) dmarc = std::get<dmarc::Verdict>(std::move(outcome));
}

MessageVerdict MessageJudge::State::finish() const {
  MessageVerdict verdict{*spf, spf_helo, *dkim, *arc, *dmarc, *iprev, *bimi, {}, {}};
  verdict.authentication_results = authentication_results(query, verdict);
  verdict.reasons = sentences(query, verdict);
  return verdict;
}

MessageJudge::MessageJudge(std::unique_ptr<State> state) : state_(std::move(state)) {}
MessageJudge::MessageJudge(MessageJudge&&) noexcept = default;
MessageJudge& MessageJudge::operator=(MessageJudge&&) noexcept = default;
MessageJudge::~MessageJudge() = default;
const MessageQuery& MessageJudge::query() const { return state_->query; }
const HeaderBlockView& MessageJudge::header() const { return state_->header; }

Result<MessageJudge> MessageJudge::create(ByteView message, MessageQuery query) {
  TRY_ASSIGN(auto header, parse_header(message));
  return MessageJudge(std::make_unique<State>(message, std::move(header), std::move(query)));
}

std::variant<MessageVerdict, dns::Questions> MessageJudge::evaluate(const dns::Facts& facts) {
  State& s = *state_;
  s.missing.clear();
  if (!s.spf) s.settle(s.spf, spf::check_host(s.spf_query(s.query.mail_from), facts));
  if (!s.spf_helo && !s.query.mail_from.empty()) s.settle(s.spf_helo, spf::check_host(s.spf_query({}), facts));
  if (!s.dkim) s.settle(s.dkim, s.verifier.evaluate(facts, s.query.now));
  if (!s.arc) s.settle(s.arc, s.validator.evaluate(facts, s.query.now));
  if (!s.iprev) s.settle(s.iprev, iprev::check(s.query.client, facts));
  if (!s.dmarc) s.judge_dmarc(facts);
  if (s.dmarc && !s.bimi) s.settle(s.bimi, bimi::evaluate(s.selector, *s.dmarc, facts));
  if (!s.missing.empty()) return s.missing;
  return s.finish();
}

}  // namespace postern::mail::judge
