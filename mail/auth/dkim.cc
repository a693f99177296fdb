#include "mail/auth/dkim.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "mail/limits.h"

namespace postern::mail::dkim {
namespace {

/// RFC 6008 §3: at least eight characters of b=, and more where another signature begins the same.
std::size_t telling_length(const std::string& b, const std::map<std::string, int>& sorted) {
  constexpr std::size_t kLeast = 8;
  const auto self = sorted.find(b);
  if (self == sorted.end()) return kLeast;
  const auto common = [&](const std::string& other) {
    return static_cast<std::size_t>(std::ranges::mismatch(b, other).in1 - b.begin());
  };
  std::size_t length = kLeast;
  if (self != sorted.begin()) length = std::max(length, common(std::prev(self)->first) + 1);
  if (std::next(self) != sorted.end()) length = std::max(length, common(std::next(self)->first) + 1);
  return length;
}

/// RFC 6376 §3.8, §8.15. The first line of an mbox ("From …") is no header and does no harm.
std::string_view fault_of(const HeaderBlockView& header) {
  const bool mbox = !header.fields.empty() && header.fields[0].name.empty() && header.fields[0].raw.starts_with("From ");
  if (header.malformed > (mbox ? 1U : 0U)) return "the header has a line that is no field";
  if (header.all("From").size() != 1) return "the message does not have exactly one From field";
  return {};
}

}  // namespace

Verifier::Verifier(const HeaderBlockView& header, ByteView body)
    : Verifier(std::make_shared<SignedMessage>(header, body)) {}

Verifier::Verifier(std::shared_ptr<SignedMessage> message)
    : message_(std::move(message)), fault_(fault_of(message_->header())) {
  read_fields();
  choose();
  for (const Item& item : items_)
    if (!item.check) message_->body().want(item.signature->body_canon, item.signature->length);
}

void Verifier::read_fields() {
  std::map<std::string, int> all_b;
  for (const FieldView& field : message_->header().fields) {
    if (!field.is("DKIM-Signature")) continue;
    Item item;
    auto labels = labels_of(field);
    ++all_b[labels.b];
    item.report.domain = std::move(labels.domain);
    item.report.selector = std::move(labels.selector);
    item.report.identity = std::move(labels.identity);
    item.report.algorithm = std::move(labels.algorithm);
    item.report.header_b = std::move(labels.b);
    auto parsed = parse_signature(field, Kind::dkim);
    if (parsed) {
      item.report.selector = parsed->selector;
      item.report.body_length = parsed->length;
      item.check = refuse_algorithm(*parsed);
      item.signature = *std::move(parsed);
    } else {
      item.check = Check{.outcome = Outcome::permerror, .reason = parsed.error().message};
    }
    items_.push_back(std::move(item));
  }
  for (Item& item : items_) {
    std::string& b = item.report.header_b;
    b.resize(std::min(b.size(), telling_length(b, all_b)));
  }
}

// A message may bring any number of signatures. Those of a domain that From names come first: they are the ones DMARC asks for.
void Verifier::choose() {
  std::vector<Item*> open;
  for (Item& item : items_)
    if (!item.check) open.push_back(&item);
  if (open.size() <= limits::kDkimSignatures) return;
  std::string from;
  for (const FieldView* field : message_->header().all("From")) from += text::to_lower(field->value);
  std::stable_partition(open.begin(), open.end(), [&](const Item* item) { return from.find(item->signature->domain) != std::string::npos; });
  for (std::size_t i = limits::kDkimSignatures; i < open.size(); ++i)
    open[i]->check = Check{.outcome = Outcome::policy, .reason = "more signatures than are checked"};
}

// RFC 6376 §6.1.3 step 3. Done before any key is asked for: a body that was changed cannot pass with any key.
void Verifier::check_bodies() {
  if (bodies_checked_) return;
  bodies_checked_ = true;
  for (Item& item : items_) {
    if (item.check) continue;
    const SignatureView& signature = *item.signature;
    const BodyDigest digest = message_->body().digest(signature.body_canon, signature.length);
    item.report.body_covered = digest.covered == digest.total;
    if (signature.length && *signature.length > digest.total)  // §3.5 l=
      item.check = Check{.outcome = Outcome::permerror, .reason = "l= is larger than the body"};
    else if (!crypto::equal(digest.hash, signature.body_hash))
      item.check = Check{.outcome = Outcome::fail, .reason = "the body hash does not verify"};
  }
}

std::optional<dns::Question> Verifier::judge(Item& item, const dns::Facts& facts) {
  if (item.check) return std::nullopt;
  const dns::Question question = key_question(*item.signature);
  if (!dns::is_askable(question.name)) {
    item.check = Check{.outcome = Outcome::permerror, .reason = "s= and d= make no name that can be looked up"};
    return std::nullopt;
  }
  const dns::Answer* answer = facts.find(question.name, question.type);
  if (answer == nullptr) return question;
  item.check = check_signature(*item.signature, message_->header_hash(*item.signature), *answer);
  return std::nullopt;
}

std::variant<std::vector<SignatureResult>, dns::Questions> Verifier::evaluate(const dns::Facts& facts, WallTime now) {
  check_bodies();
  dns::Questions missing;
  for (Item& item : items_) {
    if (item.signature && refuse_time(*item.signature, now)) continue;
    const auto question = judge(item, facts);
    if (question && std::ranges::find(missing, *question) == missing.end()) missing.push_back(*question);
  }
  if (!missing.empty()) return missing;

  std::vector<SignatureResult> out;
  for (const Item& item : items_) {
    SignatureResult result = item.report;
    // What is broken stays broken at any time; only what could pass is held against the clock.
    const bool open = !item.check || item.check->outcome == Outcome::pass;
    const auto late = open && item.signature ? refuse_time(*item.signature, now) : std::nullopt;
    const Check& check = late ? *late : *item.check;
    result.result = check.outcome;
    result.reason = check.reason;
    result.testing = check.testing;
    result.key_bits = check.key_bits;
    if (result.result == Outcome::pass && !result.body_covered) result.reason = "l= leaves a part of the body unsigned";
    if (result.result == Outcome::pass && !fault_.empty()) {
      result.result = Outcome::policy;
      result.reason = fault_;
    }
    out.push_back(std::move(result));
  }
  return out;
}

}  // namespace postern::mail::dkim
