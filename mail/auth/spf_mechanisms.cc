#include <algorithm>

#include "base/text.h"
#include "mail/auth/spf_check.h"
#include "mail/limits.h"

namespace postern::mail::spf {
namespace {

bool is_within(std::string_view name, std::string_view domain) {
  if (text::iequals(name, domain)) return true;
  return name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' && text::iends_with(name, domain);
}

}  // namespace

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

}  // namespace postern::mail::spf
