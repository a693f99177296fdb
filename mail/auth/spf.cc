#include "mail/auth/spf.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/text.h"
#include "mail/auth/spf_record.h"
#include "mail/idn.h"
#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

// How one term, or the reading of one record, came out. `ask`: questions have been left in missing_.
enum class Step : std::uint8_t { match = 1, no_match = 2, temperror = 3, permerror = 4, ask = 5, entered = 6 };

// Why a domain's record is read.
enum class Entry : std::uint8_t { first = 1, include = 2, redirect = 3 };

// One check_host() of RFC 7208 §4 that has not ended. A redirect replaces its frame, an include adds one.
struct Frame {
  std::string domain;
  Entry entry = Entry::first;
  std::optional<Record> record;
  std::size_t next = 0;  // the directive to try next
};

struct Sender {
  Identity identity = Identity::mail_from;
  std::string local_part, domain;
  bool ascii_local_part = true;
};

// RFC 8616 §4: U-labels are judged as A-labels. What has no such form stays, and is found malformed.
std::string ascii_domain(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (text::is_ascii(domain)) return std::string(domain);
  const auto converted = idn::to_a_label(domain);
  return converted ? *converted : std::string(domain);
}

// `"a \"b"` is the local part `a "b` (RFC 5321 §4.1.2: quoting does not change what a local part is).
std::string unquoted(std::string_view local_part) {
  if (local_part.size() < 2 || !local_part.starts_with('"') || !local_part.ends_with('"')) return std::string(local_part);
  local_part = local_part.substr(1, local_part.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < local_part.size(); ++i) {
    if (local_part[i] == '\\' && i + 1 < local_part.size()) ++i;
    out += local_part[i];
  }
  return out;
}

Sender sender_of(const Query& query) {
  Sender sender;
  std::string_view domain = query.mail_from;
  if (query.mail_from.empty()) {  // RFC 7208 §2.4
    sender.identity = Identity::helo;
    domain = query.helo;
  } else if (const auto at = query.mail_from.rfind('@'); at != std::string_view::npos) {
    sender.local_part = unquoted(query.mail_from.substr(0, at));
    domain = query.mail_from.substr(at + 1);
  }
  if (sender.local_part.empty()) sender.local_part = "postmaster";  // RFC 7208 §4.3
  sender.ascii_local_part = text::is_ascii(sender.local_part);
  sender.domain = ascii_domain(domain);
  return sender;
}

// RFC 7208 §4.3: labels of 1 to 63 octets, and more than one of them.
bool is_well_formed(std::string_view domain) { return dns::is_askable(domain) && domain.find('.') != std::string_view::npos; }

// The first domain must also look like a host's: no address literal, no address, no odd bytes. (Domains that macros made are not
// checked for that: a record may be found under any name.)
bool is_host_like(std::string_view domain) {
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F && c != '[' && c != ']' && c != '@'; };
  const auto top = domain.substr(domain.rfind('.') + 1);
  return std::all_of(domain.begin(), domain.end(), visible) && !std::all_of(top.begin(), top.end(), text::is_digit);
}

bool is_within(std::string_view name, std::string_view domain) {
  if (text::iequals(name, domain)) return true;
  return name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' && text::iends_with(name, domain);
}

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

class Check {
 public:
  Check(const Query& query, const dns::Facts& facts)
      : query_(query), facts_(facts), client_(query.client.unmapped()), sender_(sender_of(query)) {}

  std::variant<Verdict, dns::Questions> run();

 private:
  std::optional<Outcome> advance();
  std::optional<Outcome> load();
  std::optional<Outcome> next_term();
  std::optional<Outcome> redirect();
  std::optional<Outcome> after_include(Outcome outcome);
  std::optional<Outcome> concluded(Step step, const Directive& directive);
  Step evaluate(const Directive& directive);
  Step include(const Directive& directive);
  Step hosts(const Directive& directive);
  Step mail_exchangers(const Directive& directive);
  Step pointer(const Directive& directive);
  Step exists(const Directive& directive);

  const dns::Answer* look_up(const std::string& name, dns::Type type);
  bool start_lookup();
  bool note_void();
  bool cannot_match(const std::optional<MacroString>& macro) const;
  Step compare(const dns::Answer& answer, const Directive& directive);
  std::optional<std::string> target(const std::optional<MacroString>& macro);
  std::optional<std::vector<std::string>> validated_names(std::string_view within);
  std::optional<std::string> validated_name();
  std::optional<MacroValues> values_for(const MacroString& macro);
  std::variant<Verdict, dns::Questions> finish(Outcome outcome);
  std::string explanation();

  Frame& frame() { return frames_.back(); }
  dns::Type address_type() const { return client_.is_v6() ? dns::Type::aaaa : dns::Type::a; }
  Step fail_with(Step step, std::string reason) {
    reason_ = std::move(reason);
    return step;
  }

  const Query& query_;
  const dns::Facts& facts_;
  const IpAddress client_;
  const Sender sender_;
  std::vector<Frame> frames_;
  dns::Questions missing_;
  std::size_t lookups_ = 0;
  std::size_t void_lookups_ = 0;
  std::string mechanism_;  // the top record's term in hand
  std::string reason_;
};

// The answer; nullptr after the question has been put on the list of what is missing.
const dns::Answer* Check::look_up(const std::string& name, dns::Type type) {
  const dns::Answer* answer = facts_.find(name, type);
  if (answer == nullptr) {
    dns::Question question{dns::canonical(name), type};
    if (std::find(missing_.begin(), missing_.end(), question) == missing_.end()) missing_.push_back(std::move(question));
  }
  return answer;
}

// RFC 7208 §4.6.4: counts a term that asks the DNS; false when there was no more to spend.
bool Check::start_lookup() {
  if (lookups_ == limits::kSpfLookups) {
    reason_ = "more than 10 terms that ask the DNS";
    return false;
  }
  ++lookups_;
  return true;
}

// RFC 7208 §4.6.4: counts a term that found nothing; false when there were too many of them.
bool Check::note_void() {
  if (++void_lookups_ <= limits::kSpfVoidLookups) return true;
  reason_ = "more than 2 terms that find nothing in the DNS";
  return false;
}

// RFC 8616 §4: a term whose domain is made of a local part that is not ASCII matches nothing.
bool Check::cannot_match(const std::optional<MacroString>& macro) const {
  return macro && !sender_.ascii_local_part && (macro->uses('s') || macro->uses('l'));
}

// The domain a term is about: its domain-spec expanded, or the domain of the record. "" where the term can match nothing;
// nullopt after a question was added.
std::optional<std::string> Check::target(const std::optional<MacroString>& macro) {
  if (!macro) return frame().domain;
  if (cannot_match(macro)) return "";
  const auto values = values_for(*macro);
  if (!values) return std::nullopt;
  std::string name = expand_domain(*macro, *values);
  // RFC 7208 §4.8 leaves names that the DNS cannot hold undefined: they are taken as names that do not exist.
  return dns::is_askable(name) ? name : "";
}

std::optional<MacroValues> Check::values_for(const MacroString& macro) {
  MacroValues values;
  if (macro.uses('p')) {
    const auto validated = validated_name();
    if (!validated) return std::nullopt;
    values.validated = *validated;
  }
  values.sender = sender_.local_part + "@" + sender_.domain;
  values.local_part = sender_.local_part;
  values.sender_domain = sender_.domain;
  values.domain = frame().domain;
  values.client = client_;
  values.helo = query_.helo;
  values.receiver = query_.receiver;
  values.time = query_.time;
  return values;
}

// RFC 7208 §5.5: names of the client that lead back to its address, in the order of the answer. Of those that PTR records give
// only the first ten are read, and only those within `within` are asked for ("" wants all). Errors leave names out.
std::optional<std::vector<std::string>> Check::validated_names(std::string_view within) {
  const dns::Answer* pointers = look_up(dns::reverse_name(client_), dns::Type::ptr);
  if (pointers == nullptr) return std::nullopt;
  auto names = dns::records_of<dns::Name>(*pointers);
  if (names.size() > limits::kSpfPtrNames) names.resize(limits::kSpfPtrNames);
  std::vector<std::string> out;
  for (const dns::Name& name : names) {
    if (!dns::is_askable(name.value) || (!within.empty() && !is_within(name.value, within))) continue;
    const dns::Answer* addresses = look_up(name.value, address_type());
    if (addresses == nullptr) continue;
    const auto found = dns::records_of<IpAddress>(*addresses);
    if (std::find(found.begin(), found.end(), client_) != found.end()) out.push_back(name.value);
  }
  if (!missing_.empty()) return std::nullopt;
  return out;
}

// RFC 7208 §7.3, "p" (it is no term and not counted: one PTR answer serves the whole check): the domain itself, else a name below it, else any, else "unknown".
std::optional<std::string> Check::validated_name() {
  const auto names = validated_names({});
  if (!names) return std::nullopt;
  const std::string& domain = frame().domain;
  const auto same = [&](const std::string& name) { return text::iequals(name, domain); };
  const auto below = [&](const std::string& name) { return is_within(name, domain); };
  if (const auto it = std::find_if(names->begin(), names->end(), same); it != names->end()) return *it;
  if (const auto it = std::find_if(names->begin(), names->end(), below); it != names->end()) return *it;
  return names->empty() ? std::string("unknown") : names->front();
}

// Whether one of the addresses is in the same network as the client.
Step Check::compare(const dns::Answer& answer, const Directive& directive) {
  if (answer.status == dns::Status::failure) return fail_with(Step::temperror, "DNS failure");
  const unsigned bits = client_.is_v6() ? directive.bits6 : directive.bits4;
  for (const IpAddress& address : dns::records_of<IpAddress>(answer))
    if (client_.in_prefix(address, bits)) return Step::match;
  return Step::no_match;
}

Step Check::include(const Directive& directive) {
  auto domain = target(directive.domain);
  if (!domain) return Step::ask;
  frames_.push_back({.domain = std::move(*domain), .entry = Entry::include, .record = std::nullopt});
  return Step::entered;
}

// "a": RFC 7208 §5.3.
Step Check::hosts(const Directive& directive) {
  const auto name = target(directive.domain);
  if (!name) return Step::ask;
  if (name->empty()) return Step::no_match;
  const dns::Answer* answer = look_up(*name, address_type());
  if (answer == nullptr) return Step::ask;
  if (answer->status == dns::Status::none && !note_void()) return Step::permerror;
  return compare(*answer, directive);
}

// RFC 7208 §5.4.
Step Check::mail_exchangers(const Directive& directive) {
  const auto name = target(directive.domain);
  if (!name) return Step::ask;
  if (name->empty()) return Step::no_match;
  const dns::Answer* answer = look_up(*name, dns::Type::mx);
  if (answer == nullptr) return Step::ask;
  if (answer->status == dns::Status::failure) return fail_with(Step::temperror, "DNS failure");
  auto hosts = dns::records_of<dns::Mx>(*answer);
  if (hosts.size() > limits::kSpfMxHosts) return fail_with(Step::permerror, "more than 10 MX records");
  std::sort(hosts.begin(), hosts.end());  // by preference, then by name, as the order of an answer is chance
  std::vector<const dns::Answer*> addresses;
  for (const dns::Mx& host : hosts)
    if (dns::is_askable(host.exchange)) addresses.push_back(look_up(host.exchange, address_type()));
  if (!missing_.empty()) return Step::ask;

  bool found_nothing = answer->status == dns::Status::none;
  for (const dns::Answer* host : addresses) {
    found_nothing |= host->status == dns::Status::none;
    if (const Step step = compare(*host, directive); step != Step::no_match) return step;
  }
  // RFC 7208 §4.6.4 counts terms: however many of its hosts have no address, this is one.
  if (found_nothing && !note_void()) return Step::permerror;
  return Step::no_match;
}

// RFC 7208 §5.5.
Step Check::pointer(const Directive& directive) {
  const auto domain = target(directive.domain);
  if (!domain) return Step::ask;
  if (domain->empty()) return Step::no_match;
  const auto names = validated_names(*domain);
  if (!names) return Step::ask;
  if (!names->empty()) return Step::match;
  const dns::Answer* pointers = facts_.find(dns::reverse_name(client_), dns::Type::ptr);
  if (pointers->status == dns::Status::none && !note_void()) return Step::permerror;
  return Step::no_match;  // also after a DNS error
}

// RFC 7208 §5.7: always an A record, also for a client with a v6 address.
Step Check::exists(const Directive& directive) {
  const auto name = target(directive.domain);
  if (!name) return Step::ask;
  if (name->empty()) return Step::no_match;
  const dns::Answer* answer = look_up(*name, dns::Type::a);
  if (answer == nullptr) return Step::ask;
  switch (answer->status) {
    case dns::Status::found: return Step::match;
    case dns::Status::none: return note_void() ? Step::no_match : Step::permerror;
    case dns::Status::failure: break;
  }
  return fail_with(Step::temperror, "DNS failure");
}

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

}  // namespace

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
