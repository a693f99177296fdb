#include "mail/auth/spf.h"

#include "base/text.h"
#include "mail/auth/spf_check.h"
#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

Outcome outcome_of(Qualifier qualifier) {
  switch (qualifier) {
    case Qualifier::pass: return Outcome::pass;
    case Qualifier::fail: return Outcome::fail;
    case Qualifier::softfail: return Outcome::softfail;
    case Qualifier::neutral: return Outcome::neutral;
  }
  return Outcome::neutral;
}

std::string shown(std::string_view text) { return text::printable(text, 120); }

}  // namespace

Step Check::evaluate(const Directive& directive) {
  const auto counted = [&](Step (Check::*term)(const Directive&)) {
    return start_lookup() ? (this->*term)(directive) : Step::permerror;
  };
  if (cannot_match(directive.domain)) return Step::no_match;
  switch (directive.mechanism) {
    case Mechanism::all: return Step::match;
    case Mechanism::include: return counted(&Check::include);
    case Mechanism::a: return counted(&Check::hosts);
    case Mechanism::mx: return counted(&Check::mail_exchangers);
    case Mechanism::ptr: return counted(&Check::pointer);
    case Mechanism::exists: return counted(&Check::exists);
    case Mechanism::ip4: return client_.in_prefix(directive.network, directive.bits4) ? Step::match : Step::no_match;
    case Mechanism::ip6: return client_.in_prefix(directive.network, directive.bits6) ? Step::match : Step::no_match;
  }
  return Step::permerror;
}

std::optional<Outcome> Check::concluded(Step step, const Directive& directive) {
  const auto where = [&] { return "\"" + shown(directive.text) + "\" of " + shown(frame().domain); };
  switch (step) {
    case Step::match:
      reason_ = where() + " matches";
      return outcome_of(directive.qualifier);
    case Step::temperror: reason_ = where() + ": " + reason_; return Outcome::temperror;
    case Step::permerror: reason_ = where() + ": " + reason_; return Outcome::permerror;
    case Step::no_match:
    case Step::ask:
    case Step::entered: break;
  }
  return std::nullopt;
}

// RFC 7208 §4.4, §4.5: finds and reads the record of the frame's domain.
std::optional<Outcome> Check::load() {
  Frame& here = frame();
  const auto absent = [&](std::string reason) {
    reason_ = std::move(reason);
    return here.entry == Entry::redirect ? Outcome::permerror : Outcome::none;  // RFC 7208 §6.1
  };
  if (!is_well_formed(here.domain)) return absent("\"" + shown(here.domain) + "\" is no domain name");
  const dns::Answer* answer = look_up(here.domain, dns::Type::txt);
  if (answer == nullptr) return std::nullopt;
  if (answer->status == dns::Status::failure) {
    reason_ = "DNS failure for the record of " + shown(here.domain);
    return Outcome::temperror;
  }
  std::vector<std::string> records;
  for (const dns::Text& txt : dns::records_of<dns::Text>(*answer))
    if (is_record(txt.value)) records.push_back(txt.value);
  if (records.empty()) return absent(shown(here.domain) + " has no SPF record");
  if (records.size() > 1) {  // RFC 7208 §4.5
    reason_ = shown(here.domain) + " has more than one SPF record";
    return Outcome::permerror;
  }
  auto record = parse_record(records.front());
  if (!record) {
    reason_ = "record of " + shown(here.domain) + ": " + record.error().message;
    return Outcome::permerror;
  }
  here.record = std::move(*record);
  return std::nullopt;
}

std::optional<Outcome> Check::redirect() {
  const Record& record = *frame().record;
  if (frames_.size() == 1) mechanism_ = record.redirect_text;
  if (!start_lookup()) return Outcome::permerror;
  auto domain = target(record.redirect);
  if (!domain) return std::nullopt;
  // RFC 7208 §6.1: the new record counts as if it had been asked for first; also its explanation replaces ours.
  frame() = {.domain = std::move(*domain), .entry = Entry::redirect, .record = std::nullopt};
  return std::nullopt;
}

std::optional<Outcome> Check::next_term() {
  Frame& here = frame();
  if (here.next == here.record->directives.size()) {
    if (here.record->redirect) return redirect();
    if (frames_.size() == 1) mechanism_ = "default";
    reason_ = "nothing of the record of " + shown(here.domain) + " matches";
    return Outcome::neutral;  // RFC 7208 §4.7
  }
  const std::size_t index = here.next++;
  if (frames_.size() == 1) mechanism_ = here.record->directives[index].text;
  // A copy: include() moves the frames.
  const Directive directive = here.record->directives[index];
  const Step step = evaluate(directive);
  return concluded(step, directive);
}

// RFC 7208 §5.2: what the result of an included check means for the directive that asked for it.
std::optional<Outcome> Check::after_include(Outcome outcome) {
  const Frame& here = frame();
  const Directive& directive = here.record->directives[here.next - 1];
  switch (outcome) {
    case Outcome::pass: return concluded(Step::match, directive);
    case Outcome::fail:
    case Outcome::softfail:
    case Outcome::neutral: return std::nullopt;
    case Outcome::temperror: return concluded(Step::temperror, directive);
    case Outcome::permerror:
    case Outcome::none: return concluded(Step::permerror, directive);
  }
  return Outcome::permerror;
}

std::optional<Outcome> Check::advance() {
  auto ended = frame().record ? next_term() : load();
  while (ended && frames_.size() > 1) {
    frames_.pop_back();
    ended = after_include(*ended);
  }
  return ended;
}

// RFC 7208 §6.2. Whatever goes wrong here costs the explanation only.
std::string Check::explanation() {
  const Record& record = *frame().record;
  if (!record.explanation) return {};
  const auto name = target(record.explanation);
  if (!name || name->empty()) return {};
  const dns::Answer* answer = look_up(*name, dns::Type::txt);
  if (answer == nullptr) return {};
  const auto texts = dns::records_of<dns::Text>(*answer);
  if (texts.size() != 1) return {};
  const auto macro = parse_explanation(texts.front().value);
  if (!macro) return {};
  const auto values = values_for(*macro);
  return values ? expand_explanation(*macro, *values) : std::string();
}

std::variant<Verdict, dns::Questions> Check::finish(Outcome outcome) {
  std::string text = outcome == Outcome::fail ? explanation() : std::string();
  if (!missing_.empty()) return missing_;
  return Verdict{.result = outcome,
                 .identity = sender_.identity,
                 .domain = sender_.domain,
                 .mechanism = mechanism_,
                 .explanation = std::move(text),
                 .lookups = lookups_,
                 .void_lookups = void_lookups_,
                 .reason = reason_};
}

std::variant<Verdict, dns::Questions> Check::run() {
  const bool overlong =
      query_.helo.size() > limits::kSpfIdentityBytes || query_.mail_from.size() > limits::kSpfIdentityBytes;
  if (overlong || !is_well_formed(sender_.domain) || !is_host_like(sender_.domain)) {
    reason_ = overlong ? "sender or HELO too long" : "\"" + shown(sender_.domain) + "\" is no domain name";
    return finish(Outcome::none);  // RFC 7208 §4.3
  }
  frames_.push_back({.domain = sender_.domain, .entry = Entry::first, .record = std::nullopt});
  // Ends: each turn reads a record or takes a term, and start_lookup() bounds the records.
  for (;;) {
    const auto ended = advance();
    if (!missing_.empty()) return missing_;
    if (ended) return finish(*ended);
  }
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::none: return "none";
    case Outcome::neutral: return "neutral";
    case Outcome::pass: return "pass";
    case Outcome::fail: return "fail";
    case Outcome::softfail: return "softfail";
    case Outcome::temperror: return "temperror";
    case Outcome::permerror: return "permerror";
  }
  return "?";
}

std::variant<Verdict, dns::Questions> check_host(const Query& query, const dns::Facts& facts) {
  return Check(query, facts).run();
}

}  // namespace postern::mail::spf
