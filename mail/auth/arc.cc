#include "mail/auth/arc.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "mail/auth/running_hash.h"
#include "mail/auth/tag_list.h"
#include "mail/lex.h"
#include "mail/limits.h"

namespace postern::mail::arc {
namespace {

using dkim::Check;
using dkim::Kind;
using dkim::Outcome;

constexpr std::string_view kResultsField = "ARC-Authentication-Results";
constexpr std::string_view kMessageField = "ARC-Message-Signature";
constexpr std::string_view kSealField = "ARC-Seal";

struct ResultsView {
  unsigned instance = 0;
  std::string_view payload;
};

/// instance ";" authres-payload. Source: RFC 8617 §4.1.1, §4.2.1.
std::optional<ResultsView> parse_results(std::string_view value) {
  lex::Cursor cursor(value);
  const auto blank = [&] { return cursor.skip_cfws(); };
  if (!blank() || !cursor.take('i') || !blank() || !cursor.take('=') || !blank()) return std::nullopt;
  const auto number = text::parse_uint(cursor.token(), limits::kArcInstances);
  if (!number || *number == 0 || !blank() || !cursor.take(';')) return std::nullopt;
  return ResultsView{static_cast<unsigned>(*number), cursor.rest()};
}

/// The instance an ARC-Message-Signature or ARC-Seal says it has; 0 when it says none.
unsigned instance_of(const FieldView& field) {
  const auto tags = TagListView::parse(field.value);
  const auto value = tags ? tags->find("i") : std::nullopt;
  return value ? static_cast<unsigned>(text::parse_uint(*value, limits::kArcInstances).value_or(0)) : 0;
}

struct FieldSet {
  const FieldView* results = nullptr;
  const FieldView* message = nullptr;
  const FieldView* seal = nullptr;
};

/// The fields of a message by instance, or why they are no chain. RFC 8617 §5.2 steps 1 and 3.
Result<std::vector<FieldSet>> sort_fields(const HeaderBlockView& header) {
  std::vector<FieldSet> sets(limits::kArcInstances);
  std::size_t highest = 0;
  for (const FieldView& field : header.fields) {
    const bool is_results = field.is(kResultsField), is_message = field.is(kMessageField);
    if (!is_results && !is_message && !field.is(kSealField)) continue;
    const auto results = is_results ? parse_results(field.value) : std::nullopt;
    const unsigned instance = is_results ? (results ? results->instance : 0) : instance_of(field);
    if (instance == 0) return failure("arc.instance", "an ARC field has no instance from 1 to 50");
    FieldSet& set = sets[instance - 1];
    const FieldView*& slot = is_results ? set.results : is_message ? set.message : set.seal;
    if (slot != nullptr) return failure("arc.duplicate", "an ARC field occurs twice in instance " + std::to_string(instance));
    slot = &field;
    highest = std::max<std::size_t>(highest, instance);
  }
  sets.resize(highest);
  for (std::size_t i = 0; i < highest; ++i)
    if (sets[i].results == nullptr || sets[i].message == nullptr || sets[i].seal == nullptr)
      return failure("arc.incomplete", "ARC set " + std::to_string(i + 1) + " is not complete");
  return sets;
}

}  // namespace

/// One instance, and what has been found out of its two signatures.
struct Validator::Link {
  FieldSet fields;
  std::optional<dkim::SignatureView> message;  // absent: malformed
  dkim::SignatureView seal;
  crypto::Sha256 seal_hash{};
  std::optional<Check> message_check;
  std::optional<Check> seal_check;
};

namespace {

/// What an ARC-Message-Signature is worth before its key is known. Source: RFC 8617 §4.1.2.
std::optional<Check> check_body(dkim::SignedMessage& whole, const dkim::SignatureView& signature, bool& covered) {
  if (std::ranges::count(signature.names, "arc-seal") > 0)
    return Check{.outcome = Outcome::permerror, .reason = "it signs ARC-Seal"};
  if (auto refused = dkim::refuse_algorithm(signature)) return refused;
  const auto digest = whole.body().digest(signature.body_canon, signature.length);
  covered = digest.covered == digest.total;
  if (signature.length && *signature.length > digest.total)
    return Check{.outcome = Outcome::permerror, .reason = "l= is larger than the body"};
  if (!crypto::equal(digest.hash, signature.body_hash))
    return Check{.outcome = Outcome::fail, .reason = "the body hash does not verify"};
  return std::nullopt;
}

dkim::SignatureView want(dkim::SignedMessage& whole, dkim::SignatureView signature) {
  whole.body().want(signature.body_canon, signature.length);
  return signature;
}

/// Judges by the facts, or leaves `check` empty and adds the question.
void check_key(const dkim::SignatureView& signature, const auto& hash, const dns::Facts& facts, std::optional<Check>& check,
               dns::Questions& missing) {
  if (check) return;
  const dns::Question question = dkim::key_question(signature);
  if (!dns::is_askable(question.name)) {
    check = Check{.outcome = Outcome::permerror, .reason = "its key cannot be looked up"};
  } else if (const dns::Answer* answer = facts.find(question.name, question.type)) {
    check = dkim::check_signature(signature, hash(), *answer);
  } else if (std::ranges::find(missing, question) == missing.end() && missing.size() < limits::kArcQuestions) {
    missing.push_back(question);
  }
}

std::string words(std::string_view field, std::size_t instance, const Check& check) {
  return std::string(field) + " of instance " + std::to_string(instance) + ": " + check.reason;
}

}  // namespace

std::string_view name_of(Status status) {
  switch (status) {
    case Status::none: return "none";
    case Status::pass: return "pass";
    case Status::fail: return "fail";
  }
  return "?";
}

Validator::Validator(const HeaderBlockView& header, ByteView body)
    : Validator(std::make_shared<dkim::SignedMessage>(header, body)) {}

Validator::Validator(std::shared_ptr<dkim::SignedMessage> message) : message_(std::move(message)) { collect(); }

void Validator::fail(std::string reason) {
  verdict_.status = Status::fail;
  verdict_.reason = std::move(reason);
  links_.clear();
}

void Validator::collect() {
  const auto sets = sort_fields(message_->header());
  if (!sets) return fail(sets.error().message);
  verdict_.instances = static_cast<unsigned>(sets->size());
  dkim::RunningSha256 running;
  for (std::size_t i = 0; i < sets->size(); ++i) {
    auto link = std::make_shared<Link>();
    link->fields = (*sets)[i];
    auto seal = dkim::parse_signature(*link->fields.seal, Kind::arc_seal);
    if (!seal) return fail("ARC-Seal of instance " + std::to_string(i + 1) + ": " + seal.error().message);
    link->seal = *std::move(seal);
    // RFC 8617 §5.2 steps 2 and 3: none in the first set, pass in all others; fail is a chain that was given up.
    if (link->seal.arc_cv != (i == 0 ? "none" : "pass"))
      return fail("ARC-Seal of instance " + std::to_string(i + 1) + " says cv=" + std::string(link->seal.arc_cv));
    link->seal_check = dkim::refuse_algorithm(link->seal);
    if (auto parsed = dkim::parse_signature(*link->fields.message, Kind::arc_message))
      link->message = want(*message_, *std::move(parsed));
    else
      link->message_check = Check{.outcome = Outcome::permerror, .reason = parsed.error().message};

    // RFC 8617 §5.1.1: a seal is over all sets up to its own, in order, relaxed, itself last and with an empty b=.
    std::string input;
    for (const FieldView* field : {link->fields.results, link->fields.message})
      dkim::append_canonical_field(dkim::Canon::relaxed, field->raw, input);
    running.update(input);
    dkim::RunningSha256 own(running);
    std::string last;
    dkim::append_own_field(link->seal, dkim::Canon::relaxed, last);
    own.update(last);
    link->seal_hash = own.so_far();
    last.clear();
    dkim::append_canonical_field(dkim::Canon::relaxed, link->fields.seal->raw, last);
    running.update(last);

    verdict_.sets.push_back({.instance = static_cast<unsigned>(i + 1),
                             .sealer = link->seal.domain,
                             .selector = link->seal.selector,
                             .cv = std::string(link->seal.arc_cv),
                             .results = unfold(parse_results(link->fields.results->value)->payload)});
    links_.push_back(std::move(link));
  }
}

std::variant<Verdict, dns::Questions> Validator::evaluate(const dns::Facts& facts, WallTime now) {
  if (links_.empty()) return verdict_;
  dns::Questions missing;
  const auto judge_message = [&](Link& link, bool& covered) {
    if (!link.message_check) link.message_check = check_body(*message_, *link.message, covered);
    if (link.message)
      check_key(*link.message, [&] { return message_->header_hash(*link.message); }, facts, link.message_check, missing);
  };
  const auto failed = [&](std::string_view field, std::size_t instance, const std::optional<Check>& check) {
    if (!check || check->outcome == Outcome::pass) return false;
    verdict_.temporary = check->outcome == Outcome::temperror;
    fail(words(field, instance, *check));  // forgets the links, and `check` with them
    return true;
  };

  // RFC 8617 §5.2 step 4: the newest message signature.
  const std::size_t newest = links_.size();
  Link& last = *links_.back();
  judge_message(last, verdict_.body_covered);
  if (failed(kMessageField, newest, last.message_check)) return verdict_;
  if (const auto late = dkim::refuse_time(*last.message, now)) {
    Verdict out = verdict_;
    out.status = Status::fail;
    out.reason = words(kMessageField, newest, *late);
    return out;
  }
  // Step 6: every seal, newest first.
  for (std::size_t i = newest; i > 0; --i) {
    Link& link = *links_[i - 1];
    check_key(link.seal, [&] { return link.seal_hash; }, facts, link.seal_check, missing);
    if (failed(kSealField, i, link.seal_check)) return verdict_;
  }
  if (!missing.empty()) return missing;
  // Step 5: how far back the message signatures hold. Asked for only once the chain itself is good.
  verdict_.oldest_pass = 0;
  for (std::size_t i = newest - 1; i > 0; --i) {
    Link& link = *links_[i - 1];
    bool covered = false;
    judge_message(link, covered);
    if (!link.message_check || link.message_check->outcome == Outcome::pass) continue;
    verdict_.oldest_pass = static_cast<unsigned>(i + 1);
    break;
  }
  if (!missing.empty()) return missing;
  verdict_.status = Status::pass;
  return verdict_;
}

}  // namespace postern::mail::arc
